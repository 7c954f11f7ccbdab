/* SPDX-License-Identifier: MIT */
#include "sched/stack_class.h"

#include "sched/stack_guard.h"
#include "sched/stack_region.h"
#include "sched/stack_valgrind.h"

/* The first region is small, each following one twice as large, up to this. */
#define REGION_BYTES_FIRST ((size_t)16 << 20)
#define REGION_BYTES_MAX ((size_t)1 << 30)
#define REGION_SLICES_MAX 4096

/* The most that class_cool does. */
#define COOL_MAX 256

_Static_assert(STACK_COLD_BATCH <= STACK_ADVICE_BATCH, "guards are made at one call");

static uint32_t at_least_one(size_t value, uint32_t most)
{
    return value < 1 ? 1 : value > most ? most : (uint32_t)value;
}

void class_init(struct stack_class *class, size_t slice_size)
{
    class->slice_size = slice_size;
    class->slices_max = at_least_one(REGION_BYTES_MAX / slice_size, REGION_SLICES_MAX);
    class->slices_next =
        at_least_one(REGION_BYTES_FIRST / slice_size, STACK_COLD_BATCH);
    class->batches = NULL;
    class->open = NULL;
    class->with_cold = NULL;
}

/* Where address space is short (RLIMIT_AS, strict overcommit), settles for less. */
static struct stack_region *grow(struct stack_class *class)
{
    for (uint32_t slices = class->slices_next; slices > 0; slices /= 2) {
        struct stack_region *region = region_map(class, class->slice_size, slices);

        if (region == NULL)
            continue;
        class->slices_next = at_least_one((size_t)2 * slices, class->slices_max);
        class->open = region;
        return region;
    }
    return NULL;
}

static void put_cold(
    struct stack_class *class, struct stack_region *region, uint32_t slice)
{
    if (!region_put(region, slice))
        return;
    region->next_cold = class->with_cold;
    class->with_cold = region;
}

static struct stack_region *take_cold(
    struct stack_class *class, uint32_t *slices, uint32_t *count)
{
    struct stack_region *region = class->with_cold;

    if (region == NULL)
        region = class->open;
    if (region == NULL ||
        (region->cold_count == 0 && region->carved == region->capacity))
        region = grow(class);
    if (region == NULL)
        return NULL;
    *count = region_take(region, slices, STACK_COLD_BATCH);
    if (region == class->with_cold && region->cold_count == 0)
        class->with_cold = region->next_cold;
    return region;
}

static struct stack *take_batch(struct stack_class *class)
{
    struct stack *batch = class->batches;

    if (batch != NULL)
        class->batches = batch->next_batch;
    return batch;
}

static void put_batch(struct stack_class *class, struct stack *batch, uint32_t count)
{
    batch->batch_count = count;
    batch->next_batch = class->batches;
    class->batches = batch;
}

struct stack *class_take_warm(struct stack_class *class)
{
    struct stack *batch;

    pthread_mutex_lock(&class->lock);
    batch = take_batch(class);
    pthread_mutex_unlock(&class->lock);
    return batch;
}

void class_put_warm(struct stack_class *class, struct stack *list, uint32_t count)
{
    pthread_mutex_lock(&class->lock);
    put_batch(class, list, count);
    pthread_mutex_unlock(&class->lock);
}

struct stack_region *class_take_cold(
    struct stack_class *class, uint32_t *slices, uint32_t *count)
{
    struct stack_region *region;

    pthread_mutex_lock(&class->lock);
    region = take_cold(class, slices, count);
    pthread_mutex_unlock(&class->lock);
    /* Outside of the lock: this is the longest part, and the slices are ours. */
    if (region != NULL && region_guard(region, slices, *count) != 0) {
        class_put_cold(class, region, slices, *count);
        return NULL;
    }
    return region;
}

void class_put_cold(struct stack_class *class, struct stack_region *region,
    const uint32_t *slices, uint32_t count)
{
    pthread_mutex_lock(&class->lock);
    for (uint32_t i = 0; i < count; i++)
        put_cold(class, region, slices[i]);
    pthread_mutex_unlock(&class->lock);
}

/* Turns up to STACK_ADVICE_BATCH of a list cold; returns what is left of it. */
static struct stack *cool(struct stack_class *class, struct stack *stack)
{
    struct {
        struct stack_region *region;
        uint32_t slice;
    } cooled[STACK_ADVICE_BATCH];
    struct stack_ranges ranges = {0};
    size_t count = 0;

    while (stack != NULL && count < STACK_ADVICE_BATCH) {
        char *low = stack->limit;
        char *high = region_top_page(stack) + guard_page_size();

        VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
        cooled[count].region = stack->region;
        cooled[count].slice = region_slice(stack->region, stack);
        count++;
        stack = stack->next; /* before its header is gone */
        ranges_add(&ranges, low, high);
    }
    ranges_release(&ranges);
    pthread_mutex_lock(&class->lock);
    for (size_t i = 0; i < count; i++)
        put_cold(class, cooled[i].region, cooled[i].slice);
    pthread_mutex_unlock(&class->lock);
    return stack;
}

bool class_cool(struct stack_class *class)
{
    struct stack *stack = class_take_warm(class);
    uint32_t left;
    bool more;

    if (stack == NULL)
        return false;
    left = stack->batch_count;
    for (uint32_t i = 0; i < COOL_MAX / STACK_ADVICE_BATCH && stack != NULL; i++) {
        stack = cool(class, stack);
        left -= stack != NULL ? STACK_ADVICE_BATCH : 0;
    }
    pthread_mutex_lock(&class->lock);
    if (stack != NULL)
        put_batch(class, stack, left);
    more = class->batches != NULL;
    pthread_mutex_unlock(&class->lock);
    return more;
}

void class_count(struct stack_class *class, struct stack_counts *counts)
{
    pthread_mutex_lock(&class->lock);
    for (struct stack *batch = class->batches; batch != NULL; batch = batch->next_batch)
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
