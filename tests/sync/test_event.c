/* SPDX-License-Identifier: MIT */
#include <grove/event.h>

#include "tests/sync/runtimes.h"

enum { WAITERS = 5 };

static grove_event_t event;
static int order[WAITERS], woken;

static void fresh(void)
{
    event = (grove_event_t)GROVE_EVENT_INIT;
    woken = 0;
}

static void *wait_and_note(void *arg)
{
    if (CHECK_EQUAL(grove_event_wait(&event, GROVE_FOREVER), 0))
        order[woken++] = (int)(intptr_t)arg;
    return NULL;
}

static void a_set_event_does_not_block(void)
{
    fresh();
    CHECK(!grove_event_is_set(&event));
    CHECK_EQUAL(grove_event_set(&event), 0);
    CHECK(grove_event_is_set(&event));
    CHECK_EQUAL(grove_event_wait(&event, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_event_wait(&event, 0), 0);
    CHECK_EQUAL(grove_event_clear(&event), 0);
    CHECK(!grove_event_is_set(&event));
}
EVERYWHERE(a_set_event_does_not_block)

static void timeouts_fail(void)
{
    fresh();
    CHECK_ERROR(grove_event_wait(&event, 0), ETIMEDOUT);
    CHECK_ERROR(grove_event_wait(&event, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_event_wait(&event, (double)NAN), EINVAL);
    CHECK(event.waiters_.first_ == NULL && event.waiters_.last_ == NULL);
}
EVERYWHERE(timeouts_fail)

/* gevent: notification in wait order; a clear right after takes nothing back. */
static void set_wakes_all_in_order(void)
{
    grove_t *waiter[WAITERS];

    fresh();
    for (intptr_t i = 0; i < WAITERS; i++)
        waiter[i] = must(grove_spawn(wait_and_note, (void *)i));
    grove_yield();
    grove_event_set(&event);
    grove_event_clear(&event);
    CHECK_EQUAL(woken, 0); /* a wake never switches */
    for (int i = 0; i < WAITERS; i++)
        grove_await(waiter[i]);
    CHECK_EQUAL(woken, WAITERS);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQUAL(order[i], i);
}
EVERYWHERE(set_wakes_all_in_order)

static void *wait_for_kill(void *arg)
{
    (void)arg;
    CHECK_ERROR(grove_event_wait(&event, GROVE_FOREVER), ECANCELED);
    CHECK_ERROR(grove_event_wait(&event, GROVE_FOREVER), ECANCELED);
    grove_event_set(&event);
    /* A killed greenlet's blocking calls fail even where they wouldn't block. */
    CHECK_ERROR(grove_event_wait(&event, GROVE_FOREVER), ECANCELED);
    CHECK_EQUAL(grove_event_wait(&event, 0), 0);
    CHECK_EQUAL(grove_kill_clear(), ECANCELED);
    CHECK_EQUAL(grove_event_wait(&event, GROVE_FOREVER), 0);
    return NULL;
}

static void kill_ends_a_wait(void)
{
    fresh();
    grove_t *waiter = must(grove_spawn(wait_for_kill, NULL));
    grove_yield();
    CHECK_EQUAL(grove_kill(waiter, GROVE_FOREVER), 0);
    CHECK(event.waiters_.first_ == NULL);
    grove_release(waiter);
}
EVERYWHERE(kill_ends_a_wait)

static void a_grove_timeout_ends_a_wait(void)
{
    grove_timeout_t timeout;

    fresh();
    CHECK_EQUAL(grove_timeout_start(&timeout, 0.001), 0);
    CHECK_ERROR(grove_event_wait(&event, GROVE_FOREVER), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK(event.waiters_.first_ == NULL);
}
EVERYWHERE(a_grove_timeout_ends_a_wait)

static grove_event_t reply;

static void *thread_waits(void *arg)
{
    grove_event_t never = GROVE_EVENT_INIT;

    CHECK_ERROR(grove_event_wait(&never, 0.001), ETIMEDOUT);
    CHECK_EQUAL(grove_event_wait(&event, GROVE_FOREVER), 0);
    grove_event_set(&reply);
    return arg;
}

static void plain_threads_wait_and_set(void)
{
    pthread_t thread;

    fresh();
    reply = (grove_event_t)GROVE_EVENT_INIT;
    if (!CHECK_EQUAL(pthread_create(&thread, NULL, thread_waits, NULL), 0))
        return;
    until_waited_for(&event.waiters_);
    grove_event_set(&event);
    CHECK_EQUAL(grove_event_wait(&reply, GROVE_FOREVER), 0);
    pthread_join(thread, NULL);
}
EVERYWHERE(plain_threads_wait_and_set)

static void *set_it(void *arg)
{
    grove_event_set(arg);
    return NULL;
}

/* The event is gone as soon as the wait has returned: a setter that still touched it
 * would write into the array that then takes its place. */
static __attribute__((noinline)) void wait_on_own_stack(grove_t **setter)
{
    grove_event_t mine = GROVE_EVENT_INIT;

    *setter = must(grove_go(set_it, &mine));
    CHECK_EQUAL(grove_event_wait(&mine, GROVE_FOREVER), 0);
}

static __attribute__((noinline)) bool stack_stays_clean(void)
{
    volatile unsigned char place[256];
    bool clean = true;

    for (size_t i = 0; i < sizeof place; i++)
        place[i] = 0xa5;
    for (int pause = 0; pause < 50; pause++)
        for (size_t i = 0; i < sizeof place; i++)
            clean &= place[i] == 0xa5;
    return clean;
}

static void *die_after_wait(void *arg)
{
    for (size_t i = harness_rounds(300); i > 0; i--) {
        grove_t *setter;
        wait_on_own_stack(&setter);
        CHECK(stack_stays_clean());
        grove_await(setter);
    }
    return arg;
}

static void an_event_may_die_after_the_wait(void)
{
    grove_t *a = must(grove_go(die_after_wait, NULL));
    grove_t *b = must(grove_go(die_after_wait, NULL));

    grove_await(a);
    grove_await(b);
}
EVERYWHERE(an_event_may_die_after_the_wait)

/* Set, timeout and kill at about the same moment: whoever wins, the waiter returns,
 * with the answer of one of them, and is linked nowhere. */
static void *race_wait(void *arg)
{
    int result = grove_event_wait(arg, 0.00005);

    CHECK(result == 0 || errno == ETIMEDOUT || errno == ECANCELED);
    return NULL;
}

static void set_kill_and_timeout_race(void)
{
    uint64_t state = harness_seed();

    for (size_t i = harness_rounds(500); i > 0; i--) {
        grove_event_t raced = GROVE_EVENT_INIT;
        grove_t *waiter = must(grove_go(race_wait, &raced));
        grove_t *setter = must(grove_go(set_it, &raced));
        for (uint32_t turns = random_next(&state) % 4; turns > 0; turns--)
            grove_yield();
        if (random_next(&state) % 2)
            grove_kill(waiter, 0);
        grove_await(waiter);
        grove_await(setter);
        CHECK(raced.waiters_.first_ == NULL && raced.waiters_.last_ == NULL);
    }
}
EVERYWHERE(set_kill_and_timeout_race)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a set event does not block", a_set_event_does_not_block),
        TEST("timeouts fail", timeouts_fail),
        TEST("set wakes all in order", set_wakes_all_in_order),
        TEST("kill ends a wait", kill_ends_a_wait),
        TEST("a grove_timeout ends a wait", a_grove_timeout_ends_a_wait),
        TEST("plain threads wait and set", plain_threads_wait_and_set),
        TEST("an event may die after the wait", an_event_may_die_after_the_wait),
        TEST("set, kill and timeout race", set_kill_and_timeout_race),
    };
    return harness_main("event", tests, sizeof tests / sizeof *tests);
}
