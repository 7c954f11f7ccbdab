/* SPDX-License-Identifier: MIT */
/*
 * Size classes, each with its depot, and the slow paths of the caches.
 *
 * A class is asked for a whole batch at a time: warm stacks that another worker gave
 * back, else cold slices that one did, else slices never used. Header and first page
 * come into being only when a cold stack is lent, so that a program with 20 greenlets
 * commits 20 pages although slices are fetched by 64. One that starts greenlets by the
 * thousand pays for page faults above all: then the top pages of the next stacks are
 * committed by one call (measured here 1.3 us a page instead of 1.9), a quarter of what
 * was used so far at most.
 *
 * Stacks on their way to the depot give back what lies below their top page, untouched
 * or not: finding out by mincore() costs 760 ns, advising in batches 180.
 */
#include "sched/stack.h"

#include "sched/stack_guard.h"
#include "sched/stack_region.h"

#include <errno.h>
#include <pthread.h>

#ifdef GROVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

/* The first region is small, each following one twice as large, up to this. */
#define REGION_BYTES_FIRST ((size_t)16 << 20)
#define REGION_BYTES_MAX ((size_t)1 << 30)
#define REGION_SLICES_MAX 4096

/* Warm ones of a size other than the default, for all workers. */
#define SHARED_LIMIT 16

/* Fewer pages than this are not worth a call of their own. */
#define POPULATE_MIN 8

/* The last released stacks of a cache that a trim leaves as they are, and the most it
 * cools of one depot: about 100 us. */
#define TRIM_KEEP 8
#define TRIM_MAX 256

#define SIZED_SHIFT_MIN 14
#define SIZED_SHIFT_MAX 30
#define CLASS_DEFAULT 0
#define CLASS_COUNT (1 + SIZED_SHIFT_MAX - SIZED_SHIFT_MIN + 1)

_Static_assert(STACK_SIZE_MIN == (size_t)1 << SIZED_SHIFT_MIN, "smallest class");
_Static_assert(STACK_SIZE_MAX == (size_t)1 << SIZED_SHIFT_MAX, "largest class");
_Static_assert(STACK_COLD_BATCH <= STACK_ADVICE_BATCH, "guards are made at one call");

/*
 * slice_size, slices_max   written by stack_init, constant afterwards
 * shared                   under shared_lock, which is taken before lock
 * the rest                 under lock
 * No lock is held across a switch, nor anything slower than mapping a region.
 */
struct stack_class {
    size_t slice_size;
    uint32_t slices_max; /* of one region */
    pthread_mutex_t lock;
    struct stack *batches;     /* warm, linked by next_batch */
    struct stack_region *open; /* the newest: never used slices, perhaps */
    struct stack_region *with_cold;
    uint32_t slices_next; /* of the next region */
    pthread_mutex_t shared_lock;
    struct stack_cache shared; /* not used by the default class */
};

static struct stack_class classes[CLASS_COUNT] = {
    [0 ... CLASS_COUNT - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER,
        .shared_lock = PTHREAD_MUTEX_INITIALIZER},
};

static uint32_t cache_limit; /* written by stack_init, constant afterwards */

/* Address ranges that are advised together. */
struct ranges {
    size_t count;
    struct iovec range[STACK_ADVICE_BATCH];
};

static void ranges_flush(struct ranges *ranges)
{
    if (ranges->count > 0)
        guard_release(ranges->range, ranges->count);
    ranges->count = 0;
}

static void ranges_add(struct ranges *ranges, void *low, void *high)
{
    ranges->range[ranges->count++] =
        (struct iovec){low, (size_t)((char *)high - (char *)low)};
    if (ranges->count == STACK_ADVICE_BATCH)
        ranges_flush(ranges);
}

static void *top_page(const struct stack *stack)
{
    return (void *)((uintptr_t)stack & ~(uintptr_t)(guard_page_size() - 1));
}

static size_t whole_pages(size_t size)
{
    return (size + guard_page_size() - 1) & ~(guard_page_size() - 1);
}

/* Stops at the first trimmed one: what follows has been at rest since the last time. */
static void trim_list(struct stack *stack)
{
    struct ranges ranges = {0};

    for (; stack != NULL && !stack->trimmed; stack = stack->next) {
        stack->trimmed = 1;
        if (top_page(stack) != stack->limit)
            ranges_add(&ranges, stack->limit, top_page(stack));
    }
    ranges_flush(&ranges);
}

/* A class: under its lock. */

static size_t clamp(size_t value, size_t low, size_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void class_init(struct stack_class *class, size_t slice_size)
{
    class->slice_size = slice_size;
    class->slices_max = clamp(REGION_BYTES_MAX / slice_size, 1, REGION_SLICES_MAX);
    class->slices_next = clamp(REGION_BYTES_FIRST / slice_size, 1, STACK_COLD_BATCH);
    class->batches = NULL;
    class->open = NULL;
    class->with_cold = NULL;
    stack_cache_init(&class->shared);
    class->shared.class = class;
    class->shared.limit = SHARED_LIMIT;
}

/* Where address space is short (RLIMIT_AS, strict overcommit), settles for less. */
static struct stack_region *class_grow(struct stack_class *class)
{
    uint32_t slices = class->slices_next;

    for (; slices > 0; slices /= 2) {
        struct stack_region *region = region_map(class, class->slice_size, slices);

        if (region == NULL)
            continue;
        class->slices_next = clamp(2 * slices, 1, class->slices_max);
        class->open = region;
        return region;
    }
    return NULL;
}

static void class_put_cold(
    struct stack_class *class, struct stack_region *region, uint32_t slice)
{
    if (!region_put(region, slice))
        return;
    region->next_cold = class->with_cold;
    class->with_cold = region;
}

static struct stack_region *class_take_cold(
    struct stack_class *class, uint32_t *slices, uint32_t *count)
{
    struct stack_region *region = class->with_cold;

    if (region == NULL)
        region = class->open;
    if (region == NULL ||
        (region->cold_count == 0 && region->carved == region->capacity))
        region = class_grow(class);
    if (region == NULL)
        return NULL;
    *count = region_take(region, slices, STACK_COLD_BATCH);
    if (region == class->with_cold && region->cold_count == 0)
        class->with_cold = region->next_cold;
    return region;
}

static struct stack *class_take_batch(struct stack_class *class)
{
    struct stack *batch = class->batches;

    if (batch != NULL)
        class->batches = batch->next_batch;
    return batch;
}

static void class_put_batch(
    struct stack_class *class, struct stack *batch, uint32_t count)
{
    batch->batch_count = count;
    batch->next_batch = class->batches;
    class->batches = batch;
}

/* A cache: its owner. */

void stack_cache_init(struct stack_cache *cache)
{
    *cache =
        (struct stack_cache){.limit = cache_limit, .class = &classes[CLASS_DEFAULT]};
}

/* Afterwards either free or cold[] of the cache has something, or there is no memory.
 */
static bool refill(struct stack_cache *cache)
{
    struct stack_class *class = cache->class;
    struct stack_region *region = NULL;
    uint32_t slices[STACK_COLD_BATCH];
    uint32_t count = 0;

    pthread_mutex_lock(&class->lock);
    cache->free = class_take_batch(class);
    if (cache->free != NULL)
        cache->count = cache->free->batch_count;
    else
        region = class_take_cold(class, slices, &count);
    pthread_mutex_unlock(&class->lock);
    if (cache->free != NULL)
        return true;
    if (region == NULL)
        return false;
    /* Outside of the lock: this is the longest part, and the slices are ours. */
    if (region_guard(region, slices, count) != 0) {
        pthread_mutex_lock(&class->lock);
        for (uint32_t i = 0; i < count; i++)
            class_put_cold(class, region, slices[i]);
        pthread_mutex_unlock(&class->lock);
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        cache->cold[i] = region_header(region, slices[i]);
    cache->cold_region = region;
    cache->cold_count = count;
    return true;
}

static void populate_ahead(struct stack_cache *cache)
{
    struct iovec pages[STACK_COLD_BATCH];
    uint32_t ahead = clamp(cache->demand / 4, 0, cache->cold_count);

    if (cache->populated > 0 || ahead < POPULATE_MIN)
        return;
    for (uint32_t i = 0; i < ahead; i++)
        pages[i] = (struct iovec){
            top_page(cache->cold[cache->cold_count - 1 - i]), guard_page_size()};
    guard_populate(pages, ahead);
    cache->populated = ahead;
}

/* What was committed ahead and is not needed after all. */
static void unpopulate(struct stack_cache *cache)
{
    struct ranges ranges = {0};

    for (; cache->populated > 0; cache->populated--) {
        char *page = top_page(cache->cold[cache->cold_count - cache->populated]);

        ranges_add(&ranges, page, page + guard_page_size());
    }
    ranges_flush(&ranges);
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
    *stack = (struct stack){
        .region = region, .sized = region->class != &classes[CLASS_DEFAULT]};
    slice = region->slices + (size_t)region_slice(stack) * region->slice_size;
    stack->limit = slice + guard_page_size();
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
    struct stack_class *class = cache->class;
    struct stack **link = &cache->free;
    struct stack *rest;

    if (cache->count <= keep)
        return;
    for (uint32_t i = 0; i < keep; i++)
        link = &(*link)->next;
    rest = *link;
    *link = NULL;
    trim_list(rest);
    pthread_mutex_lock(&class->lock);
    class_put_batch(class, rest, cache->count - keep);
    pthread_mutex_unlock(&class->lock);
    cache->count = keep;
}

static void push(struct stack_cache *cache, struct stack *stack)
{
    stack_poison(stack);
    stack->trimmed = 0;
    stack->next = cache->free;
    cache->free = stack;
    cache->count++;
}

/* Turns up to STACK_ADVICE_BATCH of a list cold; returns what is left of it. */
static struct stack *cool(struct stack_class *class, struct stack *stack)
{
    struct {
        struct stack_region *region;
        uint32_t slice;
    } cooled[STACK_ADVICE_BATCH];
    struct ranges ranges = {0};
    size_t count = 0;

    while (stack != NULL && count < STACK_ADVICE_BATCH) {
        void *low = stack->limit;
        char *high = (char *)top_page(stack) + guard_page_size();

        VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
        cooled[count].region = stack->region;
        cooled[count].slice = region_slice(stack);
        count++;
        stack = stack->next; /* before its header is gone */
        ranges_add(&ranges, low, high);
    }
    ranges_flush(&ranges);
    pthread_mutex_lock(&class->lock);
    for (size_t i = 0; i < count; i++)
        class_put_cold(class, cooled[i].region, cooled[i].slice);
    pthread_mutex_unlock(&class->lock);
    return stack;
}

/* Cools TRIM_MAX of one batch of the depot at most; returns whether there is more. */
static bool cool_depot(struct stack_class *class)
{
    struct stack *stack;
    uint32_t left;
    bool more;

    pthread_mutex_lock(&class->lock);
    stack = class_take_batch(class);
    pthread_mutex_unlock(&class->lock);
    if (stack == NULL)
        return false;
    left = stack->batch_count;
    for (uint32_t i = 0; i < TRIM_MAX / STACK_ADVICE_BATCH && stack != NULL; i++) {
        stack = cool(class, stack);
        left -= stack != NULL ? STACK_ADVICE_BATCH : 0;
    }
    pthread_mutex_lock(&class->lock);
    if (stack != NULL)
        class_put_batch(class, stack, left);
    more = class->batches != NULL;
    pthread_mutex_unlock(&class->lock);
    return more;
}

void stack_release_slow(struct stack_cache *cache, struct stack *stack)
{
    struct stack_class *class = stack->region->class;

    if (stack->sized) {
        pthread_mutex_lock(&class->shared_lock);
        push(&class->shared, stack);
        if (class->shared.count > class->shared.limit)
            spill(&class->shared, class->shared.limit / 2);
        pthread_mutex_unlock(&class->shared_lock);
        return;
    }
    push(cache, stack);
    spill(cache, cache->limit / 2);
    if (cache->limit == 0)
        cool_depot(class);
}

struct stack *stack_acquire_sized(struct stack_cache *cache, size_t size)
{
    struct stack_class *class = &classes[CLASS_DEFAULT];
    struct stack *stack;

    if (size < STACK_SIZE_MIN || size > STACK_SIZE_MAX) {
        errno = EINVAL;
        return NULL;
    }
    if (whole_pages(size) == class->slice_size)
        return stack_acquire(cache);
    for (class ++; class->slice_size < size; class ++)
        ;
    pthread_mutex_lock(&class->shared_lock);
    stack = stack_acquire(&class->shared);
    pthread_mutex_unlock(&class->shared_lock);
    return stack;
}

bool stack_trim(struct stack_cache *cache)
{
    struct stack *stack = cache->free;
    bool more = false;

    for (uint32_t i = 0; i < TRIM_KEEP && stack != NULL; i++)
        stack = stack->next;
    trim_list(stack);
    unpopulate(cache);
    cache->demand = 0;
    for (size_t i = 0; i < CLASS_COUNT; i++)
        more |= cool_depot(&classes[i]);
    return more;
}

void stack_cache_drain(struct stack_cache *cache)
{
    struct stack_class *class = cache->class;

    spill(cache, 0);
    unpopulate(cache);
    pthread_mutex_lock(&class->lock);
    while (cache->cold_count > 0) {
        struct stack *stack = cache->cold[--cache->cold_count];
        char *slices = cache->cold_region->slices;

        class_put_cold(class, cache->cold_region,
            (uint32_t)((size_t)((char *)stack - slices) / class->slice_size));
    }
    pthread_mutex_unlock(&class->lock);
}

/* The process. */

int stack_init(size_t default_size, size_t cache_bytes)
{
    if (default_size < STACK_SIZE_MIN || default_size > STACK_SIZE_MAX)
        return -EINVAL;
    guard_probe();
    default_size = whole_pages(default_size);
    cache_limit = clamp(cache_bytes / default_size, 0, UINT32_MAX / 2);
    class_init(&classes[CLASS_DEFAULT], default_size);
    for (size_t i = 1; i < CLASS_COUNT; i++)
        class_init(&classes[i], STACK_SIZE_MIN << (i - 1));
    return 0;
}

void stack_depot_destroy(void)
{
#ifdef GROVE_VALGRIND
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        stack_cache_drain(&classes[i].shared);
        while (cool_depot(&classes[i]))
            ;
    }
#endif
    region_unmap_all();
    for (size_t i = 0; i < CLASS_COUNT; i++)
        class_init(&classes[i], classes[i].slice_size);
}

void stack_count(struct stack_counts *counts)
{
    *counts = (struct stack_counts){.unguarded = guard_missing()};
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        struct stack_class *class = &classes[i];

        pthread_mutex_lock(&class->lock);
        for (struct stack *batch = class->batches; batch != NULL;
             batch = batch->next_batch)
            counts->depot += batch->batch_count;
        for (struct stack_region *region = region_first(); region != NULL;
             region = region->next) {
            if (region->class != class)
                continue;
            counts->regions++;
            counts->carved += region->carved;
            counts->cold += region->cold_count;
        }
        pthread_mutex_unlock(&class->lock);
    }
}
