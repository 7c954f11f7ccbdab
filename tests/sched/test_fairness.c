/* SPDX-License-Identifier: MIT */
/* What is ready runs, whatever else is ready too. The watchdog is the judge: each test
 * ends only when the one that could starve has run. */
#include <poll.h>
#include <time.h>

#include <grove/event.h>
#include <grove/io.h>

#include "tests/sched/runtimes.h"

static _Atomic(bool) over;

static void *set_over(void *arg)
{
    atomic_store(&over, true);
    return arg;
}

static void *yield_until_over(void *arg)
{
    while (!atomic_load_explicit(&over, memory_order_relaxed))
        grove_yield();
    return arg;
}

static grove_event_t ping, pong;

static void *play(void *arg)
{
    grove_event_t *mine = arg ? &ping : &pong, *theirs = arg ? &pong : &ping;

    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        grove_event_set(theirs);
        if (grove_event_wait(mine, 0.1) == 0)
            grove_event_clear(mine);
    }
    grove_event_set(theirs);
    return NULL;
}

/* Go's TestTimerFairness: a pair that keeps each other ready, and a timer of 20 ms. */
static void a_timer_fires_while_two_play_ping_pong(void)
{
    atomic_store(&over, false);
    ping = pong = (grove_event_t)GROVE_EVENT_INIT;
    grove_t *a = must(grove_spawn(play, NULL));
    grove_t *b = must(grove_spawn(play, &over));
    grove_t *timer = must(grove_spawn_later(0.02, set_over, NULL));

    grove_await(a);
    grove_await(b);
    grove_await(timer);
}
EVERYWHERE(a_timer_fires_while_two_play_ping_pong)

static void a_timer_fires_while_others_yield(void)
{
    grove_t *g[4];

    atomic_store(&over, false);
    for (int i = 0; i < 4; i++)
        g[i] = must(grove_spawn(yield_until_over, NULL));
    grove_await(must(grove_spawn_later(0.005, set_over, NULL)));
    for (int i = 0; i < 4; i++)
        grove_await(g[i]);
}
EVERYWHERE(a_timer_fires_while_others_yield)

/* New tasks are taken newest first: each makes the next, so that without care the
 * oldest would never be. On one worker there is no thief to take it either. */
static void *flood(void *arg)
{
    if (!atomic_load_explicit(&over, memory_order_relaxed))
        grove_release(must(grove_go(flood, arg)));
    return NULL;
}

static void a_flood_of_new_tasks_starves_no_old_one(void)
{
    atomic_store(&over, false);
    grove_t *old = must(grove_go(set_over, NULL));
    grove_t *lure = must(grove_go(flood, NULL));

    CHECK_EQUAL(grove_joinall((grove_t *[]){old, lure}, 2, GROVE_FOREVER), 0);
    grove_release(old);
    grove_release(lure);
}
EVERYWHERE(a_flood_of_new_tasks_starves_no_old_one)

static void a_flood_starves_no_timer(void)
{
    atomic_store(&over, false);
    grove_t *timer = must(grove_spawn_later(0.005, set_over, NULL));

    grove_release(must(grove_go(flood, NULL)));
    grove_release(must(grove_go(flood, NULL)));
    grove_await(timer);
}
EVERYWHERE(a_flood_starves_no_timer)

static void ready_greenlets_starve_no_new_task(void)
{
    atomic_store(&over, false);
    grove_t *a = must(grove_spawn(yield_until_over, NULL));
    grove_t *b = must(grove_spawn(yield_until_over, NULL));
    grove_t *task = must(grove_go(set_over, NULL));

    grove_await(a);
    grove_await(b);
    grove_await(task);
}
EVERYWHERE(ready_greenlets_starve_no_new_task)

static void go_set_over(void *arg)
{
    grove_release(must(grove_go(set_over, arg)));
}

static void ready_greenlets_starve_no_task_of_a_plain_thread(void)
{
    atomic_store(&over, false);
    grove_t *a = must(grove_go(yield_until_over, NULL));
    grove_t *b = must(grove_go(yield_until_over, NULL));
    grove_t *c = must(grove_spawn(yield_until_over, NULL));

    in_thread(go_set_over, NULL);
    grove_await(a);
    grove_await(b);
    grove_await(c);
}
EVERYWHERE(ready_greenlets_starve_no_task_of_a_plain_thread)

static int ends[2];

static void *read_byte(void *arg)
{
    char byte;

    CHECK_EQUAL(grove_read(ends[0], &byte, 1, GROVE_FOREVER), 1);
    return set_over(arg);
}

static void write_byte(void *arg)
{
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    (void)arg;
}

static void the_hub_is_polled_while_greenlets_run(void)
{
    if (!CHECK_EQUAL(pipe(ends), 0))
        return;
    atomic_store(&over, false);
    grove_t *reader = must(grove_spawn(read_byte, NULL));
    grove_yield();
    grove_t *a = must(grove_spawn(yield_until_over, NULL));
    grove_t *b = must(grove_spawn(yield_until_over, NULL));
    grove_release(must(grove_go(flood, NULL)));
    in_thread(write_byte, NULL);
    grove_await(reader);
    grove_await(a);
    grove_await(b);
    grove_close(ends[0]);
    close(ends[1]);
}
EVERYWHERE(the_hub_is_polled_while_greenlets_run)

/* Wakes from other threads come in while greenlets run. */
static void *wait_then_over(void *arg)
{
    CHECK_EQUAL(grove_event_wait(&ping, GROVE_FOREVER), 0);
    return set_over(arg);
}

static void set_ping(void *arg)
{
    (void)arg;
    grove_event_set(&ping);
}

static void the_inbox_is_read_while_greenlets_run(void)
{
    atomic_store(&over, false);
    ping = (grove_event_t)GROVE_EVENT_INIT;
    grove_t *waiter = must(grove_spawn(wait_then_over, NULL));
    grove_t *a = must(grove_spawn(yield_until_over, NULL));
    grove_t *b = must(grove_spawn(yield_until_over, NULL));

    in_thread(set_ping, NULL);
    grove_await(waiter);
    grove_await(a);
    grove_await(b);
}
EVERYWHERE(the_inbox_is_read_while_greenlets_run)

/* Awaiting new tasks in a loop goes through none of the queues: the short way. Others
 * must run all the same. */
static void *nothing(void *arg)
{
    return arg;
}

static void *fork_and_join_until_over(void *arg)
{
    while (!atomic_load_explicit(&over, memory_order_relaxed))
        grove_await(must(grove_go(nothing, NULL)));
    return arg;
}

static void fork_and_join_starves_no_timer(void)
{
    atomic_store(&over, false);
    grove_t *forker = must(grove_spawn(fork_and_join_until_over, NULL));
    grove_t *timer = must(grove_spawn_later(0.005, set_over, NULL));

    grove_await(forker);
    grove_await(timer);
}
EVERYWHERE(fork_and_join_starves_no_timer)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a timer fires while two play ping-pong",
            a_timer_fires_while_two_play_ping_pong),
        TEST("a timer fires while others yield", a_timer_fires_while_others_yield),
        TEST("a flood of new tasks starves no old one",
            a_flood_of_new_tasks_starves_no_old_one),
        TEST("a flood starves no timer", a_flood_starves_no_timer),
        TEST("ready greenlets starve no new task", ready_greenlets_starve_no_new_task),
        TEST("ready greenlets starve no task of a plain thread",
            ready_greenlets_starve_no_task_of_a_plain_thread),
        TEST("the hub is polled while greenlets run",
            the_hub_is_polled_while_greenlets_run),
        TEST("the inbox is read while greenlets run",
            the_inbox_is_read_while_greenlets_run),
        TEST("fork and join starves no timer", fork_and_join_starves_no_timer),
    };
    return harness_main("fairness", tests, sizeof tests / sizeof *tests);
}
