/* SPDX-License-Identifier: MIT */
#include <grove/lock.h>

#include "tests/sync/runtimes.h"

enum { GREENLETS = 6, THREADS = 2 };

static grove_lock_t lock;
static grove_rlock_t rlock;
static long counter; /* under the lock */

static void fresh(void)
{
    lock = (grove_lock_t)GROVE_LOCK_INIT;
    rlock = (grove_rlock_t)GROVE_RLOCK_INIT;
    counter = 0;
}

static void is_taken_once(void)
{
    fresh();
    CHECK(!grove_lock_locked(&lock));
    CHECK_EQUAL(grove_lock_acquire(&lock, GROVE_FOREVER), 0);
    CHECK(grove_lock_locked(&lock));
    CHECK_ERROR(grove_lock_acquire(&lock, 0), ETIMEDOUT);
    CHECK_ERROR(grove_lock_acquire(&lock, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_lock_acquire(&lock, (double)NAN), EINVAL);
    CHECK_EQUAL(grove_lock_release(&lock), 0);
    CHECK_EQUAL(grove_lock_acquire(&lock, 0), 0);
    CHECK_EQUAL(grove_lock_release(&lock), 0);
    CHECK_ERROR(grove_lock_release(&lock), EPERM);
    CHECK(!grove_lock_locked(&lock));
}
EVERYWHERE(is_taken_once)

static int order[GREENLETS], taken;

static void *take_and_note(void *arg)
{
    CHECK_EQUAL(grove_lock_acquire(&lock, GROVE_FOREVER), 0);
    order[taken++] = (int)(intptr_t)arg;
    CHECK_EQUAL(grove_lock_release(&lock), 0);
    return NULL;
}

static void waiters_are_served_in_order(void)
{
    grove_t *waiter[GREENLETS];

    fresh();
    taken = 0;
    grove_lock_acquire(&lock, GROVE_FOREVER);
    for (intptr_t i = 0; i < GREENLETS; i++)
        waiter[i] = must(grove_spawn(take_and_note, (void *)i));
    grove_yield();
    grove_lock_release(&lock);
    CHECK_EQUAL(taken, 0);
    for (int i = 0; i < GREENLETS; i++)
        grove_await(waiter[i]);
    for (int i = 0; i < GREENLETS; i++)
        CHECK_EQUAL(order[i], i);
}
EVERYWHERE(waiters_are_served_in_order)

/* Who releases may take again at once, although others wait. */
static void a_free_lock_goes_to_who_asks(void)
{
    fresh();
    taken = 0;
    grove_lock_acquire(&lock, GROVE_FOREVER);
    grove_t *waiter = must(grove_spawn(take_and_note, NULL));
    grove_yield();
    grove_lock_release(&lock);
    CHECK_EQUAL(grove_lock_acquire(&lock, GROVE_FOREVER), 0);
    CHECK_EQUAL(taken, 0);
    grove_lock_release(&lock);
    grove_await(waiter);
    CHECK_EQUAL(taken, 1);
}
EVERYWHERE(a_free_lock_goes_to_who_asks)

/* But not for ever: the waiter gets its turn while the other keeps taking it. */
static void nobody_is_overtaken_for_ever(void)
{
    fresh();
    taken = 0;
    grove_lock_acquire(&lock, GROVE_FOREVER);
    grove_t *waiter = must(grove_spawn(take_and_note, NULL));
    for (int turns = 0; taken == 0 && turns < 5; turns++) {
        grove_yield(); /* with the lock held: the waiter finds it taken each time */
        grove_lock_release(&lock);
        grove_lock_acquire(&lock, GROVE_FOREVER);
    }
    CHECK_EQUAL(taken, 1);
    grove_lock_release(&lock);
    grove_await(waiter);
}
EVERYWHERE(nobody_is_overtaken_for_ever)

static void *fail_to_take(void *arg)
{
    CHECK_ERROR(grove_lock_acquire(&lock, GROVE_FOREVER), ECANCELED);
    return arg;
}

/* The lock is free and its wake on the way to a waiter that is then killed: either that
 * one gets it all the same, or the next does. */
static void *take_or_fail(void *arg)
{
    if (grove_lock_acquire(&lock, GROVE_FOREVER) == 0)
        grove_lock_release(&lock);
    else
        CHECK_EQUAL(errno, ECANCELED);
    return arg;
}

static void a_killed_waiter_loses_no_wake(void)
{
    fresh();
    taken = 0;
    grove_lock_acquire(&lock, GROVE_FOREVER);
    grove_t *first = must(grove_spawn(fail_to_take, NULL));
    grove_t *second = must(grove_spawn(take_or_fail, NULL));
    grove_t *third = must(grove_spawn(take_and_note, NULL));
    grove_yield();
    grove_kill(first, GROVE_FOREVER);
    grove_lock_release(&lock);
    grove_kill(second, 0);
    grove_await(second);
    grove_await(third);
    CHECK_EQUAL(taken, 1);
    CHECK(!grove_lock_locked(&lock));
    grove_release(first);
}
EVERYWHERE(a_killed_waiter_loses_no_wake)

static size_t rounds;

static void *count_up(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (size_t i = 0; i < rounds; i++) {
        double timeout = random_next(&state) % 8 ? GROVE_FOREVER : 0.00002;
        if (grove_lock_acquire(&lock, timeout) != 0) {
            CHECK_EQUAL(errno, ETIMEDOUT);
            i--;
            continue;
        }
        long seen = counter;
        if (random_next(&state) % 16 == 0)
            grove_yield();
        CHECK_EQUAL(counter, seen);
        counter = seen + 1;
        CHECK_EQUAL(grove_lock_release(&lock), 0);
    }
    return NULL;
}

static void excludes_greenlets_and_threads(void)
{
    grove_t *greenlet[GREENLETS];
    pthread_t thread[THREADS];

    fresh();
    rounds = harness_rounds(2000);
    for (intptr_t i = 0; i < GREENLETS; i++)
        greenlet[i] = must(grove_go(count_up, (void *)i));
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, count_up, (void *)(i + 100)), 0);
    for (int i = 0; i < GREENLETS; i++)
        grove_await(greenlet[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    CHECK_EQUAL(counter, (long)rounds * (GREENLETS + THREADS));
    CHECK(!grove_lock_locked(&lock));
    CHECK(lock.waiters_.first_ == NULL);
}
EVERYWHERE(excludes_greenlets_and_threads)

/* Killed at any moment, a greenlet has the lock or it hasn't; nothing stays locked. */
static void *take_until_killed(void *arg)
{
    while (grove_lock_acquire(&lock, GROVE_FOREVER) == 0) {
        counter++;
        grove_yield();
        grove_lock_release(&lock);
    }
    CHECK_EQUAL(errno, ECANCELED);
    return arg;
}

static void kills_race_releases(void)
{
    uint64_t state = harness_seed();
    grove_t *greenlet[GREENLETS];

    fresh();
    for (size_t round = harness_rounds(100); round > 0; round--) {
        for (int i = 0; i < GREENLETS; i++)
            greenlet[i] = must(grove_go(take_until_killed, NULL));
        for (uint32_t turns = random_next(&state) % 16; turns > 0; turns--)
            grove_yield();
        for (int i = 0; i < GREENLETS; i++)
            grove_kill(greenlet[i], random_next(&state) % 2 ? 0 : GROVE_FOREVER);
        for (int i = 0; i < GREENLETS; i++)
            grove_await(greenlet[i]);
        CHECK(!grove_lock_locked(&lock));
        CHECK(lock.waiters_.first_ == NULL);
    }
}
EVERYWHERE(kills_race_releases)

static void *release_of_another(void *arg)
{
    CHECK_ERROR(grove_rlock_release(&rlock), EPERM);
    CHECK_ERROR(grove_rlock_acquire(&rlock, 0), ETIMEDOUT);
    return arg;
}

static void an_rlock_is_taken_again(void)
{
    pthread_t thread;

    fresh();
    CHECK_EQUAL(grove_rlock_acquire(&rlock, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_rlock_acquire(&rlock, 0), 0);
    CHECK(grove_rlock_locked(&rlock));
    grove_await(must(grove_spawn(release_of_another, NULL)));
    if (CHECK_EQUAL(pthread_create(&thread, NULL, release_of_another, NULL), 0))
        pthread_join(thread, NULL);
    CHECK_EQUAL(grove_rlock_release(&rlock), 0);
    CHECK(grove_rlock_locked(&rlock));
    CHECK_EQUAL(grove_rlock_release(&rlock), 0);
    CHECK(!grove_rlock_locked(&rlock));
    CHECK_ERROR(grove_rlock_release(&rlock), EPERM);
}
EVERYWHERE(an_rlock_is_taken_again)

static void *count_up_nested(void *arg)
{
    for (size_t i = 0; i < rounds; i++) {
        CHECK_EQUAL(grove_rlock_acquire(&rlock, GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_rlock_acquire(&rlock, GROVE_FOREVER), 0);
        long seen = counter;
        if (i % 16 == 0)
            grove_yield();
        counter = seen + 1;
        CHECK_EQUAL(grove_rlock_release(&rlock), 0);
        CHECK_EQUAL(grove_rlock_release(&rlock), 0);
    }
    return arg;
}

static void an_rlock_excludes(void)
{
    grove_t *greenlet[GREENLETS];

    fresh();
    rounds = harness_rounds(1000);
    for (int i = 0; i < GREENLETS; i++)
        greenlet[i] = must(grove_go(count_up_nested, NULL));
    for (int i = 0; i < GREENLETS; i++)
        grove_await(greenlet[i]);
    CHECK_EQUAL(counter, (long)rounds * GREENLETS);
}
EVERYWHERE(an_rlock_excludes)

/* A thread stays the owner when its first spawn makes it a guest. */
static void *hold_while_becoming_guest(void *arg)
{
    CHECK_EQUAL(grove_rlock_acquire(&rlock, GROVE_FOREVER), 0);
    grove_await(must(grove_spawn(release_of_another, NULL)));
    CHECK_EQUAL(grove_rlock_release(&rlock), 0);
    return arg;
}

static void a_thread_owns_as_its_main_greenlet(void)
{
    pthread_t thread;

    fresh();
    if (CHECK_EQUAL(pthread_create(&thread, NULL, hold_while_becoming_guest, NULL), 0))
        pthread_join(thread, NULL);
}
EVERYWHERE(a_thread_owns_as_its_main_greenlet)

/* Runs others until told to stop: with enough of them ready, timers fire between a wake
 * and its run. */
static void *yield_on(void *stop)
{
    while (!atomic_load((_Atomic(int) *)stop))
        grove_yield();
    return NULL;
}

static void *acquire_in_time(void *arg)
{
    grove_timeout_t timeout;

    CHECK_EQUAL(grove_timeout_start(&timeout, 0.02), 0);
    bool acquired = grove_lock_acquire(&lock, GROVE_FOREVER) == 0;
    /* The timeout has ended the wait, or ends the next one: never neither. */
    if (acquired)
        CHECK_ERROR(grove_sleep(0), ETIMEDOUT);
    else
        CHECK_EQUAL(errno, ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    if (acquired)
        grove_lock_release(&lock);
    return arg;
}

static void a_timeout_after_the_wake_is_reported(void)
{
    enum { YIELDING = 300 };
    static _Atomic(int) stop;
    grove_t *yielding[YIELDING];

    fresh();
    stop = 0;
    grove_lock_acquire(&lock, GROVE_FOREVER);
    grove_t *acquirer = must(grove_go(acquire_in_time, NULL));
    until_waited_for((grove_waiters_t *)&lock);
    for (int i = 0; i < YIELDING; i++)
        yielding[i] = must(grove_go(yield_on, &stop));
    for (int i = 0; i < YIELDING; i++)
        while (!grove_started(yielding[i]))
            grove_yield();
    for (double end = grove_now() + 0.03; grove_now() < end;)
        ;
    grove_lock_release(&lock);
    grove_join(acquirer, GROVE_FOREVER);
    stop = 1;
    for (int i = 0; i < YIELDING; i++)
        grove_await(yielding[i]);
    grove_release(acquirer);
    CHECK_EQUAL(grove_lock_acquire(&lock, 0), 0);
}
ALONE(a_timeout_after_the_wake_is_reported)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("is taken once", is_taken_once),
        TEST("waiters are served in order", waiters_are_served_in_order),
        TEST("a free lock goes to who asks", a_free_lock_goes_to_who_asks),
        TEST("nobody is overtaken for ever", nobody_is_overtaken_for_ever),
        TEST("a killed waiter loses no wake", a_killed_waiter_loses_no_wake),
        TEST("a timeout after the wake is reported",
            a_timeout_after_the_wake_is_reported),
        TEST("excludes greenlets and threads", excludes_greenlets_and_threads),
        TEST("kills race releases", kills_race_releases),
        TEST("an rlock is taken again", an_rlock_is_taken_again),
        TEST("an rlock excludes", an_rlock_excludes),
        TEST("a thread owns as its main greenlet", a_thread_owns_as_its_main_greenlet),
    };
    return harness_main("lock", tests, sizeof tests / sizeof *tests);
}
