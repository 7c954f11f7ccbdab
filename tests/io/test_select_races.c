/* SPDX-License-Identifier: MIT */
/* grove_select: several things that end a wait at the same time. */
#include <grove/select.h>

#include "tests/sync/runtimes.h"

/* Keeps its worker until all that is due within some milliseconds is overdue. */
static void *keep_busy(void *arg)
{
    double until = grove_now() + 0.01;

    while (grove_now() < until)
        ;
    return arg;
}

/* What is due first ends the wait, however late: a timeout isn't taken for the timer
 * that has come since. */
static void timeout_before_timer(void)
{
    grove_timeout_t timeout;
    grove_case_t cases[] = {grove_case_timer(0.002)};

    CHECK_EQUAL(grove_timeout_start(&timeout, 0.001), 0);
    grove_t *busy = must(grove_go(keep_busy, NULL));
    CHECK_ERROR(grove_select(cases, 1, GROVE_FOREVER), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    grove_await(busy);
}
ALONE(timeout_before_timer)

static void *kill_with_timedout(void *victim)
{
    CHECK_EQUAL(grove_kill_with(victim, ETIMEDOUT, 0), 0);
    return keep_busy(NULL);
}

static void *select_a_timer(void *arg)
{
    grove_case_t cases[] = {grove_case_timer(0.002)};

    CHECK_ERROR(grove_select(cases, 1, GROVE_FOREVER), ETIMEDOUT);
    return arg;
}

/* Nor is a kill with that error. */
static void kill_before_timer(void)
{
    grove_t *victim = must(grove_go(select_a_timer, NULL));

    while (!grove_started(victim))
        grove_yield();
    grove_t *killer = must(grove_go(kill_with_timedout, victim));
    grove_join(victim, GROVE_FOREVER);
    grove_await(killer);
    grove_release(victim);
}
ALONE(kill_before_timer)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a grove_timeout before a timer", timeout_before_timer),
        TEST("a kill before a timer", kill_before_timer),
    };
    return harness_main("select races", tests, sizeof tests / sizeof *tests);
}
