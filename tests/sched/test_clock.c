/* SPDX-License-Identifier: MIT */
/* Virtual time: it jumps when all wait, and only then. Hours pass in each test, and its
 * watchdog ends it after a minute: a jump that doesn't come is a hang. */
#define _GNU_SOURCE
#include <grove.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "sched/clock.h"
#include "sched/sanitize.h"
#include "tests/sched/runtimes.h"

#define HOUR 3600.0

static void with_virtual_time(int workers, void (*test)(void))
{
    grove_config_t config = {
        .workers = workers, .report = GROVE_REPORT_OFF, .clock = GROVE_CLOCK_VIRTUAL};

    if (!CHECK_EQUAL(grove_init(&config), 0))
        return;
    test();
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}

#define VIRTUAL(name) \
    static void name##_test(void) \
    { \
        with_virtual_time(1, name); \
        with_virtual_time(2, name); \
        with_virtual_time(7, name); \
    }
#define VIRTUAL_ALONE(name) \
    static void name##_test(void) \
    { \
        with_virtual_time(1, name); \
    }

/* Time in whole milliseconds, of which a double holds many exactly. */
static long milliseconds(void)
{
    return lround(grove_now() * 1e3);
}

static void it_begins_with_0_and_sleeps_are_exact(void)
{
    CHECK_EQUAL(timers_clock(), 0);
    CHECK_EQUAL(grove_sleep(HOUR), 0);
    CHECK_EQUAL(timers_clock(), 3600000000000);
    CHECK(grove_now() == HOUR);
    CHECK_EQUAL(grove_sleep(0.0005), 0);
    CHECK_EQUAL(timers_clock(), 3600000500000);
}
VIRTUAL(it_begins_with_0_and_sleeps_are_exact)

static int order[16];
static _Atomic(int) arrived;

static void *sleep_number(void *arg)
{
    intptr_t number = (intptr_t)arg;

    CHECK_EQUAL(grove_sleep((double)number * HOUR), 0);
    CHECK_EQUAL(milliseconds(), number * 3600000);
    order[atomic_fetch_add(&arrived, 1)] = (int)number;
    return arg;
}

static void sleepers_wake_in_order(grove_t *(*spawn)(grove_fn fn, void *arg))
{
    static const int sleeps[] = {3, 1, 4, 15, 9, 2, 6, 5};
    grove_t *g[8];

    atomic_store(&arrived, 0);
    for (int i = 0; i < 8; i++)
        g[i] = must(spawn(sleep_number, (void *)(intptr_t)sleeps[i]));
    for (int i = 0; i < 8; i++)
        grove_await(g[i]);
    for (int i = 1; i < 8; i++)
        CHECK(order[i - 1] < order[i]);
}

/* Whatever worker has started them. */
static void sleepers_of_all_workers_wake_in_order(void)
{
    sleepers_wake_in_order(grove_go);
}
VIRTUAL(sleepers_of_all_workers_wake_in_order)

static grove_t *go_compute(grove_fn fn, void *arg)
{
    return grove_spawn_with(&(grove_attr_t){.affinity = GROVE_CPU}, fn, arg);
}

static void sleepers_of_the_lane_wake_in_order(void)
{
    sleepers_wake_in_order(go_compute);
}
VIRTUAL(sleepers_of_the_lane_wake_in_order)

static void *sleep_often(void *arg)
{
    uint64_t state = (uintptr_t)arg;

    for (int i = 0; i < 100; i++) {
        double seconds = 1 + random_next(&state) % 1000 * 0.001;
        long before = milliseconds();
        CHECK_EQUAL(grove_sleep(seconds), 0);
        CHECK_EQUAL(milliseconds() - before, lround(seconds * 1e3));
    }
    return arg;
}

static void sleeps_of_many_are_exact(void)
{
    grove_t *g[20];

    for (intptr_t i = 0; i < 20; i++)
        g[i] = must(grove_go(sleep_often, (void *)(i + 1)));
    for (int i = 0; i < 20; i++)
        grove_await(g[i]);
}
VIRTUAL(sleeps_of_many_are_exact)

static grove_queue_t *queue;

static void timeouts_fire_when_all_wait(void)
{
    grove_event_t event = GROVE_EVENT_INIT;
    grove_timeout_t t;
    void *item;

    CHECK_ERROR(grove_event_wait(&event, HOUR), ETIMEDOUT);
    CHECK(grove_now() == HOUR);
    queue = grove_queue_new(GROVE_FIFO, 1);
    CHECK_ERROR(grove_queue_get(queue, HOUR, &item), ETIMEDOUT);
    grove_queue_free(queue);
    CHECK(grove_now() == 2 * HOUR);
    CHECK_EQUAL(grove_timeout_start(&t, HOUR), 0);
    CHECK_ERROR(grove_event_wait(&event, GROVE_FOREVER), ETIMEDOUT);
    CHECK(grove_timeout_stop(&t));
    CHECK(grove_now() == 3 * HOUR);
}
VIRTUAL(timeouts_fire_when_all_wait)

static void *note_time(void *arg)
{
    *(long *)arg = milliseconds();
    return arg;
}

static void a_spawn_can_be_delayed(void)
{
    long time = 0;
    grove_t *g = must(grove_spawn_later(HOUR, note_time, &time));

    CHECK_EQUAL(grove_join(g, HOUR / 2), -1);
    grove_await(g);
    CHECK_EQUAL(time, 3600000);
}
VIRTUAL(a_spawn_can_be_delayed)

static void *compute(void *arg)
{
    uint64_t state = 1;

    for (int i = 0; i < 3000000; i++)
        random_next(&state);
    *(uint64_t *)arg = state;
    raise_flag(&arrived);
    return arg;
}

/* A sleep by which something else is long done really ends after it. */
static void time_stands_still_while_anything_runs(void)
{
    uint64_t result = 0;

    atomic_store(&arrived, 0);
    grove_t *g = must(grove_go(compute, &result));
    CHECK_EQUAL(grove_sleep(0.000001), 0);
    CHECK_EQUAL(atomic_load(&arrived), 1);
    grove_await(g);
}
VIRTUAL(time_stands_still_while_anything_runs)

static void *raise_later(void *arg)
{
    CHECK_EQUAL(grove_sleep(0.001), 0);
    raise_flag(arg);
    return arg;
}

static void polling_by_yield_lets_time_pass(void)
{
    static _Atomic(int) flag;

    atomic_store(&flag, 0);
    grove_t *g = must(grove_go(raise_later, &flag));
    until(&flag);
    grove_await(g);
}
VIRTUAL(polling_by_yield_lets_time_pass)

static int ends[2];

static void *read_one(void *arg)
{
    char byte;
    ssize_t n = grove_recv(ends[0], &byte, 1, 0, HOUR);

    CHECK_EQUAL(n, 1);
    return arg;
}

static void *write_one(void *arg)
{
    char byte = 0;

    CHECK_EQUAL(grove_sleep(1), 0);
    CHECK_EQUAL(grove_send(ends[1], &byte, 1, 0, GROVE_FOREVER), 1);
    return arg;
}

/* What is ready comes before time: the reader's timeout is near when others have only
 * just written to it. */
static void descriptors_come_before_time(void)
{
    for (int i = 0; i < 200; i++) {
        long before = milliseconds();
        CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        grove_t *reader = must(grove_go(read_one, NULL));
        grove_t *writer = must(grove_go(write_one, NULL));
        grove_await(reader);
        grove_await(writer);
        CHECK_EQUAL(milliseconds() - before, 1000);
        grove_close(ends[0]);
        grove_close(ends[1]);
    }
}
VIRTUAL(descriptors_come_before_time)

static void a_descriptor_that_stays_silent_times_out(void)
{
    char byte;

    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    CHECK_ERROR(grove_recv(ends[0], &byte, 1, 0, HOUR), ETIMEDOUT);
    CHECK(grove_now() == HOUR);
    grove_close(ends[0]);
    grove_close(ends[1]);
}
VIRTUAL(a_descriptor_that_stays_silent_times_out)

static void *take_real_time(void *arg)
{
    struct timespec real = {0, 20000000};

    nanosleep(&real, NULL);
    return arg;
}

static void offloaded_calls_come_before_time(void)
{
    void *value = NULL;

    CHECK_EQUAL(grove_offload(take_real_time, &value, HOUR, &value), 0);
    CHECK(value == &value);
    CHECK_EQUAL(timers_clock(), 0);
    CHECK_EQUAL(grove_sleep(HOUR), 0);
    CHECK(grove_now() == HOUR);
}
VIRTUAL(offloaded_calls_come_before_time)

static void look_at_clock(void *arg)
{
    nanoseconds before = clock_real();

    *(double *)arg = grove_now();
    CHECK(*(double *)arg >= (double)before / 1e9);
    CHECK_EQUAL(grove_sleep(0.001), 0);
    CHECK(clock_real() >= before + 1000000);
    grove_t *g = must(grove_spawn_later(0.001, note_time, &(long){0}));
    grove_await(g);
    CHECK(clock_real() >= before + 2000000);
}

static void other_threads_have_real_time(void)
{
    double real = 0;

    in_thread(look_at_clock, &real);
    CHECK(real > grove_now());
}
VIRTUAL(other_threads_have_real_time)

static void time_begins_anew_with_each_runtime(void)
{
    with_virtual_time(1, it_begins_with_0_and_sleeps_are_exact);
    with_virtual_time(2, it_begins_with_0_and_sleeps_are_exact);
    CHECK_EQUAL(grove_init(&(grove_config_t){.workers = 1}), 0);
    nanoseconds before = clock_real();
    CHECK(timers_clock() >= before);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}
BARE(time_begins_anew_with_each_runtime)

/* With one worker nothing depends on real time, not even which of new greenlets comes
 * first and who is killed when by a shutdown that takes virtual seconds. */
static uint64_t hash;

static void step(intptr_t who)
{
    hash = (hash ^ (uint64_t)who) * UINT64_C(1099511628211);
    hash = (hash ^ (uint64_t)timers_clock()) * UINT64_C(1099511628211);
}

static void *live(void *arg)
{
    uint64_t state = (uintptr_t)arg;
    intptr_t who = (intptr_t)arg;

    for (int i = 0; i < 20; i++) {
        step(who);
        grove_queue_put(queue, arg, random_next(&state) % 3 * 0.001);
        step(-who);
        void *got = NULL;
        if (grove_queue_get(queue, random_next(&state) % 3 * 0.001, &got) == 0)
            step((intptr_t)got);
        if (random_next(&state) % 4 == 0)
            grove_sleep(random_next(&state) % 100 * 0.0001);
        if (random_next(&state) % 4 == 0)
            grove_yield();
    }
    return arg;
}

static uint64_t live_all(grove_config_t config)
{
    grove_t *g[20];

    hash = 0;
    config.report = GROVE_REPORT_OFF;
    config.clock = GROVE_CLOCK_VIRTUAL;
    if (!CHECK_EQUAL(grove_init(&config), 0))
        return 0;
    queue = grove_queue_new(GROVE_FIFO, 3);
    for (intptr_t i = 0; i < 20; i++)
        g[i] = must(i % 2 ? grove_go(live, (void *)i) : grove_spawn(live, (void *)i));
    for (int i = 0; i < 10; i++)
        grove_await(g[i]);
    for (int i = 10; i < 20; i++)
        grove_release(g[i]);
    if (!config.seed)
        grove_sleep(HOUR); /* who is killed first is drawn by seeds alone */
    CHECK_EQUAL(grove_shutdown(HOUR), 0);
    grove_queue_free(queue);
    return hash;
}

static void one_worker_repeats(void)
{
    uint64_t first = live_all((grove_config_t){.workers = 1});

    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(live_all((grove_config_t){.workers = 1}), first);
}
BARE(one_worker_repeats)

static void seeds_repeat(void)
{
    uint64_t before = 0;

    for (uint64_t seed = 1; seed <= harness_rounds(100); seed++) {
        uint64_t first = live_all((grove_config_t){.seed = seed});
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(live_all((grove_config_t){.seed = seed}), first);
        CHECK(first != before);
        before = first;
    }
}
BARE(seeds_repeat)

/* In a process with no other thread: see test_deadlock.c. */
static void *wait_for_hour(void *arg)
{
    grove_event_wait(arg, HOUR);
    return arg;
}

static int deadlock_after_last_timer(void)
{
    static grove_event_t never = GROVE_EVENT_INIT;

    grove_release(must(grove_go(wait_for_hour, &never)));
    if (grove_event_wait(&never, GROVE_FOREVER) != -1 || errno != EDEADLK)
        return 1;
    return grove_now() == HOUR ? 0 : 2;
}

static void a_deadlock_is_found_after_the_last_timer(void)
{
    for (int workers = 1; workers <= 3; workers++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            grove_config_t config = {.workers = workers,
                .report = GROVE_REPORT_OFF,
                .clock = GROVE_CLOCK_VIRTUAL};
            alarm(20);
            _exit(grove_init(&config) < 0 ? 99 : deadlock_after_last_timer());
        }
        waitpid(child, &status, 0);
        CHECK_EQUAL(status, 0);
    }
}

static void a_deadlock_is_found_after_the_last_timer_test(void)
{
    if (!SANITIZE_THREAD) /* it lets no child of a threaded process start threads */
        a_deadlock_is_found_after_the_last_timer();
}

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("it begins with 0, and sleeps are exact",
            it_begins_with_0_and_sleeps_are_exact),
        TEST("sleepers of all workers wake in order",
            sleepers_of_all_workers_wake_in_order),
        TEST("sleepers of the lane wake in order", sleepers_of_the_lane_wake_in_order),
        TEST("sleeps of many are exact", sleeps_of_many_are_exact),
        TEST("timeouts fire when all wait", timeouts_fire_when_all_wait),
        TEST("a spawn can be delayed", a_spawn_can_be_delayed),
        TEST("time stands still while anything runs",
            time_stands_still_while_anything_runs),
        TEST("polling by yield lets time pass", polling_by_yield_lets_time_pass),
        TEST("descriptors come before time", descriptors_come_before_time),
        TEST("a descriptor that stays silent times out",
            a_descriptor_that_stays_silent_times_out),
        TEST("offloaded calls come before time", offloaded_calls_come_before_time),
        TEST("other threads have real time", other_threads_have_real_time),
        TEST("time begins anew with each runtime", time_begins_anew_with_each_runtime),
        TEST("one worker repeats", one_worker_repeats),
        TEST("seeds repeat", seeds_repeat),
        TEST("a deadlock is found after the last timer",
            a_deadlock_is_found_after_the_last_timer),
    };
    return harness_main("clock", tests, sizeof tests / sizeof *tests);
}
