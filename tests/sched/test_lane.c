/* SPDX-License-Identifier: MIT */
/* The compute lane: work that takes long runs beside the workers, not on them. */
#define _GNU_SOURCE
#include "tests/sched/runtimes.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

#include <grove/event.h>
#include <grove/io.h>
#include <grove/net.h>

#include "sched/sanitize.h"

/* -- Threads that can't be made --------------------------------------------------- */

static _Atomic(bool) refuse_threads;
static _Atomic(int) refused;

#if !SANITIZE_SWITCHES
#pragma GCC visibility push(default)
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
    void *(*start)(void *), void *arg)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(
            RTLD_NEXT, "pthread_create");

    if (!refuse_threads)
        return create(thread, attributes, start, arg);
    refused++;
    return EAGAIN;
}
#pragma GCC visibility pop
#endif

/* -- Helpers ---------------------------------------------------------------------- */

static grove_t *compute(grove_fn fn, void *arg)
{
    return must(grove_spawn_with(&(grove_attr_t){.affinity = GROVE_CPU}, fn, arg));
}

static bool in_lane(void)
{
    char name[16] = "";

    pthread_getname_np(pthread_self(), name, sizeof name);
    return grove_worker_self() == -1 && strncmp(name, "grove-cpu-", 10) == 0;
}

static int threads(void)
{
    int entries = 0;
    DIR *dir = opendir("/proc/self/task");

    while (readdir(dir))
        entries++;
    closedir(dir);
    return entries;
}

/* Keeps its lane thread to itself until that is raised. */
static void *spin_until(void *flag)
{
    while (!atomic_load_explicit((_Atomic(int) *)flag, memory_order_acquire))
        sched_yield();
    return flag;
}

/* -- Where it runs ---------------------------------------------------------------- */

static void *look_around(void *arg)
{
    CHECK(in_lane());
    CHECK_EQUAL(sched_getscheduler(0), SCHED_BATCH);
    CHECK_EQUAL(getpriority(PRIO_PROCESS, (id_t)gettid()), 19);
    return arg;
}

static void on_threads_of_its_own(void)
{
    CHECK(grove_await(compute(look_around, threads)) == (void *)threads);
    CHECK_EQUAL(getpriority(PRIO_PROCESS, (id_t)gettid()), 0);
}
EVERYWHERE(on_threads_of_its_own)

static void *thread_id(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)gettid();
}

static void *spawn_beside(void *arg)
{
    for (int i = 0; i < 10; i++)
        CHECK_EQUAL(
            (intptr_t)grove_await(must(grove_spawn(thread_id, NULL))), gettid());
    return arg;
}

static void spawned_ones_stay_there(void)
{
    grove_await(compute(spawn_beside, NULL));
}
EVERYWHERE(spawned_ones_stay_there)

static void *sum(void *arg)
{
    intptr_t depth = (intptr_t)arg;

    CHECK(in_lane());
    if (depth == 0)
        return (void *)1;
    grove_t *left = must(grove_go(sum, (void *)(depth - 1)));
    grove_t *right = must(grove_go(sum, (void *)(depth - 1)));
    return (void *)((intptr_t)grove_await(left) + (intptr_t)grove_await(right));
}

static void parallel_work_stays_in_the_lane(void)
{
    CHECK_EQUAL((intptr_t)grove_await(compute(sum, (void *)8)), 256);
}
EVERYWHERE(parallel_work_stays_in_the_lane)

static void *note_in_lane(void *arg)
{
    CHECK(in_lane());
    return arg;
}

static void delayed_and_deferred(void)
{
    grove_attr_t later = {.affinity = GROVE_CPU, .delay = 0.0001};
    grove_attr_t deferred = {.affinity = GROVE_CPU, .deferred = true};

    CHECK(grove_await(must(grove_spawn_with(&later, note_in_lane, &later))) == &later);
    grove_t *g = must(grove_spawn_with(&deferred, note_in_lane, &later));
    grove_yield();
    CHECK(!grove_started(g));
    CHECK_EQUAL(grove_start(g), 0);
    CHECK(grove_await(g) == &later);
}
EVERYWHERE(delayed_and_deferred)

static void compute_from_here(void *arg)
{
    CHECK(grove_await(compute(note_in_lane, arg)) == arg);
}

static void from_any_thread(void)
{
    in_thread(compute_from_here, threads);
}
EVERYWHERE(from_any_thread)

/* -- Order and parallelism -------------------------------------------------------- */

static _Atomic(int) order;

static void *check_turn(void *arg)
{
    CHECK_EQUAL(atomic_fetch_add(&order, 1), (intptr_t)arg);
    return NULL;
}

static void oldest_first(void)
{
    _Atomic(int) go_on = 0;
    grove_t *g[20], *first = compute(spin_until, &go_on);

    order = 0;
    for (intptr_t i = 0; i < 20; i++)
        g[i] = compute(check_turn, (void *)i);
    raise_flag(&go_on);
    grove_await(first);
    for (int i = 0; i < 20; i++)
        grove_await(g[i]);
}
ALONE(oldest_first)

struct meeting {
    _Atomic(int) present;
    int expected;
};

/* Doesn't end until as many run at once. */
static void *meet(void *arg)
{
    struct meeting *meeting = arg;

    atomic_fetch_add(&meeting->present, 1);
    while (atomic_load(&meeting->present) < meeting->expected)
        sched_yield();
    return arg;
}

static void as_many_as_workers(void)
{
    int before = threads();
    struct meeting meeting = {.expected = grove_worker_count()};
    grove_t *g[16];

    for (int i = 0; i < meeting.expected; i++)
        g[i] = compute(meet, &meeting);
    for (int i = 0; i < meeting.expected; i++)
        CHECK(grove_await(g[i]) == &meeting);
    for (int i = 0; i < 16; i++)
        g[i] = compute(note_in_lane, NULL);
    for (int i = 0; i < 16; i++)
        grove_await(g[i]);
    CHECK_EQUAL(threads(), before + meeting.expected);
}
EVERYWHERE(as_many_as_workers)

static void *nothing(void *arg)
{
    return arg;
}

static void no_threads_when_unused(void)
{
    int before = threads();

    for (int i = 0; i < 10; i++) {
        grove_await(must(grove_go(nothing, NULL)));
        grove_await(must(grove_spawn(nothing, NULL)));
    }
    CHECK_EQUAL(threads(), before);
    grove_t *g = must(grove_spawn_with(
        &(grove_attr_t){.affinity = GROVE_CPU, .deferred = true}, nothing, NULL));
    CHECK_EQUAL(threads(), before);
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    grove_release(g);
}
EVERYWHERE(no_threads_when_unused)

/* -- I/O beside it ---------------------------------------------------------------- */

#define TURNS_BESIDE 200
static _Atomic(int) turns;

/* Doesn't end before I/O on the workers has gone on: on a worker it would be for ever.
 */
static void *compute_beside(void *arg)
{
    volatile long sink = 0;

    while (atomic_load_explicit(&turns, memory_order_relaxed) < TURNS_BESIDE)
        sink++;
    return arg;
}

static void *echo(void *arg)
{
    int fd = *(int *)arg;
    char byte;

    while (grove_read(fd, &byte, 1, GROVE_FOREVER) == 1)
        grove_write_all(fd, &byte, 1, GROVE_FOREVER);
    grove_close(fd);
    return NULL;
}

static void io_goes_on(void)
{
    int fds[2];
    grove_t *g[7];
    char byte = 0;

    turns = 0;
    CHECK_EQUAL(grove_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    grove_t *other = must(grove_go(echo, &fds[1]));
    for (int i = 0; i < grove_worker_count(); i++)
        g[i] = compute(compute_beside, NULL);
    while (turns < TURNS_BESIDE) {
        CHECK_EQUAL(grove_write_all(fds[0], &byte, 1, GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_read(fds[0], &byte, 1, GROVE_FOREVER), 1);
        turns++;
    }
    for (int i = 0; i < grove_worker_count(); i++)
        grove_await(g[i]);
    grove_close(fds[0]);
    grove_await(other);
}
EVERYWHERE(io_goes_on)

/* -- Blocking calls there --------------------------------------------------------- */

static grove_event_t event = GROVE_EVENT_INIT;
static _Atomic(int) timed_out;

static void *block_in_every_way(void *arg)
{
    int *fds = arg;
    char byte;

    CHECK_EQUAL(grove_sleep(0.0001), 0);
    CHECK_ERROR(grove_event_wait(&event, 0.0001), ETIMEDOUT);
    CHECK_ERROR(grove_read(fds[0], &byte, 1, 0.0001), ETIMEDOUT);
    raise_flag(&timed_out);
    CHECK_EQUAL(grove_read(fds[0], &byte, 1, GROVE_FOREVER), 1);
    CHECK_EQUAL(grove_event_wait(&event, GROVE_FOREVER), 0);
    CHECK(in_lane());
    return arg;
}

static void *set_event(void *arg)
{
    grove_sleep(0.001);
    grove_event_set(&event);
    return arg;
}

static void blocking_calls(void)
{
    int fds[2];

    grove_event_clear(&event);
    timed_out = 0;
    CHECK_EQUAL(grove_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    grove_t *g = compute(block_in_every_way, fds);
    CHECK_ERROR(grove_join(g, 0.001), ETIMEDOUT);
    until(&timed_out);
    CHECK_EQUAL(grove_write_all(fds[1], "", 1, GROVE_FOREVER), 0);
    grove_t *setter = compute(set_event, NULL);
    CHECK(grove_await(g) == fds);
    grove_await(setter);
    grove_close(fds[0]);
    grove_close(fds[1]);
}
EVERYWHERE(blocking_calls)

static void *pass_on(void *arg)
{
    for (int i = 0; i < 50; i++)
        arg = grove_await(must(grove_go(nothing, arg)));
    return arg;
}

/* Each end wakes somebody on another thread, and sleepers for new work. */
static void back_and_forth(void)
{
    for (size_t round = harness_rounds(300); round > 0; round--)
        CHECK(grove_await(compute(round % 8 ? nothing : pass_on, &event)) == &event);
}
EVERYWHERE(back_and_forth)

/* -- Kills ------------------------------------------------------------------------ */

static void *sleep_for_ever(void *arg)
{
    CHECK_ERROR(grove_sleep(1e6), ECANCELED);
    return arg;
}

static void *spin_then_sleep(void *arg)
{
    spin_until(arg);
    return sleep_for_ever(arg);
}

static void kills(void)
{
    _Atomic(int) go_on = 0;
    int n = grove_worker_count();
    grove_t *running[7];

    grove_t *blocked = compute(sleep_for_ever, NULL);
    while (!grove_started(blocked))
        grove_yield();
    CHECK_EQUAL(grove_kill(blocked, GROVE_FOREVER), 0);
    for (int i = 0; i < n; i++) {
        running[i] = compute(spin_then_sleep, &go_on);
        while (!grove_started(running[i]))
            grove_yield();
    }
    grove_t *queued = compute(nothing, NULL);
    CHECK_EQUAL(grove_kill(queued, GROVE_FOREVER), 0);
    CHECK(grove_value(queued) == GROVE_KILLED);
    for (int i = 0; i < n; i++)
        CHECK_EQUAL(grove_kill(running[i], 0), 0);
    raise_flag(&go_on);
    for (int i = 0; i < n; i++)
        CHECK(grove_await(running[i]) == &go_on);
    grove_release(queued);
    grove_release(blocked);
}
EVERYWHERE(kills)

/* -- Shutdown --------------------------------------------------------------------- */

static int descriptors(void)
{
    int entries = 0;
    DIR *dir = opendir("/proc/self/fd");

    while (readdir(dir))
        entries++;
    closedir(dir);
    return entries;
}

static _Atomic(size_t) started;

static void *make_more(void *arg)
{
    uint64_t state = (uint64_t)(intptr_t)arg;

    atomic_fetch_add(&started, 1);
    do {
        switch (random_next(&state) % 4) {
        case 0:
            grove_release(compute(nothing, NULL));
            break;
        case 1:
            grove_release(must(grove_spawn(nothing, NULL)));
            break;
        case 2:
            grove_release(must(grove_spawn_with(
                &(grove_attr_t){.affinity = GROVE_CPU, .delay = 1e-5}, nothing, NULL)));
            break;
        default:
            grove_release(must(grove_go(nothing, NULL)));
        }
    } while (grove_sleep(0.00002) == 0);
    CHECK_EQUAL(errno, ECANCELED);
    return NULL;
}

static void start_and_stop(size_t rounds, int workers)
{
    uint64_t state = harness_seed();

    for (size_t round = 0; round < rounds; round++) {
        grove_config_t config = {.workers = workers, .report = GROVE_REPORT_OFF};
        if (!CHECK_EQUAL(grove_init(&config), 0))
            return;
        for (int i = 0; i < 4; i++)
            grove_release(compute(i == 3 ? sleep_for_ever : make_more,
                (void *)(intptr_t)random_next(&state)));
        grove_release(must(grove_go(make_more, NULL)));
        for (uint32_t i = random_next(&state) % 4; i > 0; i--)
            grove_sleep(1e-6 * (random_next(&state) % 50));
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    }
}

static void shutdowns(void)
{
    start_and_stop(2, 2); /* what is opened once and for all */
    int fds = descriptors(), before = threads();
    start_and_stop(harness_rounds(200), 2);
    start_and_stop(harness_rounds(100), 1);
    CHECK(descriptors() <= fds);
    /* The kernel may list a thread for a moment after it was joined. */
    while (threads() > before)
        sched_yield();
    CHECK(started > 0);
}
BARE(shutdowns)

static void *shut_down(void *arg)
{
    CHECK_ERROR(grove_shutdown(0), EPERM);
    return arg;
}

static void not_from_the_lane(void)
{
    grove_await(compute(shut_down, NULL));
}
EVERYWHERE(not_from_the_lane)

/* -- Without ---------------------------------------------------------------------- */

static void *on_a_worker(void *arg)
{
    CHECK(grove_worker_self() >= 0);
    return arg;
}

static void without_threads(void)
{
    if (SANITIZE_SWITCHES)
        return;
    refused = 0;
    refuse_threads = true;
    for (int i = 0; i < 3; i++)
        CHECK(grove_await(compute(on_a_worker, &event)) == &event);
    refuse_threads = false;
    /* Not tried again for each. */
    CHECK_EQUAL(refused, 1);
    CHECK(grove_await(compute(nothing, &event)) == &event);
}
EVERYWHERE(without_threads)

static void without_descriptors(void)
{
    struct rlimit limit, none;

    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 0;
    errno = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    grove_t *g = compute(on_a_worker, &event);
    CHECK_EQUAL(errno, 0);
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(grove_await(g) == &event);
}

/* In a process where no earlier runtime has left a hub. */
static void without_descriptors_at_first(void)
{
    run_with_workers(2, without_descriptors);
}
APART(without_descriptors_at_first, "without descriptors")

/* -- Deadlocks -------------------------------------------------------------------- */

static void *wait_for_event(void *arg)
{
    grove_event_wait(&event, GROVE_FOREVER);
    return arg;
}

static void *compute_and_set(void *arg)
{
    for (volatile int i = 0; i < 20000000; i++)
        ;
    grove_event_set(&event);
    return arg;
}

static int lane_waits_too(void)
{
    grove_t *g = compute(wait_for_event, NULL);

    return grove_join(g, GROVE_FOREVER) == -1 && errno == EDEADLK &&
                   grove_shutdown(1) == 0
               ? 0
               : 1;
}

static int lane_computes(void)
{
    for (int i = 0; i < 3; i++) {
        grove_release(compute(compute_and_set, NULL));
        if (grove_event_wait(&event, GROVE_FOREVER) != 0)
            return 1;
        grove_event_clear(&event);
    }
    return 0;
}

static int many_short_ones(void)
{
    for (int i = 0; i < 2000; i++)
        if (grove_await(compute(nothing, &event)) != &event)
            return 1;
    return 0;
}

/* In a child, as the harness has a thread that might wake somebody. */
static void deadlock_case(int (*body)(void))
{
    for (int workers = 1; workers <= 3; workers++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            grove_config_t config = {.workers = workers, .report = GROVE_REPORT_OFF};
            alarm(30);
            _exit(grove_init(&config) < 0 ? 99 : body());
        }
        waitpid(child, &status, 0);
        CHECK_EQUAL(status, 0);
    }
}

static void deadlocks(void)
{
    /* ThreadSanitizer lets no child of a threaded process start threads. */
    if (SANITIZE_THREAD)
        return;
    grove_event_clear(&event);
    deadlock_case(lane_waits_too);
    deadlock_case(lane_computes);
    deadlock_case(many_short_ones);
}
BARE(deadlocks)

/* A child of a fork in the lane starts afresh. */
static void *fork_there(void *arg)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(grove_await(compute(note_in_lane, arg)) == arg ? 0 : 1);
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
    return arg;
}

static void forks(void)
{
    /* The sanitizers' allocators aren't safe to fork beside threads that allocate. */
    if (SANITIZE_SWITCHES)
        return;
    CHECK(grove_await(compute(fork_there, &event)) == &event);
    fork_there(&event);
}
EVERYWHERE(forks)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("on threads of its own", on_threads_of_its_own),
        TEST("what is spawned there stays there", spawned_ones_stay_there),
        TEST("parallel work stays in the lane", parallel_work_stays_in_the_lane),
        TEST("delayed and deferred", delayed_and_deferred),
        TEST("from any thread", from_any_thread),
        TEST("oldest first", oldest_first),
        TEST("as many threads as workers", as_many_as_workers),
        TEST("no threads when unused", no_threads_when_unused),
        TEST("I/O goes on beside it", io_goes_on),
        TEST("blocking calls", blocking_calls),
        TEST("back and forth", back_and_forth),
        TEST("kills", kills),
        TEST("shutdowns", shutdowns),
        TEST("no shutdown from the lane", not_from_the_lane),
        TEST("without threads", without_threads),
        TEST("without descriptors", without_descriptors_at_first),
        TEST("deadlocks", deadlocks),
        TEST("forks", forks),
    };
    return harness_main("lane", tests, sizeof tests / sizeof *tests);
}
