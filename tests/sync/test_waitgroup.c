/* SPDX-License-Identifier: MIT */
#include <grove/waitgroup.h>

#include <limits.h>

#include "tests/sync/runtimes.h"

enum { WAITERS = 5, WORKERS = 4 };

static grove_waitgroup_t group;
static int order[WAITERS], woken;

static void fresh(int n)
{
    group = (grove_waitgroup_t)GROVE_WAITGROUP_INIT;
    CHECK_EQUAL(grove_waitgroup_add(&group, n), 0);
    woken = 0;
}

static void an_empty_group_does_not_block(void)
{
    fresh(0);
    CHECK_EQUAL(grove_waitgroup_count(&group), 0);
    CHECK_EQUAL(grove_waitgroup_wait(&group, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_waitgroup_wait(&group, 0), 0);
}
EVERYWHERE(an_empty_group_does_not_block)

static void it_counts(void)
{
    fresh(2);
    CHECK_EQUAL(grove_waitgroup_add(&group, 3), 0);
    CHECK_EQUAL(grove_waitgroup_count(&group), 5);
    CHECK_EQUAL(grove_waitgroup_done(&group), 0);
    CHECK_EQUAL(grove_waitgroup_add(&group, -2), 0);
    CHECK_EQUAL(grove_waitgroup_count(&group), 2);
    CHECK_ERROR(grove_waitgroup_wait(&group, 0), ETIMEDOUT);
    CHECK_ERROR(grove_waitgroup_wait(&group, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_waitgroup_wait(&group, (double)NAN), EINVAL);
    CHECK(group.waiters_.first_ == NULL);
}
EVERYWHERE(it_counts)

static void counts_out_of_range_fail(void)
{
    fresh(1);
    CHECK_ERROR(grove_waitgroup_add(&group, -2), EINVAL);
    CHECK_ERROR(grove_waitgroup_add(&group, INT_MIN), EINVAL);
    CHECK_ERROR(grove_waitgroup_add(&group, INT_MAX), EOVERFLOW);
    CHECK_EQUAL(grove_waitgroup_count(&group), 1);
    CHECK_EQUAL(grove_waitgroup_add(&group, INT_MAX - 1), 0);
    CHECK_EQUAL(grove_waitgroup_count(&group), INT_MAX);
    CHECK_EQUAL(grove_waitgroup_add(&group, -INT_MAX), 0);
    CHECK_ERROR(grove_waitgroup_done(&group), EINVAL);
}
EVERYWHERE(counts_out_of_range_fail)

static void *wait_and_note(void *arg)
{
    if (CHECK_EQUAL(grove_waitgroup_wait(&group, GROVE_FOREVER), 0))
        order[woken++] = (int)(intptr_t)arg;
    return NULL;
}

/* What is added afterwards takes nothing back. */
static void the_last_done_wakes_all_in_order(void)
{
    grove_t *waiter[WAITERS];

    fresh(2);
    for (intptr_t i = 0; i < WAITERS; i++)
        waiter[i] = must(grove_spawn(wait_and_note, (void *)i));
    grove_yield();
    grove_waitgroup_done(&group);
    grove_yield();
    CHECK_EQUAL(woken, 0);
    grove_waitgroup_done(&group);
    grove_waitgroup_add(&group, 1);
    CHECK_EQUAL(woken, 0); /* never switches */
    for (int i = 0; i < WAITERS; i++)
        grove_await(waiter[i]);
    CHECK_EQUAL(woken, WAITERS);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQUAL(order[i], i);
}
EVERYWHERE(the_last_done_wakes_all_in_order)

static void *wait_in_vain(void *arg)
{
    CHECK_ERROR(grove_waitgroup_wait(&group, GROVE_FOREVER), ECANCELED);
    return arg;
}

static void a_kill_ends_a_wait(void)
{
    fresh(1);
    grove_t *waiter = must(grove_spawn(wait_in_vain, NULL));
    grove_yield();
    CHECK_EQUAL(grove_kill(waiter, GROVE_FOREVER), 0);
    CHECK(group.waiters_.first_ == NULL);
    grove_release(waiter);
}
EVERYWHERE(a_kill_ends_a_wait)

static void *report_done(void *arg)
{
    CHECK_EQUAL(grove_waitgroup_done(arg), 0);
    return NULL;
}

static void thread_waits(void *arg)
{
    CHECK_ERROR(grove_waitgroup_wait(&group, 0.001), ETIMEDOUT);
    raise_flag(arg);
    CHECK_EQUAL(grove_waitgroup_wait(&group, GROVE_FOREVER), 0);
}

static void *finish_after(void *flag)
{
    until(flag);
    grove_waitgroup_done(&group);
    return NULL;
}

static void plain_threads_wait(void)
{
    _Atomic(int) tried = 0;

    fresh(1);
    grove_t *finisher = must(grove_spawn(finish_after, &tried));
    in_thread(thread_waits, &tried);
    grove_await(finisher);
    CHECK_EQUAL(grove_waitgroup_count(&group), 0);
}
EVERYWHERE(plain_threads_wait)

/*
 * The group is gone as soon as the wait has returned: a done that still touched it
 * would write into the array that then takes its place. The last done comes from a
 * thread, while the waiter sleeps or just before it looks.
 */
static _Atomic(grove_waitgroup_t *) posted;

static grove_waitgroup_t *take_posted(void)
{
    grove_waitgroup_t *taken;

    while (!(taken = atomic_exchange_explicit(&posted, NULL, memory_order_acquire)))
        grove_yield();
    return taken;
}

static void *finish_posted(void *arg)
{
    for (size_t i = harness_rounds(1000); i > 0; i--) {
        grove_waitgroup_t *mine = take_posted();
        if (i % 2 == 0)
            until_waited_for(&mine->waiters_);
        grove_waitgroup_done(mine);
    }
    return arg;
}

static __attribute__((noinline)) void wait_on_own_stack(bool late)
{
    grove_waitgroup_t mine = GROVE_WAITGROUP_INIT;

    grove_waitgroup_add(&mine, 1);
    atomic_store_explicit(&posted, &mine, memory_order_release);
    while (late && grove_waitgroup_count(&mine) > 0)
        grove_yield();
    CHECK_EQUAL(grove_waitgroup_wait(&mine, GROVE_FOREVER), 0);
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

static void a_group_may_die_after_the_wait(void)
{
    pthread_t thread;

    if (!CHECK_EQUAL(pthread_create(&thread, NULL, finish_posted, NULL), 0))
        return;
    for (size_t i = harness_rounds(1000); i > 0; i--) {
        wait_on_own_stack(i % 2);
        CHECK(stack_stays_clean());
    }
    pthread_join(thread, NULL);
}
EVERYWHERE(a_group_may_die_after_the_wait)

/* The last done, timeout and kill at about the same moment. */
static void *race_wait(void *arg)
{
    int result = grove_waitgroup_wait(arg, 0.00005);

    CHECK(result == 0 || errno == ETIMEDOUT || errno == ECANCELED);
    return NULL;
}

static void dones_kills_and_timeouts_race(void)
{
    uint64_t state = harness_seed();

    for (size_t round = harness_rounds(500); round > 0; round--) {
        grove_waitgroup_t raced = GROVE_WAITGROUP_INIT;
        grove_t *waiter[WAITERS], *worker[WORKERS];
        grove_waitgroup_add(&raced, WORKERS);
        for (int i = 0; i < WAITERS; i++)
            waiter[i] = must(grove_go(race_wait, &raced));
        for (int i = 0; i < WORKERS; i++)
            worker[i] = must(grove_go(report_done, &raced));
        for (uint32_t turns = random_next(&state) % 4; turns > 0; turns--)
            grove_yield();
        for (int i = 0; i < WAITERS; i++)
            if (random_next(&state) % 2)
                grove_kill(waiter[i], 0);
        CHECK_EQUAL(grove_waitgroup_wait(&raced, GROVE_FOREVER), 0);
        for (int i = 0; i < WAITERS; i++)
            grove_await(waiter[i]);
        for (int i = 0; i < WORKERS; i++)
            grove_await(worker[i]);
        CHECK_EQUAL(grove_waitgroup_count(&raced), 0);
        CHECK(raced.waiters_.first_ == NULL && raced.waiters_.last_ == NULL);
    }
}
EVERYWHERE(dones_kills_and_timeouts_race)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("an empty group does not block", an_empty_group_does_not_block),
        TEST("it counts", it_counts),
        TEST("counts out of range fail", counts_out_of_range_fail),
        TEST("the last done wakes all in order", the_last_done_wakes_all_in_order),
        TEST("a kill ends a wait", a_kill_ends_a_wait),
        TEST("plain threads wait", plain_threads_wait),
        TEST("a group may die after the wait", a_group_may_die_after_the_wait),
        TEST("dones, kills and timeouts race", dones_kills_and_timeouts_race),
    };
    return harness_main("waitgroup", tests, sizeof tests / sizeof *tests);
}
