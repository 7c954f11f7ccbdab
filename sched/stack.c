/* SPDX-License-Identifier: MIT */
/*
 * The slow paths of the caches, and the start and end of all stacks.
 *
 * A class is asked for a whole batch at a time: warm stacks that another worker gave
 * back, else cold slices that one did, else slices never used. Header and first page
 * come into being only when a cold stack is lent, so that a program with 20 greenlets
 * commits 20 pages although slices are fetched by 64. One that starts greenlets by the
 * thousand pays for page faults above all: then the top pages of the next stacks are
 * committed by one call (measured 1.3 us a page instead of 1.9), a quarter of what was
 * used so far at most.
 *
 * Stacks on their way to the depot give back what lies below their top page, untouched
 * or not: finding out by mincore() costs 760 ns, advising in batches 180.
 */
#include "sched/fork.h"
#include "sched/stack.h"

#include "sched/stack_class.h"
#include "sched/stack_guard.h"
#include "sched/stack_region.h"
#include "sched/stack_valgrind.h"

#include <errno.h>
#include <pthread.h>

/* Warm ones of a size other than the default, for all workers. */
#define SHARED_LIMIT 16

/* Fewer pages than this are not worth a call of their own. */
#define POPULATE_MIN 8

/* The last released stacks of a cache, which a trim leaves as they are. */
#define TRIM_KEEP 8

#define SIZED_SHIFT_MIN 14
#define SIZED_SHIFT_MAX 30
#define SIZED_COUNT (SIZED_SHIFT_MAX - SIZED_SHIFT_MIN + 1)

_Static_assert(STACK_SIZE_MIN == (size_t)1 << SIZED_SHIFT_MIN, "smallest class");
_Static_assert(STACK_SIZE_MAX == (size_t)1 << SIZED_SHIFT_MAX, "largest class");

static struct stack_class default_class = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Of the other sizes there are few: one cache for all workers. */
static struct sized {
    struct stack_class class; /* first: found from a pointer to it */
    pthread_mutex_t lock;     /* of cache; taken before that of the class */
    struct stack_cache cache;
} sized[SIZED_COUNT] = {
    [0 ... SIZED_COUNT - 1] = {.class.lock = PTHREAD_MUTEX_INITIALIZER,
        .lock = PTHREAD_MUTEX_INITIALIZER},
};

static uint32_t cache_limit; /* written by stack_init, constant afterwards */

/* Stops at the first trimmed one: what follows has been at rest since the last time. */
static void trim_list(struct stack *stack)
{
    struct stack_ranges ranges = {0};

    for (; stack != NULL && !stack->trimmed; stack = stack->next) {
        stack->trimmed = 1;
        if (region_top_page(stack) != stack->limit)
            ranges_add(&ranges, stack->limit, region_top_page(stack));
    }
    ranges_release(&ranges);
}

void stack_cache_init(struct stack_cache *cache)
{
    *cache = (struct stack_cache){.limit = cache_limit, .class = &default_class};
}

/* Afterwards free or cold[] of the cache has something, or there is no memory. */
static bool refill(struct stack_cache *cache)
{
    uint32_t slices[STACK_COLD_BATCH];
    struct stack_region *region;
    uint32_t count;

    cache->free = class_take_warm(cache->class);
    if (cache->free != NULL) {
        cache->count = cache->free->batch_count;
        return true;
    }
    region = class_take_cold(cache->class, slices, &count);
    if (region == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        cache->cold[i] = region_header(region, slices[i]);
    cache->cold_region = region;
    cache->cold_count = count;
    return true;
}

static void populate_ahead(struct stack_cache *cache)
{
    struct iovec pages[STACK_COLD_BATCH];
    uint32_t ahead = cache->demand / 4;

    if (ahead > cache->cold_count)
        ahead = cache->cold_count;
    if (cache->populated > 0 || ahead < POPULATE_MIN)
        return;
    for (uint32_t i = 0; i < ahead; i++)
        pages[i] = (struct iovec){
            region_top_page(cache->cold[cache->cold_count - 1 - i]), guard_page_size()};
    guard_populate(pages, ahead);
    cache->populated = ahead;
}

/* What was committed ahead and is not needed after all. */
static void unpopulate(struct stack_cache *cache)
{
    struct stack_ranges ranges = {0};

    for (; cache->populated > 0; cache->populated--) {
        char *page = region_top_page(cache->cold[cache->cold_count - cache->populated]);

        ranges_add(&ranges, page, page + guard_page_size());
    }
    ranges_release(&ranges);
}

static struct stack *warm_up(struct stack_cache *cache)
{
    struct stack_region *region = cache->cold_region;
    struct stack *stack;
    char *slice;

    populate_ahead(cache);
    if (cache->populated > 0)
        cache->populated--;
    cache->demand++;
    stack = cache->cold[--cache->cold_count];
    slice = region->slices + (size_t)region_slice(region, stack) * region->slice_size;
    *stack = (struct stack){.limit = slice + guard_page_size(),
        .region = region,
        .sized = region->class != &default_class};
    stack->valgrind_id =
        VALGRIND_STACK_REGISTER(stack->limit, (char *)stack_top(stack) - 1);
    stack_unpoison(stack);
    return stack;
}

struct stack *stack_acquire_cold(struct stack_cache *cache)
{
    if (cache->cold_count == 0 && !refill(cache)) {
        errno = ENOMEM;
        return NULL;
    }
    return cache->free != NULL ? stack_acquire(cache) : warm_up(cache);
}

/* To the depot: all of the free list beyond the `keep` most recently released. */
static void spill(struct stack_cache *cache, uint32_t keep)
{
    struct stack **link = &cache->free;
    struct stack *rest;

    if (cache->count <= keep)
        return;
    for (uint32_t i = 0; i < keep; i++)
        link = &(*link)->next;
    rest = *link;
    *link = NULL;
    trim_list(rest);
    class_put_warm(cache->class, rest, cache->count - keep);
    cache->count = keep;
}

static void push(struct stack_cache *cache, struct stack *stack)
{
    stack_poison(stack);
    stack->trimmed = 0;
    stack->next = cache->free;
    cache->free = stack;
    cache->count++;
    if (cache->count > cache->limit)
        spill(cache, cache->limit / 2);
}

void stack_release_slow(struct stack_cache *cache, struct stack *stack)
{
    if (stack->sized) {
        struct sized *of = (struct sized *)stack->region->class;

        pthread_mutex_lock(&of->lock);
        push(&of->cache, stack);
        pthread_mutex_unlock(&of->lock);
        return;
    }
    push(cache, stack);
    if (cache->limit == 0)
        class_cool(cache->class);
}

struct stack *stack_acquire_sized(struct stack_cache *cache, size_t size)
{
    struct sized *of = sized;
    struct stack *stack;

    if (size < STACK_SIZE_MIN || size > STACK_SIZE_MAX) {
        errno = EINVAL;
        return NULL;
    }
    if (guard_whole_pages(size) == default_class.slice_size)
        return stack_acquire(cache);
    while (of->class.slice_size < size)
        of++;
    pthread_mutex_lock(&of->lock);
    stack = stack_acquire(&of->cache);
    pthread_mutex_unlock(&of->lock);
    return stack;
}

bool stack_trim(struct stack_cache *cache)
{
    struct stack *stack = cache->free;
    bool more;

    for (uint32_t i = 0; i < TRIM_KEEP && stack != NULL; i++)
        stack = stack->next;
    trim_list(stack);
    unpopulate(cache);
    cache->demand = 0;
    more = class_cool(&default_class);
    for (size_t i = 0; i < SIZED_COUNT; i++)
        more |= class_cool(&sized[i].class);
    return more;
}

void stack_cache_drain(struct stack_cache *cache)
{
    spill(cache, 0);
    unpopulate(cache);
    while (cache->cold_count > 0) {
        struct stack *stack = cache->cold[--cache->cold_count];
        uint32_t slice = region_slice(cache->cold_region, stack);

        class_put_cold(cache->class, cache->cold_region, &slice, 1);
    }
}

/* Room for a guard and a page above it, also where pages are of 64 KiB. */
static size_t slice_size(size_t size)
{
    size_t least = 2 * guard_page_size();

    return size < least ? least : guard_whole_pages(size);
}

static void init_classes(size_t default_size)
{
    class_init(&default_class, default_size);
    for (size_t i = 0; i < SIZED_COUNT; i++) {
        class_init(&sized[i].class, slice_size(STACK_SIZE_MIN << i));
        sized[i].cache =
            (struct stack_cache){.limit = SHARED_LIMIT, .class = &sized[i].class};
    }
}

int stack_init(size_t default_size, size_t cache_bytes)
{
    size_t stacks;

    if (default_size < STACK_SIZE_MIN || default_size > STACK_SIZE_MAX)
        return -EINVAL;
    guard_probe();
    stacks = cache_bytes / slice_size(default_size);
    cache_limit = stacks < UINT32_MAX / 2 ? (uint32_t)stacks : UINT32_MAX / 2;
    init_classes(slice_size(default_size));
    return 0;
}

void stack_depot_destroy(void)
{
#ifdef GROVE_VALGRIND
    while (class_cool(&default_class))
        ;
    for (size_t i = 0; i < SIZED_COUNT; i++) {
        stack_cache_drain(&sized[i].cache);
        while (class_cool(&sized[i].class))
            ;
    }
#endif
    region_unmap_all();
    init_classes(default_class.slice_size);
}

void stack_count(struct stack_counts *counts)
{
    *counts = (struct stack_counts){.unguarded = guard_missing()};
    class_count(&default_class, counts);
    for (size_t i = 0; i < SIZED_COUNT; i++)
        class_count(&sized[i].class, counts);
}

void stack_forget(void)
{
    /* The caller may run on one of them: they stay mapped. */
    region_forget_all();
    pthread_mutex_init(&default_class.lock, NULL);
    for (size_t i = 0; i < SIZED_COUNT; i++) {
        pthread_mutex_init(&sized[i].class.lock, NULL);
        pthread_mutex_init(&sized[i].lock, NULL);
    }
}
