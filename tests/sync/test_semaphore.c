/* SPDX-License-Identifier: MIT */
#include <grove/semaphore.h>

#include "tests/sync/runtimes.h"

enum { GREENLETS = 8, PERMITS = 3 };

static grove_semaphore_t semaphore;

static void counts_down_and_up(void)
{
    grove_semaphore_t two = GROVE_SEMAPHORE_INIT(2);

    CHECK_EQUAL(grove_semaphore_value(&two), 2);
    CHECK_EQUAL(grove_semaphore_acquire(&two, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_semaphore_acquire(&two, 0), 0);
    CHECK_ERROR(grove_semaphore_acquire(&two, 0), ETIMEDOUT);
    CHECK_ERROR(grove_semaphore_acquire(&two, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_semaphore_acquire(&two, (double)NAN), EINVAL);
    CHECK_EQUAL(grove_semaphore_value(&two), 0);
    /* A plain semaphore takes more than it ever had. */
    for (int i = 1; i <= 3; i++) {
        CHECK_EQUAL(grove_semaphore_release(&two), 0);
        CHECK_EQUAL(grove_semaphore_value(&two), i);
    }
}
EVERYWHERE(counts_down_and_up)

static void a_bounded_one_overflows(void)
{
    grove_semaphore_t two = GROVE_BOUNDED_SEMAPHORE_INIT(2);
    grove_semaphore_t full = GROVE_SEMAPHORE_INIT(INT32_MAX);

    CHECK_ERROR(grove_semaphore_release(&two), EOVERFLOW);
    CHECK_EQUAL(grove_semaphore_acquire(&two, 0), 0);
    CHECK_EQUAL(grove_semaphore_release(&two), 0);
    CHECK_ERROR(grove_semaphore_release(&two), EOVERFLOW);
    CHECK_EQUAL(grove_semaphore_value(&two), 2);
    CHECK_ERROR(grove_semaphore_release(&full), EOVERFLOW);
}
EVERYWHERE(a_bounded_one_overflows)

static int order[GREENLETS], taken;

static void *take_and_note(void *arg)
{
    CHECK_EQUAL(grove_semaphore_acquire(&semaphore, GROVE_FOREVER), 0);
    order[taken++] = (int)(intptr_t)arg;
    return NULL;
}

/* As many are woken as there are permits, the longest waiting first. */
static void each_release_serves_the_first(void)
{
    grove_t *waiter[GREENLETS];

    semaphore = (grove_semaphore_t)GROVE_SEMAPHORE_INIT(0);
    taken = 0;
    for (intptr_t i = 0; i < GREENLETS; i++)
        waiter[i] = must(grove_spawn(take_and_note, (void *)i));
    grove_yield();
    for (int i = 0; i < PERMITS; i++)
        grove_semaphore_release(&semaphore);
    CHECK_EQUAL(taken, 0);
    grove_yield();
    CHECK_EQUAL(taken, PERMITS);
    for (int i = PERMITS; i < GREENLETS; i++)
        grove_semaphore_release(&semaphore);
    for (int i = 0; i < GREENLETS; i++)
        grove_await(waiter[i]);
    for (int i = 0; i < GREENLETS; i++)
        CHECK_EQUAL(order[i], i);
    CHECK_EQUAL(grove_semaphore_value(&semaphore), 0);
}
EVERYWHERE(each_release_serves_the_first)

static void wait_takes_nothing(void)
{
    grove_semaphore_t one = GROVE_SEMAPHORE_INIT(1);

    CHECK(!grove_semaphore_locked(&one));
    CHECK_EQUAL(grove_semaphore_wait(&one, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_semaphore_wait(&one, 0), 0);
    CHECK_EQUAL(grove_semaphore_value(&one), 1);
    CHECK_EQUAL(grove_semaphore_acquire(&one, 0), 0);
    CHECK(grove_semaphore_locked(&one));
    CHECK_ERROR(grove_semaphore_wait(&one, 0), ETIMEDOUT);
    CHECK_ERROR(grove_semaphore_wait(&one, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_semaphore_wait(&one, (double)NAN), EINVAL);
    CHECK(one.waiters_.first_ == NULL);
}
EVERYWHERE(wait_takes_nothing)

static void *wait_and_note(void *arg)
{
    CHECK_EQUAL(grove_semaphore_wait(&semaphore, GROVE_FOREVER), 0);
    order[taken++] = (int)(intptr_t)arg;
    return NULL;
}

/* One release: those who only wait are woken up to the one who takes the permit. */
static void waits_are_served_up_to_the_first_acquire(void)
{
    static const grove_fn fn[] = {
        wait_and_note, wait_and_note, take_and_note, wait_and_note, take_and_note};
    enum { LINE = sizeof fn / sizeof *fn };
    grove_t *waiter[LINE];

    semaphore = (grove_semaphore_t)GROVE_SEMAPHORE_INIT(0);
    taken = 0;
    for (intptr_t i = 0; i < LINE; i++)
        waiter[i] = must(grove_spawn(fn[i], (void *)i));
    grove_yield();
    grove_semaphore_release(&semaphore);
    CHECK_EQUAL(taken, 0);
    for (int i = 0; i < 3; i++)
        grove_await(waiter[i]);
    for (int i = 0; i < LINE; i++)
        grove_yield();
    CHECK_EQUAL(taken, 3);
    grove_semaphore_release(&semaphore);
    for (int i = 3; i < LINE; i++)
        grove_await(waiter[i]);
    for (int i = 0; i < LINE; i++)
        CHECK_EQUAL(order[i], i);
    CHECK_EQUAL(grove_semaphore_value(&semaphore), 0);
}
EVERYWHERE(waits_are_served_up_to_the_first_acquire)

static atomic_int inside;
static size_t rounds;

static void *pass_through(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (size_t i = 0; i < rounds; i++) {
        double timeout = random_next(&state) % 8 ? GROVE_FOREVER : 0.00002;
        if (random_next(&state) % 4 == 0)
            CHECK(grove_semaphore_wait(&semaphore, timeout) == 0 || errno == ETIMEDOUT);
        if (grove_semaphore_acquire(&semaphore, timeout) != 0) {
            CHECK_EQUAL(errno, ETIMEDOUT);
            continue;
        }
        int others = atomic_fetch_add_explicit(&inside, 1, memory_order_relaxed);
        CHECK(others < PERMITS);
        if (random_next(&state) % 4 == 0)
            grove_yield();
        atomic_fetch_sub_explicit(&inside, 1, memory_order_relaxed);
        CHECK_EQUAL(grove_semaphore_release(&semaphore), 0);
    }
    return NULL;
}

static void lets_so_many_in_and_loses_none(void)
{
    grove_t *greenlet[GREENLETS];
    pthread_t thread;

    semaphore = (grove_semaphore_t)GROVE_BOUNDED_SEMAPHORE_INIT(PERMITS);
    rounds = harness_rounds(2000);
    for (intptr_t i = 0; i < GREENLETS; i++)
        greenlet[i] = must(grove_go(pass_through, (void *)i));
    CHECK_EQUAL(pthread_create(&thread, NULL, pass_through, (void *)100), 0);
    for (int i = 0; i < GREENLETS; i++)
        grove_await(greenlet[i]);
    pthread_join(thread, NULL);
    CHECK_EQUAL(grove_semaphore_value(&semaphore), PERMITS);
    CHECK(semaphore.waiters_.first_ == NULL);
}
EVERYWHERE(lets_so_many_in_and_loses_none)

static atomic_int got;

static void *take_until_killed(void *arg)
{
    while (grove_semaphore_acquire(&semaphore, GROVE_FOREVER) == 0)
        atomic_fetch_add_explicit(&got, 1, memory_order_relaxed);
    CHECK_EQUAL(errno, ECANCELED);
    return arg;
}

/* Every permit is either taken or still there, whoever was killed when. */
static void kills_race_releases(void)
{
    uint64_t state = harness_seed();
    grove_t *greenlet[GREENLETS];

    for (size_t round = harness_rounds(100); round > 0; round--) {
        int given = 0;
        semaphore = (grove_semaphore_t)GROVE_SEMAPHORE_INIT(0);
        atomic_store_explicit(&got, 0, memory_order_relaxed);
        for (int i = 0; i < GREENLETS; i++)
            greenlet[i] = must(grove_go(take_until_killed, NULL));
        for (int i = 0; i < GREENLETS; i++) {
            for (uint32_t n = random_next(&state) % 4; n > 0; n--, given++)
                grove_semaphore_release(&semaphore);
            if (random_next(&state) % 2)
                grove_yield();
            grove_kill(greenlet[i], 0);
        }
        for (int i = 0; i < GREENLETS; i++)
            grove_await(greenlet[i]);
        CHECK_EQUAL(atomic_load_explicit(&got, memory_order_relaxed) +
                        grove_semaphore_value(&semaphore),
            given);
    }
}
EVERYWHERE(kills_race_releases)

static void *take_rounds(void *arg)
{
    for (size_t i = 0; i < rounds; i++)
        CHECK_EQUAL(grove_semaphore_acquire(&semaphore, GROVE_FOREVER), 0);
    return arg;
}

static void *wait_until_killed(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (;;) {
        double timeout = random_next(&state) % 2 ? GROVE_FOREVER : 0.00003;
        int result = grove_semaphore_wait(&semaphore, timeout);
        if (result < 0 && errno == ECANCELED)
            return NULL;
        CHECK(result == 0 || errno == ETIMEDOUT);
        grove_yield();
    }
}

/* A wake that ended with who took no permit would leave one, and somebody who waits for
 * it: the test would hang. */
static void waits_lose_no_wake(void)
{
    uint64_t state = harness_seed();
    grove_t *taker[PERMITS], *waiter[GREENLETS];

    semaphore = (grove_semaphore_t)GROVE_SEMAPHORE_INIT(0);
    rounds = harness_rounds(1000);
    for (intptr_t i = 0; i < PERMITS; i++)
        taker[i] = must(grove_go(take_rounds, NULL));
    for (size_t given = 0; given < rounds * PERMITS;) {
        for (intptr_t i = 0; i < GREENLETS; i++)
            waiter[i] = must(grove_go(wait_until_killed, (void *)i));
        for (uint32_t n = random_next(&state) % 64; n > 0; n--) {
            if (given < rounds * PERMITS) {
                grove_semaphore_release(&semaphore);
                given++;
            }
            if (random_next(&state) % 2)
                grove_yield();
        }
        for (int i = 0; i < GREENLETS; i++)
            grove_kill(waiter[i], 0);
        for (int i = 0; i < GREENLETS; i++)
            grove_await(waiter[i]);
    }
    for (int i = 0; i < PERMITS; i++)
        grove_await(taker[i]);
    CHECK_EQUAL(grove_semaphore_value(&semaphore), 0);
    CHECK(semaphore.waiters_.first_ == NULL);
}
EVERYWHERE(waits_lose_no_wake)

/* A semaphore on the stack of who waits for it. */
static void *give(void *arg)
{
    grove_semaphore_release(arg);
    return NULL;
}

static __attribute__((noinline)) grove_t *wait_on_own_stack(void)
{
    grove_semaphore_t mine = GROVE_SEMAPHORE_INIT(0);
    grove_t *giver = must(grove_go(give, &mine));

    CHECK_EQUAL(grove_semaphore_acquire(&mine, GROVE_FOREVER), 0);
    return giver;
}

static __attribute__((noinline)) bool stack_stays_clean(void)
{
    volatile unsigned char place[256];
    bool clean = true;

    for (size_t i = 0; i < sizeof place; i++)
        place[i] = 0x5a;
    for (int pause = 0; pause < 50; pause++)
        for (size_t i = 0; i < sizeof place; i++)
            clean &= place[i] == 0x5a;
    return clean;
}

static void *die_after_acquire(void *arg)
{
    for (size_t i = harness_rounds(300); i > 0; i--) {
        grove_t *giver = wait_on_own_stack();
        CHECK(stack_stays_clean());
        grove_await(giver);
    }
    return arg;
}

static void one_may_die_after_the_acquire(void)
{
    grove_t *a = must(grove_go(die_after_acquire, NULL));
    grove_t *b = must(grove_go(die_after_acquire, NULL));

    grove_await(a);
    grove_await(b);
}
EVERYWHERE(one_may_die_after_the_acquire)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("counts down and up", counts_down_and_up),
        TEST("a bounded one overflows", a_bounded_one_overflows),
        TEST("each release serves the first", each_release_serves_the_first),
        TEST("wait takes nothing", wait_takes_nothing),
        TEST("waits are served up to the first acquire",
            waits_are_served_up_to_the_first_acquire),
        TEST("lets so many in and loses none", lets_so_many_in_and_loses_none),
        TEST("kills race releases", kills_race_releases),
        TEST("waits lose no wake", waits_lose_no_wake),
        TEST("one may die after the acquire", one_may_die_after_the_acquire),
    };
    return harness_main("semaphore", tests, sizeof tests / sizeof *tests);
}
