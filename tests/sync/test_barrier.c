/* SPDX-License-Identifier: MIT */
#include <grove/barrier.h>

#include "tests/sync/runtimes.h"

enum { PARTIES = 4, MORE = 3 };

static grove_barrier_t barrier;
static _Atomic(long) lasts, others;

static void fresh(void)
{
    barrier = (grove_barrier_t)GROVE_BARRIER_INIT(PARTIES);
    atomic_store_explicit(&lasts, 0, memory_order_relaxed);
    atomic_store_explicit(&others, 0, memory_order_relaxed);
}

static void check_empty(void)
{
    CHECK_EQUAL(barrier.arrived_, 0);
    CHECK(barrier.waiters_.first_ == NULL && barrier.waiters_.last_ == NULL);
}

static void *arrive(void *arg)
{
    int answer = grove_barrier_wait(&barrier, GROVE_FOREVER);

    CHECK(answer == 0 || answer == 1);
    atomic_fetch_add_explicit(answer ? &lasts : &others, 1, memory_order_relaxed);
    return arg;
}

static void spawn_arriving(grove_t **greenlet, int n)
{
    for (int i = 0; i < n; i++)
        greenlet[i] = must(grove_spawn(arrive, NULL));
    grove_yield();
}

static void await_all(grove_t **greenlet, int n)
{
    for (int i = 0; i < n; i++)
        grove_await(greenlet[i]);
}

static void the_last_lets_all_go(void)
{
    grove_t *greenlet[PARTIES];

    fresh();
    for (int round = 1; round <= 3; round++) {
        spawn_arriving(greenlet, PARTIES - 1);
        CHECK_EQUAL(others, (round - 1) * (PARTIES - 1));
        CHECK_EQUAL(grove_barrier_wait(&barrier, GROVE_FOREVER), 1);
        CHECK_EQUAL(others, (round - 1) * (PARTIES - 1)); /* never switches */
        await_all(greenlet, PARTIES - 1);
        CHECK_EQUAL(others, round * (PARTIES - 1));
    }
    CHECK_EQUAL(lasts, 0);
    check_empty();
}
EVERYWHERE(the_last_lets_all_go)

/* The next round begins before those of the last have run. */
static void it_is_reusable_at_once(void)
{
    grove_t *greenlet[PARTIES], *next[PARTIES];

    fresh();
    spawn_arriving(greenlet, PARTIES - 1);
    CHECK_EQUAL(grove_barrier_wait(&barrier, 0), 1);
    CHECK_ERROR(grove_barrier_wait(&barrier, 0), ETIMEDOUT);
    await_all(greenlet, PARTIES - 1);
    spawn_arriving(next, PARTIES - 1);
    CHECK_EQUAL(grove_barrier_wait(&barrier, GROVE_FOREVER), 1);
    await_all(next, PARTIES - 1);
    check_empty();
}
EVERYWHERE(it_is_reusable_at_once)

static void one_party_never_waits(void)
{
    grove_barrier_t one = GROVE_BARRIER_INIT(1);
    grove_barrier_t none = GROVE_BARRIER_INIT(0);

    CHECK_EQUAL(grove_barrier_wait(&one, GROVE_FOREVER), 1);
    CHECK_EQUAL(grove_barrier_wait(&one, 0), 1);
    CHECK_ERROR(grove_barrier_wait(&one, (double)NAN), EINVAL);
    CHECK_ERROR(grove_barrier_wait(&none, GROVE_FOREVER), EINVAL);
}
EVERYWHERE(one_party_never_waits)

static void a_timeout_takes_its_arrival_back(void)
{
    grove_t *greenlet[PARTIES];

    fresh();
    CHECK_ERROR(grove_barrier_wait(&barrier, 0), ETIMEDOUT);
    CHECK_ERROR(grove_barrier_wait(&barrier, 0.001), ETIMEDOUT);
    check_empty();
    spawn_arriving(greenlet, PARTIES - 1);
    CHECK_EQUAL(others, 0);
    CHECK_EQUAL(grove_barrier_wait(&barrier, 0), 1);
    await_all(greenlet, PARTIES - 1);
    check_empty();
}
EVERYWHERE(a_timeout_takes_its_arrival_back)

static void *arrive_in_vain(void *arg)
{
    CHECK_ERROR(grove_barrier_wait(&barrier, GROVE_FOREVER), ECANCELED);
    return arg;
}

static void a_kill_takes_its_arrival_back(void)
{
    grove_t *greenlet[PARTIES];

    fresh();
    grove_t *killed = must(grove_spawn(arrive_in_vain, NULL));
    spawn_arriving(greenlet, PARTIES - 2);
    grove_kill(killed, GROVE_FOREVER);
    CHECK_ERROR(grove_barrier_wait(&barrier, 0), ETIMEDOUT);
    spawn_arriving(&greenlet[PARTIES - 2], 1);
    CHECK_EQUAL(grove_barrier_wait(&barrier, 0), 1);
    await_all(greenlet, PARTIES - 1);
    grove_release(killed);
    check_empty();
}
EVERYWHERE(a_kill_takes_its_arrival_back)

static void open_in_callback(grove_t *g, void *arg)
{
    (void)g;
    (void)arg;
    CHECK_ERROR(grove_barrier_wait(&barrier, GROVE_FOREVER), EDEADLK);
    CHECK_EQUAL(grove_barrier_wait(&barrier, 0), 1);
}

static void *nothing(void *arg)
{
    return arg;
}

static void a_hub_callback_may_be_the_last(void)
{
    grove_t *greenlet[PARTIES];

    fresh();
    spawn_arriving(greenlet, PARTIES - 1);
    grove_t *g = must(grove_spawn(nothing, NULL));
    CHECK_EQUAL(grove_link(g, open_in_callback, NULL), 0);
    grove_await(g);
    await_all(greenlet, PARTIES - 1);
    check_empty();
}
EVERYWHERE(a_hub_callback_may_be_the_last)

/* Each party counts its rounds; none may be a round ahead of another that waits. */
static _Atomic(long) arrivals;
static size_t rounds;

static void *keep_step(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (size_t round = 1; round <= rounds; round++) {
        atomic_fetch_add_explicit(&arrivals, 1, memory_order_relaxed);
        int answer;
        do {
            double timeout = random_next(&state) % 4 ? GROVE_FOREVER : 0.00003;
            answer = grove_barrier_wait(&barrier, timeout);
            CHECK(answer >= 0 || errno == ETIMEDOUT);
        } while (answer < 0);
        long seen = atomic_load_explicit(&arrivals, memory_order_relaxed);
        CHECK(seen >= (long)round * PARTIES && seen < (long)(round + 1) * PARTIES);
        atomic_fetch_add_explicit(answer ? &lasts : &others, 1, memory_order_relaxed);
        if (random_next(&state) % 4 == 0)
            grove_yield();
    }
    return NULL;
}

static void timeouts_keep_the_step(void)
{
    grove_t *greenlet[PARTIES - 1];
    pthread_t thread;

    fresh();
    rounds = harness_rounds(1000);
    atomic_store_explicit(&arrivals, 0, memory_order_relaxed);
    for (intptr_t i = 0; i < PARTIES - 1; i++)
        greenlet[i] = must(grove_go(keep_step, (void *)i));
    CHECK_EQUAL(pthread_create(&thread, NULL, keep_step, (void *)50), 0);
    await_all(greenlet, PARTIES - 1);
    pthread_join(thread, NULL);
    CHECK_EQUAL(lasts, rounds);
    CHECK_EQUAL(others, rounds * (PARTIES - 1));
    check_empty();
}
EVERYWHERE(timeouts_keep_the_step)

static void *arrive_until_killed(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (;;) {
        double timeout = random_next(&state) % 4 ? GROVE_FOREVER : 0.00003;
        int answer = grove_barrier_wait(&barrier, timeout);
        if (answer < 0 && errno == ECANCELED)
            return NULL;
        CHECK(answer >= 0 || errno == ETIMEDOUT);
        if (answer >= 0)
            atomic_fetch_add_explicit(
                answer ? &lasts : &others, 1, memory_order_relaxed);
    }
}

/* However it ends, each opening let exactly so many go. */
static void kills_race_arrivals(void)
{
    uint64_t state = harness_seed();
    grove_t *greenlet[PARTIES + MORE];

    fresh();
    for (size_t round = harness_rounds(200); round > 0; round--) {
        for (intptr_t i = 0; i < PARTIES + MORE; i++)
            greenlet[i] = must(grove_go(arrive_until_killed, (void *)i));
        for (uint32_t turns = random_next(&state) % 16; turns > 0; turns--)
            grove_yield();
        for (int i = 0; i < PARTIES + MORE; i++)
            grove_kill(greenlet[i], 0);
        await_all(greenlet, PARTIES + MORE);
        CHECK_EQUAL(others, lasts * (PARTIES - 1));
        check_empty();
    }
    CHECK(lasts > 0);
}
EVERYWHERE(kills_race_arrivals)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("the last lets all go", the_last_lets_all_go),
        TEST("it is reusable at once", it_is_reusable_at_once),
        TEST("one party never waits", one_party_never_waits),
        TEST("a timeout takes its arrival back", a_timeout_takes_its_arrival_back),
        TEST("a kill takes its arrival back", a_kill_takes_its_arrival_back),
        TEST("a hub callback may be the last", a_hub_callback_may_be_the_last),
        TEST("timeouts keep the step", timeouts_keep_the_step),
        TEST("kills race arrivals", kills_race_arrivals),
    };
    return harness_main("barrier", tests, sizeof tests / sizeof *tests);
}
