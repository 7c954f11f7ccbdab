/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sched/deque.h"

enum { RING = 8, THIEVES = 4 };

static struct deque deque;

static void *item(uintptr_t number)
{
    return (void *)number;
}

static void *steal(void)
{
    bool contended;
    return deque_steal(&deque, &contended);
}

/* A new deque holding items 1..n. */
static void fill(uintptr_t n)
{
    barrier_init();
    CHECK_EQUAL(deque_init(&deque, RING), 0);
    for (uintptr_t i = 1; i <= n; i++)
        CHECK_EQUAL(deque_push(&deque, item(i)), 0);
}

static void capacity_is_a_power_of_two(void)
{
    static const size_t bad[] = {0, 1, 3, 12};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        CHECK_EQUAL(deque_init(&deque, bad[i]), -1);
        CHECK_EQUAL(errno, EINVAL);
    }
}

static void owner_pops_the_newest(void)
{
    fill(3);
    for (uintptr_t i = 3; i >= 1; i--)
        CHECK_EQUAL(deque_pop(&deque), item(i));
    deque_free(&deque);
}

static void owner_takes_the_oldest(void)
{
    fill(3);
    for (uintptr_t i = 1; i <= 3; i++)
        CHECK_EQUAL(deque_take_oldest(&deque), item(i));
    deque_free(&deque);
}

static void thieves_steal_the_oldest(void)
{
    fill(3);
    for (uintptr_t i = 1; i <= 3; i++)
        CHECK_EQUAL(steal(), item(i));
    deque_free(&deque);
}

static void empty_deque_gives_nothing(void)
{
    bool contended = true;
    void *none;
    fill(1);
    CHECK_EQUAL(deque_pop(&deque), item(1));
    CHECK_EQUAL(deque_pop(&deque), NULL);
    CHECK_EQUAL(deque_take_oldest(&deque), NULL);
    CHECK_EQUAL(deque_steal(&deque, &contended), NULL);
    CHECK(!contended);
    CHECK_EQUAL(deque_steal_many(&deque, &none, 1, &contended), 0);
    CHECK_EQUAL(deque_length(&deque), 0);
    deque_free(&deque);
}

static void pop_if_takes_only_the_newest(void)
{
    fill(2);
    CHECK(!deque_pop_if(&deque, item(1)));
    CHECK_EQUAL(deque_length(&deque), 2);
    CHECK(deque_pop_if(&deque, item(2)));
    CHECK_EQUAL(deque_pop(&deque), item(1));
    deque_free(&deque);
}

static void pop_if_knows_a_stolen_item(void)
{
    fill(1);
    CHECK_EQUAL(steal(), item(1));
    CHECK(!deque_pop_if(&deque, item(1)));
    CHECK_EQUAL(deque_length(&deque), 0);
    deque_free(&deque);
}

static void growth_keeps_all_items(void)
{
    fill(1000);
    CHECK_EQUAL(deque_length(&deque), 1000);
    for (uintptr_t i = 1; i <= 500; i++)
        CHECK_EQUAL(steal(), item(i));
    for (uintptr_t i = 1000; i > 500; i--)
        CHECK_EQUAL(deque_pop(&deque), item(i));
    CHECK_EQUAL(deque_pop(&deque), NULL);
    deque_free(&deque);
}

static void ring_does_not_grow_without_need(void)
{
    fill(RING);
    const void *array = deque.array;
    for (uintptr_t i = RING + 1; i <= 100 * RING; i++) {
        CHECK_EQUAL(steal(), item(i - RING));
        CHECK_EQUAL(deque_push(&deque, item(i)), 0);
    }
    CHECK_EQUAL(deque.array, array);
    deque_free(&deque);
}

static void many_are_stolen_oldest_first(void)
{
    void *loot[DEQUE_STEAL_MAX];
    bool contended;
    fill(1000);
    size_t n = deque_steal_many(&deque, loot, DEQUE_STEAL_MAX, &contended);
    CHECK_EQUAL(n, DEQUE_STEAL_MAX);
    for (size_t i = 0; i < n; i++)
        CHECK_EQUAL(loot[i], item(i + 1));
    CHECK_EQUAL(deque_length(&deque), 1000 - n);
    deque_free(&deque);
}

static void at_most_a_quarter_is_stolen(void)
{
    void *loot[DEQUE_STEAL_MAX];
    bool contended;
    fill(8);
    CHECK_EQUAL(deque_steal_many(&deque, loot, DEQUE_STEAL_MAX, &contended), 2);
    deque_free(&deque);
    fill(3);
    CHECK_EQUAL(deque_steal_many(&deque, loot, DEQUE_STEAL_MAX, &contended), 1);
    deque_free(&deque);
}

/* As a thief leaves it that claims the two oldest of a new deque and goes no further.
 */
static void fill_and_claim_two(uintptr_t n)
{
    fill(n);
    deque.top = (uint64_t)2 << DEQUE_CLAIM_BITS | 2;
}

static void pop_goes_around_a_claim(void)
{
    fill_and_claim_two(3);
    CHECK_EQUAL(deque_pop(&deque), item(3));
    CHECK_EQUAL(deque_pop(&deque), item(1)); /* the oldest, which voids the claim */
    CHECK_EQUAL(deque_pop(&deque), item(2));
    CHECK_EQUAL(deque_pop(&deque), NULL);
    deque_free(&deque);
}

static void pop_if_leaves_a_claimed_item(void)
{
    fill_and_claim_two(2);
    CHECK(!deque_pop_if(&deque, item(2)));
    CHECK_EQUAL(deque_length(&deque), 2);
    deque_free(&deque);
}

static void pop_if_takes_a_single_claimed_item(void)
{
    fill_and_claim_two(1);
    CHECK(deque_pop_if(&deque, item(1)));
    CHECK_EQUAL(deque_length(&deque), 0);
    deque_free(&deque);
}

static void another_thief_completes_a_claim(void)
{
    void *loot[DEQUE_STEAL_MAX];
    bool contended;
    fill_and_claim_two(3);
    CHECK_EQUAL(deque_steal_many(&deque, loot, DEQUE_STEAL_MAX, &contended), 2);
    CHECK_EQUAL(loot[0], item(1));
    CHECK_EQUAL(loot[1], item(2));
    CHECK_EQUAL(deque_pop(&deque), item(3));
    deque_free(&deque);
}

#if !ATOMIC_TSAN && !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__) && \
    !defined(__clang__)
#define CAN_FAIL_CALLOC 1
void *__libc_calloc(size_t n, size_t size);
static bool fail_calloc;

void *calloc(size_t n, size_t size)
{
    if (fail_calloc) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(n, size);
}

static void push_without_memory_changes_nothing(void)
{
    fill(RING);
    fail_calloc = true;
    errno = 0;
    int result = deque_push(&deque, item(RING + 1));
    int error = errno;
    fail_calloc = false;
    CHECK_EQUAL(result, -1);
    CHECK_EQUAL(error, ENOMEM);
    CHECK_EQUAL(deque_length(&deque), RING);
    CHECK_EQUAL(deque_push(&deque, item(RING + 1)), 0);
    for (uintptr_t i = RING + 1; i >= 1; i--)
        CHECK_EQUAL(deque_pop(&deque), item(i));
    deque_free(&deque);
}
#endif

/*
 * Stress: one owner, THIEVES thieves; each keeps a list of what it got, and all lists
 * together must be 1..total.
 */
struct taker {
    pthread_t thread;
    uint64_t random;
    size_t count;
    size_t room;
    uintptr_t *got;
};

static int owner_done;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static bool keep(struct taker *taker, void *taken)
{
    if (taken == NULL)
        return false;
    if (taker->count < taker->room)
        taker->got[taker->count] = (uintptr_t)taken;
    taker->count++;
    return true;
}

static void *thief_main(void *argument)
{
    struct taker *thief = argument;
    void *loot[DEQUE_STEAL_MAX];

    for (;;) {
        bool contended, last = __atomic_load_n(&owner_done, __ATOMIC_ACQUIRE);
        size_t max = 1 + next_random(&thief->random) % DEQUE_STEAL_MAX;
        size_t n = deque_steal_many(&deque, loot, max, &contended);
        for (size_t i = 0; i < n; i++)
            keep(thief, loot[i]);
        if (n > 0)
            continue;
        if (last && !contended)
            return NULL;
        if (!contended)
            sched_yield();
    }
}

/* Bursts of random length, so that the deque is now empty and now far beyond its ring.
 */
static bool owner_main(struct taker *owner, uintptr_t total)
{
    uintptr_t pushed = 0;

    while (pushed < total) {
        uint64_t random = next_random(&owner->random);
        uintptr_t pushes = random % 16 == 0 ? random / 16 % 500 : random / 16 % 4;
        while (pushes-- > 0 && pushed < total) {
            if (!CHECK_EQUAL(deque_push(&deque, item(++pushed)), 0))
                return false;
        }
        random = next_random(&owner->random);
        uint64_t pops = random % 16 == 0 ? random / 16 % 500 : random / 16 % 4;
        while (pops-- > 0) {
            random = next_random(&owner->random);
            if (random % 4 == 0)
                keep(owner, deque_take_oldest(&deque));
            else if (random % 4 == 1)
                keep(owner, deque_pop(&deque));
            else if (pushed > 0 && deque_pop_if(&deque, item(pushed)))
                keep(owner, item(pushed));
        }
    }
    return true;
}

static int compare(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static void check_each_once(
    const struct taker takers[], uintptr_t *all, uintptr_t total)
{
    size_t count = 0;
    for (int i = 0; i <= THIEVES; i++) {
        CHECK(takers[i].count <= total - count);
        if (takers[i].count > total - count)
            return;
        memcpy(all + count, takers[i].got, takers[i].count * sizeof *all);
        count += takers[i].count;
    }
    if (!CHECK_EQUAL(count, total))
        return;
    qsort(all, total, sizeof *all, compare);
    for (uintptr_t i = 0; i < total; i++)
        if (!CHECK_EQUAL(all[i], i + 1))
            return;
}

static void stress(uintptr_t total)
{
    struct taker takers[THIEVES + 1] = {{0}};
    uintptr_t *all = calloc(total, sizeof *all);
    bool ready = CHECK(all != NULL);

    for (int i = 0; i <= THIEVES; i++) {
        takers[i].random = (harness_seed() ^ ((uint64_t)i << 56)) | 1;
        takers[i].room = total;
        takers[i].got = calloc(total, sizeof *all);
        ready &= CHECK(takers[i].got != NULL);
    }
    if (ready && CHECK_EQUAL(deque_init(&deque, RING), 0)) {
        int started = 0;
        __atomic_store_n(&owner_done, 0, __ATOMIC_RELEASE);
        while (started < THIEVES &&
               CHECK_EQUAL(pthread_create(&takers[started + 1].thread, NULL, thief_main,
                               &takers[started + 1]),
                   0))
            started++;
        owner_main(&takers[0], total);
        __atomic_store_n(&owner_done, 1, __ATOMIC_RELEASE);
        for (int i = 1; i <= started; i++)
            pthread_join(takers[i].thread, NULL);
        CHECK_EQUAL(deque_length(&deque), 0);
        check_each_once(takers, all, total);
        deque_free(&deque);
    }
    for (int i = 0; i <= THIEVES; i++)
        free(takers[i].got);
    free(all);
}

static void each_item_is_taken_once(void)
{
    barrier_init();
    stress(harness_rounds(500000));
}

static void each_item_is_taken_once_without_membarrier(void)
{
    barrier_asymmetric = false;
    stress(harness_rounds(500000));
    barrier_init();
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"capacity is a power of two", capacity_is_a_power_of_two},
        {"owner pops the newest", owner_pops_the_newest},
        {"owner takes the oldest", owner_takes_the_oldest},
        {"thieves steal the oldest", thieves_steal_the_oldest},
        {"empty deque gives nothing", empty_deque_gives_nothing},
        {"pop_if takes only the newest", pop_if_takes_only_the_newest},
        {"pop_if knows a stolen item", pop_if_knows_a_stolen_item},
        {"growth keeps all items", growth_keeps_all_items},
        {"ring does not grow without need", ring_does_not_grow_without_need},
        {"many are stolen oldest first", many_are_stolen_oldest_first},
        {"at most a quarter is stolen", at_most_a_quarter_is_stolen},
        {"pop goes around a claim", pop_goes_around_a_claim},
        {"pop_if leaves a claimed item", pop_if_leaves_a_claimed_item},
        {"pop_if takes a single claimed item", pop_if_takes_a_single_claimed_item},
        {"another thief completes a claim", another_thief_completes_a_claim},
#ifdef CAN_FAIL_CALLOC
        {"push without memory changes nothing", push_without_memory_changes_nothing},
#endif
        {"each item is taken once", each_item_is_taken_once},
        {"each item is taken once without membarrier",
            each_item_is_taken_once_without_membarrier},
    };
    return harness_main("deque", tests, sizeof tests / sizeof *tests);
}
