/* SPDX-License-Identifier: MIT */
/* Runs that repeat: by a seed, and without one those of a single worker. */
#define _GNU_SOURCE
#include <grove.h>

#include <fcntl.h>
#include <stdio.h>

#include "sched/chance.h"
#include "sched/config.h"
#include "tests/sched/runtimes.h"

/* What greenlets did, in the order in which they did it. */
static struct trace {
    uint64_t hash;
    int length;
    char steps[4096];
} trace;

static void step(char who)
{
    trace.hash = (trace.hash ^ (unsigned char)who) * UINT64_C(1099511628211);
    if (trace.length < (int)sizeof trace.steps)
        trace.steps[trace.length++] = who;
}

static bool start_with(grove_config_t config)
{
    trace = (struct trace){0};
    config.report = GROVE_REPORT_OFF;
    return CHECK_EQUAL(grove_init(&config), 0);
}

static void stop_run(void)
{
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}

enum { GREENLETS = 6 };

static void *take_turns(void *arg)
{
    for (int i = 0; i < 4; i++) {
        step((char)(intptr_t)arg);
        grove_yield();
    }
    return arg;
}

/* Local and movable greenlets that take turns. */
static void take_turns_all(void)
{
    grove_t *g[2 * GREENLETS];

    for (intptr_t i = 0; i < GREENLETS; i++) {
        g[2 * i] = must(grove_spawn(take_turns, (void *)('a' + i)));
        g[2 * i + 1] = must(grove_go(take_turns, (void *)('A' + i)));
    }
    for (int i = 0; i < 2 * GREENLETS; i++)
        grove_await(g[i]);
}

static grove_lock_t lock;
static grove_queue_t *queue;
static int ended;

static void *use_everything(void *arg)
{
    char who = (char)(intptr_t)arg;

    for (int i = 0; i < 4; i++) {
        grove_lock_acquire(&lock, GROVE_FOREVER);
        step(who);
        if (i % 2)
            grove_yield();
        grove_lock_release(&lock);
        grove_queue_put(queue, arg, GROVE_FOREVER);
        void *got;
        grove_queue_get(queue, GROVE_FOREVER, &got);
        step((char)(intptr_t)got);
    }
    step(who);
    ended++;
    return arg;
}

static void use_everything_as(grove_affinity_t upper_case)
{
    grove_attr_t affinity = {.affinity = upper_case};
    grove_attr_t compute = {.affinity = upper_case ? GROVE_CPU : GROVE_LOCAL};

    lock = (grove_lock_t)GROVE_LOCK_INIT;
    ended = 0;
    queue = grove_queue_new(GROVE_FIFO, 2);
    for (intptr_t i = 0; i < GREENLETS; i++) {
        grove_release(must(grove_spawn(use_everything, (void *)('a' + i))));
        grove_release(
            must(grove_spawn_with(&affinity, use_everything, (void *)('A' + i))));
    }
    grove_release(must(grove_spawn_with(&compute, use_everything, (void *)'z')));
    while (ended < 2 * GREENLETS + 1)
        grove_yield();
}

static void use_everything_all(void)
{
    use_everything_as(GROVE_ANY);
}

static void use_everything_local(void)
{
    use_everything_as(GROVE_LOCAL);
}

static struct trace run(grove_config_t config, void (*body)(void))
{
    if (start_with(config)) {
        body();
        stop_run();
        grove_queue_free(queue);
        queue = NULL;
    }
    return trace;
}

static bool same(const struct trace *a, const struct trace *b)
{
    return a->length == b->length && a->hash == b->hash;
}

static void check_repeats(grove_config_t config, void (*body)(void))
{
    struct trace first = run(config, body);

    CHECK(first.length > 0);
    for (int i = 0; i < 3; i++) {
        struct trace again = run(config, body);
        CHECK(same(&again, &first));
    }
}

static void a_seed_repeats(void)
{
    for (uint64_t seed = 1; seed <= harness_rounds(100); seed++) {
        check_repeats((grove_config_t){.seed = seed}, take_turns_all);
        check_repeats((grove_config_t){.seed = seed}, use_everything_all);
    }
}
BARE(a_seed_repeats)

static void seeds_differ(void)
{
    struct trace first = run((grove_config_t){.seed = 1}, take_turns_all);
    int different = 0;

    for (uint64_t seed = 2; seed <= 11; seed++) {
        struct trace other = run((grove_config_t){.seed = seed << 40}, take_turns_all);
        CHECK_EQUAL(other.length, first.length);
        different += !same(&other, &first);
    }
    CHECK_EQUAL(different, 10);
}
BARE(seeds_differ)

static void two_local(void)
{
    grove_t *a = must(grove_spawn(take_turns, (void *)'a'));
    grove_t *b = must(grove_spawn(take_turns, (void *)'b'));

    grove_await(a);
    grove_await(b);
}

/* All 70 ways in which two greenlets of four steps can take turns. */
static void every_order_comes(void)
{
    uint64_t seen[70];
    int orders = 0;

    for (uint64_t seed = 1; seed <= 5000 && orders < 70; seed++) {
        struct trace one = run((grove_config_t){.seed = seed}, two_local);
        int i = 0;
        while (i < orders && seen[i] != one.hash)
            i++;
        if (i == orders)
            seen[orders++] = one.hash;
    }
    CHECK_EQUAL(orders, 70);
}
BARE(every_order_comes)

static int holds, others_ran;

static void *count_runs(void *arg)
{
    others_ran++;
    return arg;
}

static void calls_may_switch_that_need_not_wait(void)
{
    holds = others_ran = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        if (!start_with((grove_config_t){.seed = seed}))
            return;
        lock = (grove_lock_t)GROVE_LOCK_INIT;
        grove_yield(); /* who never switched carries no mark */
        grove_t *g = must(grove_spawn(count_runs, NULL));
        int before = others_ran;
        CHECK_EQUAL(grove_lock_acquire(&lock, GROVE_FOREVER), 0);
        holds += others_ran == before;
        grove_await(g);
        stop_run();
    }
    CHECK_EQUAL(others_ran, 50);
    CHECK(holds > 0 && holds < 50);
}
BARE(calls_may_switch_that_need_not_wait)

static void a_timeout_of_0_never_switches(void)
{
    others_ran = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        if (!start_with((grove_config_t){.seed = seed}))
            return;
        lock = (grove_lock_t)GROVE_LOCK_INIT;
        grove_yield();
        grove_t *g = must(grove_spawn(count_runs, NULL));
        for (int i = 0; i < 5; i++) {
            CHECK_EQUAL(grove_lock_acquire(&lock, 0), 0);
            CHECK_EQUAL(grove_lock_release(&lock), 0);
        }
        CHECK_EQUAL(grove_join(g, 0), -1);
        CHECK_EQUAL(others_ran, seed - 1);
        grove_await(g);
        stop_run();
    }
}
BARE(a_timeout_of_0_never_switches)

static void a_seed_means_one_worker(void)
{
    grove_config_t config = {.seed = UINT64_MAX};

    if (!start_with(config))
        return;
    CHECK_EQUAL(grove_worker_count(), 1);
    stop_run();
    config.workers = 1;
    if (!start_with(config))
        return;
    stop_run();
}
BARE(a_seed_means_one_worker)

/* What [call] says on stderr. */
static void said_by(void (*call)(void), char *text, size_t size)
{
    int file = open("/tmp", O_TMPFILE | O_RDWR, 0600), saved = dup(2);

    dup2(file, 2);
    call();
    ssize_t length = pread(file, text, size - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    dup2(saved, 2);
    close(saved);
    close(file);
}

static void refuse_two_workers(void)
{
    CHECK_ERROR(grove_init(&(grove_config_t){.seed = 1, .workers = 2}), EINVAL);
    setenv("GROVE_SEED", "5", 1);
    CHECK_ERROR(grove_init(&(grove_config_t){.workers = 3}), EINVAL);
    unsetenv("GROVE_SEED");
}

static void a_seed_refuses_more_workers(void)
{
    char text[512];

    said_by(refuse_two_workers, text, sizeof text);
    CHECK_STRING(text, "grove: GROVE_SEED needs GROVE_WORKERS=1, not 2\n"
                       "grove: GROVE_SEED needs GROVE_WORKERS=1, not 3\n");
}
BARE(a_seed_refuses_more_workers)

static void *fail(void *arg)
{
    (void)arg;
    grove_fail(EIO, "no luck");
}

static void fail_twice(void)
{
    if (!CHECK_EQUAL(grove_init(&(grove_config_t){.seed = 4711}), 0))
        return;
    grove_await(must(grove_spawn(fail, NULL)));
    grove_await(must(grove_spawn(fail, NULL)));
    stop_run();
}

static void a_failure_names_the_seed_once(void)
{
    char text[16384];

    said_by(fail_twice, text, sizeof text);
    char *first = strstr(text, "grove: seed 4711\n");
    CHECK(first != NULL);
    CHECK(first && strstr(first + 1, "grove: seed") == NULL);
}
BARE(a_failure_names_the_seed_once)

/* No seed, no timers, no descriptors: one worker does the same each time, but for when
 * the oldest of what lies in its deque has its turn, which depends on time. */
/* Newest first, the oldest now and then: by count, not by the clock. */
static void *fork_in_turn(void *arg)
{
    intptr_t left = (intptr_t)arg;

    step((char)('a' + left % 26));
    if (left > 0) {
        grove_t *child = must(grove_go(fork_in_turn, (void *)(left - 1)));
        if (left % 3 == 0)
            grove_yield();
        grove_await(child);
    }
    return NULL;
}

static void many_tasks(void)
{
    enum { TASKS = 200 };
    grove_t *task[TASKS];

    for (int i = 0; i < TASKS; i++)
        task[i] = must(grove_go(fork_in_turn, (void *)(intptr_t)(i % 9)));
    grove_joinall(task, TASKS, GROVE_FOREVER);
    for (int i = 0; i < TASKS; i++)
        grove_release(task[i]);
}

static void one_worker_repeats(void)
{
    check_repeats((grove_config_t){.workers = 1}, two_local);
    check_repeats((grove_config_t){.workers = 1}, use_everything_local);
    for (size_t i = harness_rounds(20); i > 0; i--)
        check_repeats((grove_config_t){.workers = 1}, many_tasks);
}
BARE(one_worker_repeats)

static void one_worker_takes_turns_in_order(void)
{
    struct trace one = run((grove_config_t){.workers = 1}, two_local);

    CHECK_EQUAL(one.length, 8);
    CHECK(memcmp(one.steps, "abababab", 8) == 0);
}
BARE(one_worker_takes_turns_in_order)

static void *free_for_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        grove_lock_acquire(&lock, GROVE_FOREVER);
        grove_lock_release(&lock);
    }
    return NULL;
}

/* Threads that are no worker's live beside the drawn choices. */
static void use_lock_in_thread(void *arg)
{
    grove_t *g = must(grove_spawn(free_for_all, arg));

    free_for_all(arg);
    grove_await(g);
}

static void other_threads_take_part(void)
{
    for (uint64_t seed = 1; seed <= harness_rounds(50); seed++) {
        if (!start_with((grove_config_t){.seed = seed}))
            return;
        lock = (grove_lock_t)GROVE_LOCK_INIT;
        grove_t *g = must(grove_go(free_for_all, NULL));
        in_thread(use_lock_in_thread, NULL);
        grove_await(g);
        CHECK(!grove_lock_locked(&lock));
        stop_run();
    }
}
BARE(other_threads_take_part)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a seed repeats", a_seed_repeats),
        TEST("seeds differ", seeds_differ),
        TEST("every order comes", every_order_comes),
        TEST(
            "calls may switch that need not wait", calls_may_switch_that_need_not_wait),
        TEST("a timeout of 0 never switches", a_timeout_of_0_never_switches),
        TEST("a seed means one worker", a_seed_means_one_worker),
        TEST("a seed refuses more workers", a_seed_refuses_more_workers),
        TEST("a failure names the seed once", a_failure_names_the_seed_once),
        TEST("one worker repeats", one_worker_repeats),
        TEST("one worker takes turns in order", one_worker_takes_turns_in_order),
        TEST("other threads take part", other_threads_take_part),
    };
    return harness_main("seed", tests, sizeof tests / sizeof *tests);
}
