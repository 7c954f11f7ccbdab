/* SPDX-License-Identifier: MIT */
#include "tests/sched/stack_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ADVICE_POPULATE 23

static size_t resident_pages(void *limit)
{
    unsigned char pages[STACK_SIZE_DEFAULT / 4096];
    size_t size = STACK_SIZE_DEFAULT - PAGE, count = 0;

    CHECK_EQUAL(mincore(limit, size, pages), 0);
    for (size_t i = 0; i < size / PAGE; i++)
        count += pages[i] & 1;
    return count;
}

static void touch_deep(struct stack *stack)
{
    memset(stack->limit, 1, stack_usable(stack));
}

/* Lending. */

static void whole_size_usable(void)
{
    start();
    struct stack *stack = stack_acquire(&cache);

    if (!CHECK(stack != NULL))
        return;
    CHECK_EQUAL(stack_reserved(stack), STACK_SIZE_DEFAULT);
    CHECK(stack_usable(stack) >= STACK_SIZE_DEFAULT - PAGE - 1200);
    CHECK_EQUAL((uintptr_t)stack_top(stack) % 64, 0);
    touch_deep(stack);
    CHECK(guarded(stack));
    stack_release(&cache, stack);
    stop();
}

static void last_released_is_lent_first(void)
{
    start();
    acquire_all(lent, 3);
    release_all(lent, 3);
    CHECK_EQUAL(stack_acquire(&cache), lent[2]);
    CHECK_EQUAL(stack_acquire(&cache), lent[1]);
    CHECK_EQUAL(stack_acquire(&cache), lent[0]);
    release_all(lent, 3);
    stop();
}

static void stacks_do_not_overlap(void)
{
    start();
    acquire_all(lent, MANY);
    for (size_t i = 0; i < MANY; i++) {
        *(size_t *)lent[i]->limit = i;
        ((size_t *)stack_top(lent[i]))[-1] = i;
    }
    for (size_t i = 0; i < MANY; i++) {
        CHECK_EQUAL(*(size_t *)lent[i]->limit, i);
        CHECK_EQUAL(((size_t *)stack_top(lent[i]))[-1], i);
        CHECK(guarded(lent[i]));
    }
    release_all(lent, MANY);
    stop();
}

static void tops_are_coloured(void)
{
    bool seen[STACK_COLOURS] = {false};

    start();
    acquire_all(lent, STACK_COLOURS);
    for (size_t i = 0; i < STACK_COLOURS; i++) {
        size_t from_end = PAGE - ((uintptr_t)lent[i] & (PAGE - 1));

        CHECK_EQUAL(from_end % sizeof(struct stack), 0);
        CHECK(from_end <= 1200);
        seen[(from_end / sizeof(struct stack) - 1) % STACK_COLOURS] = true;
    }
    for (size_t i = 0; i < STACK_COLOURS; i++)
        CHECK(seen[i]);
    release_all(lent, STACK_COLOURS);
    stop();
}

static void started_stack_costs_one_page(void)
{
    start();
    struct stack *stack = stack_acquire(&cache);

    CHECK_EQUAL(resident_pages(stack->limit), 1);
    stack_release(&cache, stack);
    stop();
}

/* Many. */

static size_t mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    size_t lines = 0;
    int c;

    if (!CHECK(file != NULL))
        return 0;
    while ((c = getc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static void many_stacks_need_few_mappings(void)
{
    size_t count = harness_rounds(200000);
    struct stack **stacks = calloc(count, sizeof *stacks);

    start();
    size_t before = mappings();

    acquire_all(stacks, count);
    CHECK_EQUAL(counts().unguarded, 0);
    CHECK(guarded(stacks[0]) && guarded(stacks[count - 1]));
    /* Neighbouring regions merge where nothing lies between; each is one otherwise. */
    CHECK(!guard_is_light() || mappings() <= before + 2 * counts().regions);
    release_all(stacks, count);
    CHECK_EQUAL(counts().depot + cache.count, count);
    stop();
    free(stacks);
}

static size_t populated;

static ssize_t count_populated(const struct iovec *ranges, size_t count, int advice)
{
    ssize_t done = real.advise_many(ranges, count, advice);

    if (advice == ADVICE_POPULATE && done > 0)
        populated += count;
    return done;
}

static void few_stacks_are_not_populated(void)
{
    stack_system.advise_many = count_populated;
    start();
    populated = 0;
    acquire_all(lent, 20);
    CHECK_EQUAL(populated, 0);
    release_all(lent, 20);
    stop();
}

static void populating_runs_at_most_a_quarter_ahead(void)
{
    stack_system.advise_many = count_populated;
    start();
    populated = 0;
    for (size_t i = 0; i < MANY; i++) {
        lent[i] = stack_acquire(&cache);
        CHECK(cache.populated <= i / 4);
    }
    CHECK(populated <= MANY);
    release_all(lent, MANY);
    stop();
}

/* Depot. */

static void surplus_goes_to_the_depot(void)
{
    start();
    acquire_all(lent, MANY);
    release_all(lent, MANY);
    CHECK(cache.count <= LIMIT);
    CHECK_EQUAL(cache.count + counts().depot, MANY);
    stop();
}

static void depot_serves_other_caches(void)
{
    struct stack_cache other;

    start();
    acquire_all(lent, MANY);
    release_all(lent, MANY);
    stack_cache_init(&other);
    size_t carved = counts().carved;
    size_t depot = counts().depot;
    struct stack *stack = stack_acquire(&other);

    CHECK(counts().depot < depot);
    CHECK_EQUAL(counts().carved, carved);
    stack_release(&other, stack);
    stack_cache_drain(&other);
    stop();
}

static void surplus_gives_deep_pages_back(void)
{
    start();
    acquire_all(lent, LIMIT + 1);
    touch_deep(lent[0]);
    CHECK(resident_pages(lent[0]->limit) > 1);
    release_all(lent, LIMIT + 1); /* the first released is the coldest */
    CHECK_EQUAL(resident_pages(lent[0]->limit), 1);
    stop();
}

static void trim_gives_deep_pages_back(void)
{
    start();
    acquire_all(lent, LIMIT);
    for (size_t i = 0; i < LIMIT; i++)
        touch_deep(lent[i]);
    release_all(lent, LIMIT);
    CHECK(!stack_trim(&cache));
    CHECK_EQUAL(resident_pages(lent[0]->limit), 1);
    CHECK_EQUAL(resident_pages(lent[LIMIT / 2]->limit), 1);
    CHECK_EQUAL(cache.count, LIMIT);
    stop();
}

static void trim_again_sees_what_was_used_since(void)
{
    start();
    acquire_all(lent, LIMIT);
    release_all(lent, LIMIT);
    stack_trim(&cache);
    acquire_all(lent, LIMIT);
    struct stack *deepest = lent[0];

    touch_deep(deepest);
    release_all(lent, LIMIT);
    stack_trim(&cache);
    CHECK_EQUAL(resident_pages(deepest->limit), 1);
    stop();
}

static void trim_empties_the_depot_step_by_step(void)
{
    size_t calls = 1;
    void *limit;

    start_with(STACK_SIZE_DEFAULT, MANY - 1);
    acquire_all(lent, MANY);
    limit = lent[0]->limit;
    for (size_t i = 0; i < MANY; i++)
        touch_deep(lent[i]);
    release_all(lent, MANY);
    size_t depot = counts().depot;

    CHECK(depot > 256);
    for (; stack_trim(&cache); calls++)
        CHECK_EQUAL(counts().depot + counts().cold + cache.count + cache.cold_count,
            counts().carved);
    CHECK(calls > 1);
    CHECK_EQUAL(counts().depot, 0);
    CHECK(counts().cold >= depot);
    CHECK_EQUAL(resident_pages(limit), 0);
    stop();
}

static void cold_stack_is_lent_again_with_its_guard(void)
{
    start();
    acquire_all(lent, MANY);
    release_all(lent, MANY);
    while (stack_trim(&cache))
        ;
    size_t carved = counts().carved;

    acquire_all(lent, MANY);
    CHECK_EQUAL(counts().carved, carved);
    for (size_t i = 0; i < MANY; i++) {
        CHECK(guarded(lent[i]));
        touch_deep(lent[i]);
    }
    release_all(lent, MANY);
    stop();
}

static void cache_of_nothing_gives_back_at_once(void)
{
    void *limit;

    start_with(STACK_SIZE_DEFAULT, 0);
    acquire_all(lent, 1);
    limit = lent[0]->limit;
    touch_deep(lent[0]);
    release_all(lent, 1);
    CHECK_EQUAL(cache.count, 0);
    CHECK_EQUAL(resident_pages(limit), 0);
    CHECK(stack_of_address(lent[0]) == NULL);
    stop();
}

/* Sizes. */

static void sized_stack_has_its_size(void)
{
    start();
    for (size_t size = STACK_SIZE_MIN; size <= (size_t)64 << 20; size *= 2) {
        size_t asked = size == STACK_SIZE_MIN ? size : size - 100;
        struct stack *stack = stack_acquire_sized(&cache, asked);

        if (!CHECK(stack != NULL))
            continue;
        CHECK_EQUAL(stack_reserved(stack), size);
        CHECK(guarded(stack));
        *(char *)stack->limit = 1;
        stack_release(&cache, stack);
    }
    stop();
}

static void default_size_comes_from_the_cache(void)
{
    start();
    acquire_all(lent, 1);
    release_all(lent, 1);
    CHECK_EQUAL(stack_acquire_sized(&cache, STACK_SIZE_DEFAULT), lent[0]);
    release_all(lent, 1);
    stop();
}

static void sized_stacks_are_reused(void)
{
    start();
    for (size_t i = 0; i < 100; i++)
        lent[i] = stack_acquire_sized(&cache, 32 << 10);
    size_t carved = counts().carved;

    release_all(lent, 100);
    CHECK_EQUAL(cache.count, 0);
    for (size_t i = 0; i < 100; i++)
        lent[i] = stack_acquire_sized(&cache, 32 << 10);
    CHECK_EQUAL(counts().carved, carved);
    release_all(lent, 100);
    stop();
}

static void odd_default_size_is_rounded_to_pages(void)
{
    start_with(100000, LIMIT);
    acquire_all(lent, MANY);
    for (size_t i = 0; i < MANY; i++) {
        CHECK_EQUAL(stack_reserved(lent[i]), (100000 + PAGE - 1) / PAGE * PAGE);
        CHECK_EQUAL(stack_of_address(lent[i]->limit), lent[i]);
        CHECK(guarded(lent[i]));
    }
    release_all(lent, MANY);
    stop();
}

static void impossible_sizes_are_refused(void)
{
    CHECK_EQUAL(stack_init(STACK_SIZE_MIN - 1, 0), -EINVAL);
    CHECK_EQUAL(stack_init(STACK_SIZE_MAX + 1, 0), -EINVAL);
    start();
    errno = 0;
    CHECK(stack_acquire_sized(&cache, STACK_SIZE_MIN - 1) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    errno = 0;
    CHECK(stack_acquire_sized(&cache, STACK_SIZE_MAX + 1) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    stop();
}

/* Addresses. */

static void address_leads_to_its_stack(void)
{
    start();
    acquire_all(lent, MANY);
    for (size_t i = 0; i < MANY; i++) {
        CHECK_EQUAL(stack_of_address(guard_of(lent[i])), lent[i]);
        CHECK_EQUAL(stack_of_address(lent[i]->limit), lent[i]);
        CHECK_EQUAL(stack_of_address(lent[i]), lent[i]);
    }
    release_all(lent, MANY);
    stop();
}

static void foreign_address_leads_nowhere(void)
{
    start();
    acquire_all(lent, 1);
    CHECK(stack_of_address(&lent) == NULL);
    CHECK(stack_of_address(NULL) == NULL);
    CHECK(stack_of_address((void *)UINTPTR_MAX) == NULL);
    /* The neighbour was carved with it but never lent. */
    CHECK(stack_of_address((char *)guard_of(lent[0]) - PAGE) == NULL);
    release_all(lent, 1);
    stop();
}

static void start_after_shutdown(void)
{
    for (int i = 0; i < 3; i++) {
        start();
        acquire_all(lent, MANY);
        CHECK(guarded(lent[MANY - 1]));
        release_all(lent, MANY);
        stop();
        CHECK_EQUAL(counts().regions, 0);
        CHECK(stack_of_address(lent[0]) == NULL);
    }
}

/* Threads. */

#define THREADS 4
#define HELD 200

/* Each thread marks what it holds and passes it on, so that stacks travel from cache to
 * cache, directly and through the depot. */
static _Atomic(struct stack *) passed[THREADS];

static void *churn(void *self)
{
    size_t rounds = harness_rounds(200);
    struct stack_cache own;
    struct stack *held[HELD];

    stack_cache_init(&own);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < HELD; i++) {
            held[i] =
                i % 10 == 0 ? stack_acquire_sized(&own, 64 << 10) : stack_acquire(&own);
            if (!CHECK(held[i] != NULL))
                return NULL;
            held[i]->owner = self;
            *(void **)held[i]->limit = self;
        }
        for (size_t i = 0; i < HELD; i++) {
            CHECK_EQUAL(held[i]->owner, self);
            CHECK_EQUAL(*(void **)held[i]->limit, self);
            held[i] = atomic_exchange(&passed[i % THREADS], held[i]);
        }
        for (size_t i = 0; i < HELD; i++)
            if (held[i] != NULL)
                stack_release(&own, held[i]);
        if (round % 16 == 0)
            stack_trim(&own);
    }
    stack_cache_drain(&own);
    return NULL;
}

static void threads_never_share_a_stack(void)
{
    pthread_t threads[THREADS];

    start();
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, churn, &passed[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < THREADS; i++) {
        struct stack *stack = atomic_exchange(&passed[i], NULL);

        if (stack != NULL)
            stack_release(&cache, stack);
    }
    stop();
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"the whole size is usable", whole_size_usable},
        {"the last released is lent first", last_released_is_lent_first},
        {"stacks do not overlap", stacks_do_not_overlap},
        {"tops are coloured", tops_are_coloured},
        {"a started stack costs one page", started_stack_costs_one_page},
        {"many stacks need few mappings", many_stacks_need_few_mappings},
        {"few stacks are not populated", few_stacks_are_not_populated},
        {"populating runs a quarter ahead", populating_runs_at_most_a_quarter_ahead},
        {"surplus goes to the depot", surplus_goes_to_the_depot},
        {"the depot serves other caches", depot_serves_other_caches},
        {"surplus gives deep pages back", surplus_gives_deep_pages_back},
        {"trim gives deep pages back", trim_gives_deep_pages_back},
        {"a second trim sees new use", trim_again_sees_what_was_used_since},
        {"trim empties the depot stepwise", trim_empties_the_depot_step_by_step},
        {"a cold stack keeps its guard", cold_stack_is_lent_again_with_its_guard},
        {"a cache of nothing keeps nothing", cache_of_nothing_gives_back_at_once},
        {"a sized stack has its size", sized_stack_has_its_size},
        {"the default size is cached", default_size_comes_from_the_cache},
        {"sized stacks are reused", sized_stacks_are_reused},
        {"an odd size is rounded to pages", odd_default_size_is_rounded_to_pages},
        {"impossible sizes are refused", impossible_sizes_are_refused},
        {"an address leads to its stack", address_leads_to_its_stack},
        {"a foreign address leads nowhere", foreign_address_leads_nowhere},
        {"start after shutdown", start_after_shutdown},
        {"threads never share a stack", threads_never_share_a_stack},
    };

    real = stack_system;
    return harness_main("stack", tests, sizeof tests / sizeof *tests);
}
