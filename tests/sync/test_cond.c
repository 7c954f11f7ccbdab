/* SPDX-License-Identifier: MIT */
#include <grove/cond.h>

#include "sync/permits.h"
#include "tests/sync/runtimes.h"

enum { WAITERS = 5 };

static grove_cond_t cond;
static grove_lock_t lock;
static grove_rlock_t rlock;
static int order[WAITERS], woken; /* under the lock */

static void fresh(void)
{
    cond = (grove_cond_t)GROVE_COND_INIT;
    lock = (grove_lock_t)GROVE_LOCK_INIT;
    rlock = (grove_rlock_t)GROVE_RLOCK_INIT;
    woken = 0;
}

/* And nobody waits, nor is counted as woken for it. */
static void check_lock_free(void)
{
    const struct permits *permits = (const struct permits *)&lock;

    CHECK(!grove_lock_locked(&lock));
    CHECK(lock.waiters_.first_ == NULL && cond.waiters_.first_ == NULL);
    CHECK_EQUAL(permits->woken, 0);
}

static void acquire(void)
{
    CHECK_EQUAL(grove_lock_acquire(&lock, GROVE_FOREVER), 0);
}

static void release(void)
{
    CHECK_EQUAL(grove_lock_release(&lock), 0);
}

static void *wait_and_note(void *arg)
{
    acquire();
    if (CHECK_EQUAL(grove_cond_wait(&cond, &lock, GROVE_FOREVER), 0))
        order[woken++] = (int)(intptr_t)arg;
    release();
    return NULL;
}

static void spawn_waiters(grove_t **waiter)
{
    for (intptr_t i = 0; i < WAITERS; i++)
        waiter[i] = must(grove_spawn(wait_and_note, (void *)i));
    grove_yield();
}

static void await_in_order(grove_t **waiter)
{
    for (int i = 0; i < WAITERS; i++)
        grove_await(waiter[i]);
    CHECK_EQUAL(woken, WAITERS);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQUAL(order[i], i);
    CHECK(!grove_lock_locked(&lock));
}

static void a_signal_ends_the_longest_wait(void)
{
    grove_t *waiter[WAITERS];

    fresh();
    spawn_waiters(waiter);
    CHECK_EQUAL(grove_cond_signal(&cond), 0);
    CHECK_EQUAL(woken, 0); /* never switches */
    grove_join(waiter[0], GROVE_FOREVER);
    CHECK_EQUAL(woken, 1);
    for (int i = 1; i < WAITERS; i++) {
        CHECK(!grove_ready(waiter[i]));
        grove_cond_signal(&cond);
    }
    await_in_order(waiter);
}
EVERYWHERE(a_signal_ends_the_longest_wait)

static void a_signal_without_a_waiter_is_forgotten(void)
{
    fresh();
    grove_cond_signal(&cond);
    grove_cond_broadcast(&cond);
    acquire();
    CHECK_ERROR(grove_cond_wait(&cond, &lock, 0.001), ETIMEDOUT);
    release();
}
EVERYWHERE(a_signal_without_a_waiter_is_forgotten)

static void a_broadcast_ends_all_waits(void)
{
    grove_t *waiter[WAITERS];

    fresh();
    spawn_waiters(waiter);
    CHECK_EQUAL(grove_cond_broadcast(&cond), 0);
    CHECK_EQUAL(woken, 0);
    await_in_order(waiter);
}
EVERYWHERE(a_broadcast_ends_all_waits)

/* With the lock held, nobody wakes: all are moved over to the lock. */
static void a_broadcast_wakes_nobody_in_vain(void)
{
    grove_t *waiter[WAITERS];

    fresh();
    spawn_waiters(waiter);
    acquire();
    grove_cond_broadcast(&cond);
    CHECK(cond.waiters_.first_ == NULL);
    struct waiter *last = lock.waiters_.last_;
    grove_yield();
    CHECK(last != NULL && lock.waiters_.last_ == last);
    release();
    await_in_order(waiter);
}
EVERYWHERE(a_broadcast_wakes_nobody_in_vain)

static void bad_calls_keep_the_lock(void)
{
    fresh();
    CHECK_ERROR(grove_cond_wait(&cond, &lock, GROVE_FOREVER), EPERM);
    CHECK_ERROR(grove_cond_wait(&cond, &lock, 0), EPERM);
    CHECK_ERROR(grove_cond_wait_rlock(&cond, &rlock, GROVE_FOREVER), EPERM);
    CHECK(!grove_lock_locked(&lock) && !grove_rlock_locked(&rlock));
    acquire();
    CHECK_ERROR(grove_cond_wait(&cond, &lock, (double)NAN), EINVAL);
    CHECK(grove_lock_locked(&lock));
    CHECK_ERROR(grove_cond_wait(&cond, &lock, 0), ETIMEDOUT);
    CHECK(grove_lock_locked(&lock));
    release();
    CHECK(cond.waiters_.first_ == NULL);
}
EVERYWHERE(bad_calls_keep_the_lock)

static bool holds;     /* the lock, says the waiter */
static double seconds; /* how long it waits */

/*
 * Spawns a waiter that is to wait some time, and takes the lock while it waits: on this
 * thread its time can't be up before the next switch. On a slow machine it may be
 * earlier, then another one is to wait longer.
 */
static grove_t *catch_waiting(grove_fn wait)
{
    for (seconds = 0.001;; seconds *= 4) {
        holds = false;
        grove_t *waiter = must(grove_spawn(wait, NULL));
        grove_yield();
        acquire();
        if (cond.waiters_.first_)
            return waiter;
        release();
        grove_await(waiter);
    }
}

static void *wait_some_time(void *arg)
{
    acquire();
    CHECK_ERROR(grove_cond_wait(&cond, &lock, seconds), ETIMEDOUT);
    holds = true;
    release();
    return arg;
}

static void a_timeout_returns_with_the_lock(void)
{
    fresh();
    grove_t *waiter = catch_waiting(wait_some_time);
    until_waited_for(&lock.waiters_); /* its time is up */
    grove_kill(waiter, 0);
    grove_yield();
    CHECK(!holds);
    release();
    grove_await(waiter);
    CHECK(holds);
    check_lock_free();
}
EVERYWHERE(a_timeout_returns_with_the_lock)

static void *wait_for_kill(void *arg)
{
    acquire();
    CHECK_ERROR(grove_cond_wait(&cond, &lock, GROVE_FOREVER), ECANCELED);
    holds = true;
    CHECK(grove_lock_locked(&lock));
    CHECK_ERROR(grove_cond_wait(&cond, &lock, GROVE_FOREVER), ECANCELED);
    CHECK(grove_lock_locked(&lock));
    release();
    return arg;
}

static void a_kill_returns_with_the_lock(void)
{
    fresh();
    holds = false;
    grove_t *waiter = must(grove_spawn(wait_for_kill, NULL));
    until_waited_for(&cond.waiters_);
    acquire();
    grove_kill(waiter, 0);
    until_waited_for(&lock.waiters_);
    grove_yield();
    CHECK(!holds);
    release();
    grove_await(waiter);
    CHECK(holds);
    check_lock_free();
}
EVERYWHERE(a_kill_returns_with_the_lock)

/* Signalled, and killed while it waits for the lock: the kill shows in the next call.
 */
static void *wait_for_signal_then_kill(void *arg)
{
    acquire();
    CHECK_EQUAL(grove_cond_wait(&cond, &lock, GROVE_FOREVER), 0);
    holds = true;
    CHECK_ERROR(grove_cond_wait(&cond, &lock, GROVE_FOREVER), ECANCELED);
    release();
    return arg;
}

static void a_kill_after_the_signal_takes_nothing_back(void)
{
    fresh();
    holds = false;
    grove_t *waiter = must(grove_spawn(wait_for_signal_then_kill, NULL));
    until_waited_for(&cond.waiters_);
    acquire();
    grove_cond_signal(&cond);
    grove_kill(waiter, 0);
    grove_yield();
    CHECK(!holds);
    release();
    grove_await(waiter);
    CHECK(holds);
}
EVERYWHERE(a_kill_after_the_signal_takes_nothing_back)

static grove_timeout_t timeout;
static int result, next_error;

static void *wait_under_timeout(void *arg)
{
    acquire();
    CHECK_EQUAL(grove_timeout_start(&timeout, seconds), 0);
    result = grove_cond_wait(&cond, &lock, 2 * seconds);
    next_error = grove_cond_wait(&cond, &lock, seconds) < 0 ? errno : 0;
    CHECK(grove_timeout_stop(&timeout));
    release();
    return arg;
}

static void a_timeout_after_the_signal_takes_nothing_back(void)
{
    fresh();
    grove_t *waiter = catch_waiting(wait_under_timeout);
    grove_cond_signal(&cond);
    while (!grove_timeout_fired(&timeout))
        grove_yield();
    release();
    grove_await(waiter);
    CHECK_EQUAL(result, 0);
    CHECK_EQUAL(next_error, ETIMEDOUT);
    check_lock_free();
}
EVERYWHERE(a_timeout_after_the_signal_takes_nothing_back)

static void *wait_in_vain(void *arg)
{
    acquire();
    CHECK_ERROR(grove_cond_wait(&cond, &lock, GROVE_FOREVER), ECANCELED);
    release();
    return arg;
}

static void a_killed_waiter_takes_no_signal(void)
{
    fresh();
    grove_t *first = must(grove_spawn(wait_in_vain, NULL));
    grove_t *second = must(grove_spawn(wait_and_note, NULL));
    grove_yield();
    grove_kill(first, 0);
    grove_cond_signal(&cond);
    grove_await(second);
    CHECK_EQUAL(woken, 1);
    grove_await(first);
}
EVERYWHERE(a_killed_waiter_takes_no_signal)

static void *take_rlock_and_signal(void *arg)
{
    CHECK_EQUAL(grove_rlock_acquire(&rlock, GROVE_FOREVER), 0);
    grove_cond_signal(&cond);
    CHECK_EQUAL(grove_rlock_release(&rlock), 0);
    return arg;
}

static void an_rlock_is_given_up_wholly(void)
{
    fresh();
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(grove_rlock_acquire(&rlock, GROVE_FOREVER), 0);
    CHECK_ERROR(grove_cond_wait_rlock(&cond, &rlock, 0), ETIMEDOUT);
    CHECK_ERROR(grove_cond_wait_rlock(&cond, &rlock, 0.001), ETIMEDOUT);
    grove_t *other = must(grove_go(take_rlock_and_signal, NULL));
    CHECK_EQUAL(grove_cond_wait_rlock(&cond, &rlock, GROVE_FOREVER), 0);
    grove_await(other);
    for (int i = 0; i < 3; i++) {
        CHECK(grove_rlock_locked(&rlock));
        CHECK_EQUAL(grove_rlock_release(&rlock), 0);
    }
    CHECK(!grove_rlock_locked(&rlock));
    CHECK_ERROR(grove_rlock_release(&rlock), EPERM);
}
EVERYWHERE(an_rlock_is_given_up_wholly)

static void thread_waits_in_vain(void *arg)
{
    (void)arg;
    acquire();
    CHECK_ERROR(grove_cond_wait(&cond, &lock, 0.001), ETIMEDOUT);
    release();
}

static void thread_waits(void *arg)
{
    wait_and_note(arg);
}

static void *signal_until_noted(void *arg)
{
    for (bool noted = false; !noted; grove_yield()) {
        acquire();
        noted = woken > 0;
        grove_cond_signal(&cond);
        release();
    }
    return arg;
}

static void plain_threads_wait_and_are_signalled(void)
{
    fresh();
    in_thread(thread_waits_in_vain, NULL);
    grove_t *signaller = must(grove_spawn(signal_until_noted, NULL));
    in_thread(thread_waits, NULL);
    grove_await(signaller);
    CHECK_EQUAL(woken, 1);
}
EVERYWHERE(plain_threads_wait_and_are_signalled)

static void wait_in_callback(grove_t *g, void *arg)
{
    (void)g;
    (void)arg;
    CHECK_ERROR(grove_cond_wait(&cond, &lock, GROVE_FOREVER), EDEADLK);
    CHECK_EQUAL(grove_cond_signal(&cond), 0);
}

static void *nothing(void *arg)
{
    return arg;
}

static void a_hub_callback_only_signals(void)
{
    fresh();
    acquire();
    grove_t *g = must(grove_spawn(nothing, NULL));
    CHECK_EQUAL(grove_link(g, wait_in_callback, NULL), 0);
    grove_await(g);
    CHECK(grove_lock_locked(&lock));
    release();
}
EVERYWHERE(a_hub_callback_only_signals)

/*
 * Each token comes with one signal. Some consumers wait for ever, some are killed or
 * run out of time; if one of these took a signal along, a token would stay with
 * somebody waiting for it, and the test would hang.
 */
enum { PRODUCERS = 3, STEADY = 3, MORTAL = 4 };

static long tokens, consumed, wanted; /* under the lock */
static bool closed;

static void *produce(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (long i = 0; i < wanted / PRODUCERS; i++) {
        acquire();
        tokens++;
        bool inside = random_next(&state) % 2;
        if (inside)
            grove_cond_signal(&cond);
        if (random_next(&state) % 8 == 0)
            grove_yield();
        release();
        if (!inside)
            grove_cond_signal(&cond);
        if (random_next(&state) % 4 == 0)
            grove_yield();
    }
    return NULL;
}

/* 0, or the error of a wait; with the lock. */
static int wait_for_token(double seconds)
{
    while (tokens == 0 && !closed) {
        if (grove_cond_wait(&cond, &lock, seconds) < 0) {
            CHECK(errno == ETIMEDOUT || errno == ECANCELED);
            CHECK(grove_lock_locked(&lock));
            return errno;
        }
    }
    return 0;
}

/* Until it is closed or killed. */
static void *consume(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;
    bool steady = (intptr_t)arg < STEADY;
    int error = 0;

    while (error != ECANCELED) {
        if (grove_lock_acquire(&lock, GROVE_FOREVER) < 0)
            break;
        bool patient = steady || random_next(&state) % 2;
        error = wait_for_token(patient ? GROVE_FOREVER : 0.00003);
        bool end = closed;
        if (!error && tokens > 0) {
            tokens--;
            if (++consumed == wanted) {
                closed = true;
                grove_cond_broadcast(&cond);
            }
        }
        CHECK_EQUAL(grove_lock_release(&lock), 0);
        if (end)
            break;
    }
    return NULL;
}

static void *consume_in_thread(void *arg)
{
    return consume(arg);
}

static void kills_and_timeouts_lose_no_signal(void)
{
    uint64_t state = harness_seed();
    grove_t *producer[PRODUCERS], *steady[STEADY], *mortal[MORTAL];
    pthread_t thread;

    fresh();
    tokens = consumed = 0;
    closed = false;
    wanted = PRODUCERS * (long)harness_rounds(2000);
    for (intptr_t i = 0; i < STEADY; i++)
        steady[i] = must(grove_go(consume, (void *)i));
    CHECK_EQUAL(pthread_create(&thread, NULL, consume_in_thread, (void *)50), 0);
    for (intptr_t i = 0; i < PRODUCERS; i++)
        producer[i] = must(grove_go(produce, (void *)(i + 100)));
    for (intptr_t seed = 10; !grove_ready(producer[0]); seed += MORTAL) {
        for (intptr_t i = 0; i < MORTAL; i++)
            mortal[i] = must(grove_go(consume, (void *)(seed + i)));
        for (uint32_t turns = random_next(&state) % 16; turns > 0; turns--)
            grove_yield();
        for (int i = 0; i < MORTAL; i++)
            grove_kill(mortal[i], 0);
        for (int i = 0; i < MORTAL; i++)
            grove_await(mortal[i]);
    }
    for (int i = 0; i < PRODUCERS; i++)
        grove_await(producer[i]);
    for (int i = 0; i < STEADY; i++)
        grove_await(steady[i]);
    pthread_join(thread, NULL);
    CHECK_EQUAL(consumed, wanted);
    CHECK_EQUAL(tokens, 0);
    check_lock_free();
}
EVERYWHERE(kills_and_timeouts_lose_no_signal)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a signal ends the longest wait", a_signal_ends_the_longest_wait),
        TEST("a signal without a waiter is forgotten",
            a_signal_without_a_waiter_is_forgotten),
        TEST("a broadcast ends all waits", a_broadcast_ends_all_waits),
        TEST("a broadcast wakes nobody in vain", a_broadcast_wakes_nobody_in_vain),
        TEST("bad calls keep the lock", bad_calls_keep_the_lock),
        TEST("a timeout returns with the lock", a_timeout_returns_with_the_lock),
        TEST("a kill returns with the lock", a_kill_returns_with_the_lock),
        TEST("a kill after the signal takes nothing back",
            a_kill_after_the_signal_takes_nothing_back),
        TEST("a timeout after the signal takes nothing back",
            a_timeout_after_the_signal_takes_nothing_back),
        TEST("a killed waiter takes no signal", a_killed_waiter_takes_no_signal),
        TEST("an rlock is given up wholly", an_rlock_is_given_up_wholly),
        TEST("plain threads wait and are signalled",
            plain_threads_wait_and_are_signalled),
        TEST("a hub callback only signals", a_hub_callback_only_signals),
        TEST("kills and timeouts lose no signal", kills_and_timeouts_lose_no_signal),
    };
    return harness_main("cond", tests, sizeof tests / sizeof *tests);
}
