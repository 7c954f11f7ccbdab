/* SPDX-License-Identifier: MIT */
/* Waits for several things: several reasons to end at the same time. */
#include <poll.h>
#include <sys/socket.h>

#include <grove/io.h>
#include <grove/net.h>
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

/* A grove_timeout ends the waits of which their own timeout is no failure, too. */
static void timeout_before_wait(void)
{
    grove_timeout_t timeout;
    grove_t *done[1], *busy = must(grove_spawn(keep_busy, NULL));
    grove_t *never = must(grove_spawn_later(1000, keep_busy, NULL));

    CHECK_EQUAL(grove_timeout_start(&timeout, 0.001), 0);
    CHECK_ERROR(grove_wait(&never, 1, 1, 0.002, done), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(grove_wait(&never, 1, 1, 0.001, done), 0);
    CHECK_EQUAL(grove_kill(never, GROVE_FOREVER), 0);
    grove_release(never);
    grove_await(busy);
}
ALONE(timeout_before_wait)

static void poll_under_timeout(short events)
{
    grove_timeout_t timeout;
    int fds[2];

    CHECK_EQUAL(grove_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct pollfd fd = {.fd = fds[0], .events = events};
    CHECK_EQUAL(grove_timeout_start(&timeout, 0.001), 0);
    grove_t *busy = must(grove_spawn(keep_busy, NULL));
    CHECK_ERROR(grove_poll(&fd, 1, 0.002), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(grove_poll(&fd, 1, 0.001), 0);
    grove_await(busy);
    grove_close(fds[0]);
    grove_close(fds[1]);
}

/* Both ways in which it waits. */
static void timeout_before_poll(void)
{
    poll_under_timeout(POLLIN);
    poll_under_timeout(POLLPRI);
}
ALONE(timeout_before_poll)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a grove_timeout before a timer", timeout_before_timer),
        TEST("a kill before a timer", kill_before_timer),
        TEST("a grove_timeout before the end of a grove_wait", timeout_before_wait),
        TEST("a grove_timeout before the end of a grove_poll", timeout_before_poll),
    };
    return harness_main("select races", tests, sizeof tests / sizeof *tests);
}
