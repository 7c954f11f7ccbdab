/* SPDX-License-Identifier: MIT */
/* Timeouts over blocks of code. */
#include <time.h>

#include <grove/event.h>

#include "tests/sched/runtimes.h"

static double monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The tutorial's first form: start, block, stop. */
static void started_and_stopped(void)
{
    grove_timeout_t timeout;
    double began = monotonic();

    CHECK_EQUAL(grove_timeout_start(&timeout, 0.002), 0);
    CHECK(!grove_timeout_fired(&timeout));
    CHECK_ERROR(grove_sleep(1e6), ETIMEDOUT);
    CHECK(monotonic() - began >= 0.002);
    CHECK(grove_timeout_fired(&timeout));
    CHECK_EQUAL(grove_sleep(0), 0); /* once only */
    CHECK_EQUAL(grove_sleep(0.001), 0);
    CHECK(grove_timeout_stop(&timeout));
    CHECK(grove_timeout_stop(&timeout));
}
EVERYWHERE(started_and_stopped)

/* The second: around a block that is quick enough. */
static void one_that_does_not_fire(void)
{
    grove_timeout_t timeout;

    CHECK_EQUAL(grove_timeout_start(&timeout, 1e6), 0);
    CHECK_EQUAL(grove_sleep(0.001), 0);
    CHECK(!grove_timeout_fired(&timeout));
    CHECK(!grove_timeout_stop(&timeout));
    CHECK(!grove_timeout_stop(&timeout));
    CHECK_EQUAL(grove_sleep(0.001), 0);
}
EVERYWHERE(one_that_does_not_fire)

/* The third: with_timeout. */
static void *sleep_for(void *arg)
{
    return grove_sleep(*(double *)arg) == 0 ? arg : NULL;
}

static void with_timeout(void)
{
    double brief = 0, endless = 1e6;
    void *value = NULL;

    CHECK_EQUAL(grove_with_timeout(1e6, sleep_for, &brief, &value), 0);
    CHECK(value == &brief);
    value = NULL;
    CHECK_ERROR(grove_with_timeout(0.001, sleep_for, &endless, &value), ETIMEDOUT);
    CHECK(value == NULL);
    CHECK_EQUAL(grove_with_timeout(GROVE_FOREVER, sleep_for, &brief, NULL), 0);
    CHECK_ERROR(grove_with_timeout((double)NAN, sleep_for, &brief, &value), EINVAL);
    CHECK(value == NULL);
}
EVERYWHERE(with_timeout)

static void *return_at_once(void *arg)
{
    return arg;
}

/* gevent: only the timeout that was raised counts; a value that came is not thrown
 * away for one that nobody has seen. */
static void with_timeout_keeps_a_value_that_came(void)
{
    void *value = NULL;

    CHECK_EQUAL(grove_with_timeout(0, return_at_once, &value, &value), 0);
    CHECK(value == &value);
    CHECK_EQUAL(grove_sleep(0), 0);
}
EVERYWHERE(with_timeout_keeps_a_value_that_came)

static void zero_fires_at_the_next_blocking_call(void)
{
    grove_timeout_t timeout;

    grove_timeout_start(&timeout, 0);
    CHECK_ERROR(grove_sleep(0), ETIMEDOUT);
    CHECK_EQUAL(grove_sleep(0), 0);
    CHECK(grove_timeout_stop(&timeout));
    grove_timeout_start(&timeout, 0);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(grove_sleep(0), 0); /* taken back: no call has reported it */
}
EVERYWHERE(zero_fires_at_the_next_blocking_call)

static void forever_never_fires(void)
{
    grove_timeout_t timeout;

    CHECK_EQUAL(grove_timeout_start(&timeout, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_sleep(0.002), 0);
    CHECK(!grove_timeout_stop(&timeout));
    CHECK_ERROR(grove_timeout_start(&timeout, (double)NAN), EINVAL);
}
EVERYWHERE(forever_never_fires)

static void nested_ones_are_told_apart(void)
{
    grove_timeout_t outer, inner;

    grove_timeout_start(&outer, 1e6);
    grove_timeout_start(&inner, 0.001);
    CHECK_ERROR(grove_sleep(1e6), ETIMEDOUT);
    CHECK(grove_timeout_fired(&inner));
    CHECK(!grove_timeout_fired(&outer));
    CHECK(grove_timeout_stop(&inner));
    CHECK(!grove_timeout_stop(&outer));

    grove_timeout_start(&outer, 0.001);
    grove_timeout_start(&inner, 1e6);
    CHECK_ERROR(grove_sleep(1e6), ETIMEDOUT);
    CHECK(!grove_timeout_fired(&inner));
    CHECK(grove_timeout_fired(&outer));
    CHECK(!grove_timeout_stop(&inner));
    CHECK(grove_timeout_stop(&outer));
}
EVERYWHERE(nested_ones_are_told_apart)

/* Two that fire during one call: the second is reported by the next call. */
static void spin_until(double time)
{
    while (monotonic() < time)
        ;
}

static void each_is_reported_once(void)
{
    grove_timeout_t a, b;

    grove_timeout_start(&a, 0.0005);
    grove_timeout_start(&b, 0.0005);
    spin_until(monotonic() + 0.001);
    CHECK_ERROR(grove_sleep(1e6), ETIMEDOUT);
    CHECK(grove_timeout_fired(&a));
    CHECK(grove_timeout_fired(&b));
    CHECK_ERROR(grove_sleep(1e6), ETIMEDOUT);
    CHECK_EQUAL(grove_sleep(0.0001), 0);
    CHECK(grove_timeout_stop(&b));
    CHECK(grove_timeout_stop(&a));
}
EVERYWHERE(each_is_reported_once)

static void one_that_is_not_reported_is_taken_back(void)
{
    grove_timeout_t a, b;

    grove_timeout_start(&a, 0.0005);
    grove_timeout_start(&b, 0.0005);
    spin_until(monotonic() + 0.001);
    CHECK_ERROR(grove_sleep(1e6), ETIMEDOUT); /* a's, as it fired first */
    CHECK(grove_timeout_stop(&b));
    CHECK_EQUAL(grove_sleep(0.0001), 0);
    CHECK(grove_timeout_stop(&a));
    CHECK_EQUAL(grove_sleep(0.0001), 0);
}
EVERYWHERE(one_that_is_not_reported_is_taken_back)

static void stopped_in_any_order(void)
{
    grove_timeout_t t[4];

    for (int round = 0; round < 24; round++) {
        for (int i = 0; i < 4; i++)
            grove_timeout_start(&t[i], i % 2 ? 1e6 : 0.0001 * i);
        grove_sleep(0.0002);
        for (int i = 0; i < 4; i++)
            grove_timeout_stop(&t[(i * (round % 2 ? 1 : 3) + round / 2) % 4]);
        CHECK_EQUAL(grove_sleep(0.0003), 0);
    }
}
EVERYWHERE(stopped_in_any_order)

static void *own_timeout(void *arg)
{
    grove_timeout_t timeout;

    grove_timeout_start(&timeout, *(double *)arg);
    CHECK_ERROR(grove_sleep(1e6), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    return arg;
}

/* A timeout is of one greenlet and does not touch others. */
static void others_are_not_touched(void)
{
    double delay[] = {0.003, 0.001, 0.002};
    grove_t *g[3];

    for (int i = 0; i < 3; i++)
        g[i] = must((i == 2 ? grove_go : grove_spawn)(own_timeout, &delay[i]));
    for (int i = 0; i < 3; i++)
        CHECK(grove_await(g[i]) == &delay[i]);
}
EVERYWHERE(others_are_not_touched)

/* gevent: what became ready in the same pass comes before the timeout. */
static grove_event_t event;

static void *set_event_late(void *arg)
{
    while (monotonic() <= *(double *)arg)
        ;
    grove_event_set(&event);
    return arg;
}

static void what_is_ready_comes_before_the_timeout(void)
{
    grove_timeout_t timeout;
    double past;

    event = (grove_event_t)GROVE_EVENT_INIT;
    grove_t *setter = must(grove_spawn(set_event_late, &past));
    /* Longer than this thread may be held up before the setter runs. */
    grove_timeout_start(&timeout, 0.03);
    past = monotonic() + 0.03;
    CHECK_EQUAL(grove_event_wait(&event, GROVE_FOREVER), 0);
    grove_timeout_stop(&timeout); /* may have fired on the way back */
    grove_await(setter);
}
EVERYWHERE(what_is_ready_comes_before_the_timeout)

static void *end_with_one_running(void *arg)
{
    grove_timeout_start(arg, 1e6);
    return NULL;
}

/* Not stopped before the end: against the rules, but it must not fire into nothing. */
static void the_end_stops_those_left(void)
{
    static grove_timeout_t left;

    grove_await(must(grove_spawn(end_with_one_running, &left)));
    CHECK(left.timer_.id == 0);
    CHECK_EQUAL(grove_sleep(0.001), 0);
}
EVERYWHERE(the_end_stops_those_left)

static void link_starts_one(grove_t *g, void *arg)
{
    grove_timeout_t timeout;

    (void)g;
    CHECK_ERROR(grove_timeout_start(&timeout, 1), EPERM);
    *(bool *)arg = true;
}

static void a_hub_callback_has_none(void)
{
    bool called = false;
    grove_t *g = must(grove_spawn(return_at_once, NULL));

    grove_link(g, link_starts_one, &called);
    grove_await(g);
    CHECK(called);
}
EVERYWHERE(a_hub_callback_has_none)

static void killed_under_a_timeout(void *main)
{
    grove_kill(main, 0);
}

static void a_kill_goes_first(void)
{
    grove_timeout_t timeout;

    grove_timeout_start(&timeout, 0);
    killed_under_a_timeout(grove_current());
    CHECK_ERROR(grove_sleep(1), ECANCELED);
    CHECK_EQUAL(grove_kill_clear(), ECANCELED);
    CHECK_ERROR(grove_sleep(1), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
}
EVERYWHERE(a_kill_goes_first)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("started and stopped", started_and_stopped),
        TEST("one that does not fire", one_that_does_not_fire),
        TEST("with_timeout", with_timeout),
        TEST("with_timeout keeps a value that came",
            with_timeout_keeps_a_value_that_came),
        TEST("zero fires at the next blocking call",
            zero_fires_at_the_next_blocking_call),
        TEST("forever never fires", forever_never_fires),
        TEST("nested ones are told apart", nested_ones_are_told_apart),
        TEST("each is reported once", each_is_reported_once),
        TEST("one that is not reported is taken back",
            one_that_is_not_reported_is_taken_back),
        TEST("stopped in any order", stopped_in_any_order),
        TEST("others are not touched", others_are_not_touched),
        TEST("what is ready comes before the timeout",
            what_is_ready_comes_before_the_timeout),
        TEST("the end stops those left", the_end_stops_those_left),
        TEST("a hub callback has none", a_hub_callback_has_none),
        TEST("a kill goes first", a_kill_goes_first),
    };
    return harness_main("timeout", tests, sizeof tests / sizeof *tests);
}
