/* SPDX-License-Identifier: MIT */
/* Sleeping, yielding, idling. */
#include <sys/time.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/sched/runtimes.h"

static double monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *sleep_checked(void *arg)
{
    uint64_t state = (uint64_t)(intptr_t)arg;

    for (int i = 0; i < 50; i++) {
        double seconds = (double)(random_next(&state) % 2000) * 1e-6;
        double began = monotonic();
        CHECK_EQUAL(grove_sleep(seconds), 0);
        CHECK(monotonic() - began >= seconds);
    }
    return NULL;
}

static void sleep_checked_in_thread(void *arg)
{
    sleep_checked(arg);
}

static void a_sleep_is_never_early(void)
{
    grove_t *g[20];

    for (intptr_t i = 0; i < 20; i++)
        g[i] = must((i % 2 ? grove_go : grove_spawn)(
            sleep_checked, (void *)(i + (intptr_t)harness_seed())));
    in_thread(sleep_checked_in_thread, NULL);
    for (int i = 0; i < 20; i++)
        grove_await(g[i]);
}
EVERYWHERE(a_sleep_is_never_early)

static int order[64], woken;

struct sleeper {
    double seconds;
    int number;
};

static void *sleep_and_note(void *arg)
{
    struct sleeper *me = arg;

    CHECK_EQUAL(grove_sleep(me->seconds), 0);
    order[woken++] = me->number;
    return NULL;
}

/* Started at the same time they wake in the order of their lengths. The gaps are longer
 * than the starts take, or the test says nothing; so it is checked against the clock.
 */
static void sleeps_end_in_the_order_of_their_ends(void)
{
    enum { COUNT = 16 };
    struct sleeper sleeper[COUNT];
    grove_t *g[COUNT];

    woken = 0;
    for (int i = 0; i < COUNT; i++) {
        sleeper[i] = (struct sleeper){0.001 + 0.001 * ((i * 7) % COUNT), i};
        g[i] = must(grove_spawn(sleep_and_note, &sleeper[i]));
    }
    double began = monotonic();
    grove_yield();
    bool quick = monotonic() - began < 0.001;
    CHECK_EQUAL(grove_joinall(g, COUNT, GROVE_FOREVER), 0);
    for (int i = 1; i < COUNT && quick; i++)
        CHECK(sleeper[order[i - 1]].seconds < sleeper[order[i]].seconds);
    for (int i = 0; i < COUNT; i++)
        grove_release(g[i]);
}
EVERYWHERE(sleeps_end_in_the_order_of_their_ends)

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median_of_sleeps(int (*sleep)(double), int n)
{
    double taken[101];

    for (int i = 0; i < n; i++) {
        double began = monotonic();
        sleep(0.0011);
        taken[i] = monotonic() - began;
    }
    qsort(taken, (size_t)n, sizeof *taken, compare);
    return taken[n / 2];
}

static int plain_sleep(double seconds)
{
    struct timespec t = {0, (long)(seconds * 1e9)};

    return nanosleep(&t, NULL);
}

/* 1.1 ms must not become 2, as it would with the timers of epoll: compared with what
 * the kernel does for a plain nanosleep at the same time. */
static void sleeps_are_not_rounded_up_to_milliseconds(void)
{
    double ratio = 2;

    for (int tries = 0; tries < 5 && ratio > 1.7; tries++) {
        double plain = median_of_sleeps(plain_sleep, 51);
        ratio = median_of_sleeps(grove_sleep, 51) / plain;
    }
    CHECK(ratio <= 1.7);
}
ALONE(sleeps_are_not_rounded_up_to_milliseconds)

static void odd_sleeps(void)
{
    CHECK_ERROR(grove_sleep((double)NAN), EINVAL);
    CHECK_EQUAL(grove_sleep(0), 0);
    CHECK_EQUAL(grove_sleep(-5), 0);
    CHECK_EQUAL(grove_sleep(1e-12), 0);
}
EVERYWHERE(odd_sleeps)

static void *sleep_endlessly(void *arg)
{
    CHECK_ERROR(grove_sleep(*(double *)arg), ECANCELED);
    return NULL;
}

static void endless_sleeps(void)
{
    double seconds[] = {1e6, 1e12, 1e300, (double)INFINITY};

    for (int i = 0; i < 4; i++) {
        grove_t *g = must(grove_spawn(sleep_endlessly, &seconds[i]));
        grove_sleep(0.001);
        CHECK(!grove_ready(g));
        CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
        grove_release(g);
    }
}
EVERYWHERE(endless_sleeps)

/* gevent: sleep(0) is a turn of everything that is ready on this thread. */
static int turns[3];

static void *take_turns(void *arg)
{
    int me = (int)(intptr_t)arg;

    for (int i = 0; i < 100; i++) {
        for (int other = 0; other < 3; other++)
            CHECK(abs(turns[me] - turns[other]) <= 1);
        turns[me]++;
        if (i % 2)
            grove_yield();
        else
            grove_sleep(0);
    }
    return NULL;
}

static void yields_take_turns(void)
{
    grove_t *g[3];

    memset(turns, 0, sizeof turns);
    for (intptr_t i = 0; i < 3; i++)
        g[i] = must(grove_spawn(take_turns, (void *)i));
    for (int i = 0; i < 3; i++)
        grove_await(g[i]);
}
EVERYWHERE(yields_take_turns)

static void yield_anywhere(void *arg)
{
    (void)arg;
    grove_yield();
    CHECK_EQUAL(grove_sleep(0), 0);
    CHECK_EQUAL(grove_sleep(0.0001), 0);
    CHECK_EQUAL(grove_idle(), 0);
    CHECK(grove_current() == NULL);
}

static void plain_threads_yield_and_sleep(void)
{
    in_thread(yield_anywhere, NULL);
}
EVERYWHERE(plain_threads_yield_and_sleep)

static void yield_in_link(grove_t *g, void *arg)
{
    (void)g;
    grove_yield(); /* no switch, no failure */
    *(bool *)arg = true;
}

static void a_yield_in_the_hub_does_nothing(void)
{
    bool called = false;
    grove_t *g = must(grove_spawn(sleep_and_note, &(struct sleeper){0}));

    woken = 0;
    grove_link(g, yield_in_link, &called);
    grove_await(g);
    CHECK(called);
}
EVERYWHERE(a_yield_in_the_hub_does_nothing)

static int busy_turns;

static void *be_busy(void *arg)
{
    for (int i = 0; i < 300; i++) {
        busy_turns++;
        grove_yield();
    }
    return arg;
}

static void *go_idle(void *arg)
{
    CHECK_EQUAL(grove_idle(), 0);
    CHECK_EQUAL(busy_turns, 600);
    return arg;
}

static void idle_waits_until_nothing_is_ready(void)
{
    busy_turns = 0;
    grove_t *idler = must(grove_spawn(go_idle, &busy_turns));
    grove_t *a = must(grove_spawn(be_busy, NULL));
    grove_t *b = must(grove_spawn(be_busy, NULL));

    CHECK(grove_await(idler) == &busy_turns);
    grove_await(a);
    grove_await(b);
    CHECK_EQUAL(grove_idle(), 0); /* alone: at once */
}
EVERYWHERE(idle_waits_until_nothing_is_ready)

static void *idle_until_error(void *arg)
{
    CHECK_ERROR(grove_idle(), (int)(intptr_t)arg);
    return NULL;
}

static void *idle_under_timeout(void *arg)
{
    grove_timeout_t timeout;

    grove_timeout_start(&timeout, 0.001);
    CHECK_ERROR(grove_idle(), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    return arg;
}

static void idle_is_ended_by_kill_and_timeout(void)
{
    grove_t *a = must(grove_spawn(idle_until_error, (void *)ECANCELED));
    grove_t *b = must(grove_spawn(idle_until_error, (void *)ECANCELED));
    grove_t *c = must(grove_spawn(idle_under_timeout, NULL));

    /* Never idle meanwhile: this greenlet is always ready. */
    while (!grove_ready(c))
        grove_yield();
    CHECK_EQUAL(grove_kill(a, 0), 0);
    CHECK_EQUAL(grove_kill(b, 0), 0);
    while (!grove_ready(a) || !grove_ready(b))
        grove_yield();
    grove_release(a);
    grove_release(b);
    grove_release(c);
}
EVERYWHERE(idle_is_ended_by_kill_and_timeout)

/* A thousand signals a second, on whatever stack is running. */
static atomic_int signals;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add_explicit(&signals, 1, memory_order_relaxed);
}

static void *join_sleepers(void *arg)
{
    for (int i = 0; i < 10; i++) {
        grove_t *g = must(grove_go(sleep_checked, (void *)(intptr_t)i));
        while (grove_join(g, 0.0005) < 0)
            CHECK_EQUAL(errno, ETIMEDOUT);
        grove_release(g);
    }
    return arg;
}

static void signals_disturb_nothing(void)
{
    struct itimerval every = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_signal}, before;

    sigaction(SIGALRM, &action, &before);
    atomic_store_explicit(&signals, 0, memory_order_relaxed);
    setitimer(ITIMER_REAL, &every, NULL);
    a_sleep_is_never_early();
    grove_t *joiner = must(grove_spawn(join_sleepers, NULL));
    grove_await(must(grove_go(join_sleepers, NULL)));
    grove_await(joiner);
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
    CHECK(atomic_load_explicit(&signals, memory_order_relaxed) > 10);
}
EVERYWHERE(signals_disturb_nothing)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a sleep is never early", a_sleep_is_never_early),
        TEST("sleeps end in the order of their ends",
            sleeps_end_in_the_order_of_their_ends),
        TEST("sleeps are not rounded up to milliseconds",
            sleeps_are_not_rounded_up_to_milliseconds),
        TEST("odd sleeps", odd_sleeps),
        TEST("endless sleeps", endless_sleeps),
        TEST("yields take turns", yields_take_turns),
        TEST("plain threads yield and sleep", plain_threads_yield_and_sleep),
        TEST("a yield in the hub does nothing", a_yield_in_the_hub_does_nothing),
        TEST("idle waits until nothing is ready", idle_waits_until_nothing_is_ready),
        TEST("idle is ended by kill and timeout", idle_is_ended_by_kill_and_timeout),
        TEST("signals disturb nothing", signals_disturb_nothing),
    };
    return harness_main("sleep", tests, sizeof tests / sizeof *tests);
}
