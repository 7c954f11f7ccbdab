/* SPDX-License-Identifier: MIT */
#include "sched/stack_region.h"

#include "sched/stack_guard.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

/*
 * Pushed under the lock of a class, of which there are several, hence the compare and
 * swap; read by stack_of_address. Regions leave only all at once.
 */
static _Atomic(struct stack_region *) regions;

struct stack_region *region_first(void)
{
    /* Pairs with the release in publish: the record is complete. */
    return atomic_load_explicit(&regions, memory_order_acquire);
}

static void publish(struct stack_region *region)
{
    region->next = atomic_load_explicit(&regions, memory_order_relaxed);
    /* Release pairs with the acquire in region_first. */
    while (!atomic_compare_exchange_weak_explicit(
        &regions, &region->next, region, memory_order_release, memory_order_relaxed))
        ;
}

struct stack_region *region_map(
    struct stack_class *class, size_t slice_size, uint32_t capacity)
{
    size_t page = guard_page_size();
    size_t record = sizeof(struct stack_region) + capacity * sizeof(uint32_t);
    struct stack_region *region;

    record = (record + page - 1) & ~(page - 1);
    region = stack_system.map(NULL, record + capacity * slice_size,
        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) {
        errno = ENOMEM;
        return NULL;
    }
    /* A huge page would commit 2 MiB for the first touch of eight stacks. A kernel
     * built without them refuses the advice, and needs none. */
    (void)stack_system.advise(region, record + capacity * slice_size, MADV_NOHUGEPAGE);
    region->class = class;
    region->slices = (char *)region + record;
    region->slice_size = slice_size;
    region->bytes = record + capacity * slice_size;
    region->capacity = capacity;
    SANITIZE_ROOT(region->slices, capacity * slice_size);
    publish(region);
    return region;
}

void region_forget_all(void)
{
    atomic_store_explicit(&regions, NULL, memory_order_relaxed);
}

void region_unmap_all(void)
{
    struct stack_region *region =
        atomic_exchange_explicit(&regions, NULL, memory_order_acquire);

    while (region != NULL) {
        struct stack_region *next = region->next;

#if SANITIZE_ADDRESS
        __asan_unpoison_memory_region(region, region->bytes);
#endif
        SANITIZE_UNROOT(region->slices, region->capacity * region->slice_size);
        stack_system.unmap(region, region->bytes);
        region = next;
    }
}

uint32_t region_take(struct stack_region *region, uint32_t *slices, uint32_t max)
{
    uint32_t count = 0;

    while (count < max && region->cold_count > 0)
        slices[count++] = region->cold[--region->cold_count];
    while (count < max && region->carved < region->capacity)
        slices[count++] = region->carved++ | REGION_RAW;
    return count;
}

bool region_put(struct stack_region *region, uint32_t slice)
{
    region->cold[region->cold_count++] = slice;
    return region->cold_count == 1;
}

int region_guard(struct stack_region *region, uint32_t *slices, uint32_t count)
{
    struct iovec pages[STACK_COLD_BATCH];
    size_t raw = 0;

    for (uint32_t i = 0; i < count; i++) {
        size_t slice = slices[i] & ~REGION_RAW;

        if (slices[i] & REGION_RAW)
            pages[raw++] = (struct iovec){
                region->slices + slice * region->slice_size, guard_page_size()};
    }
    if (raw > 0 && guard_install(pages, raw) != 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        slices[i] &= ~REGION_RAW;
    return 0;
}

struct stack *region_header(const struct stack_region *region, uint32_t slice)
{
    char *end = region->slices + ((size_t)slice + 1) * region->slice_size;

    return (struct stack *)(end - (slice % STACK_COLOURS) * sizeof(struct stack)) - 1;
}

uint32_t region_slice(const struct stack_region *region, const struct stack *stack)
{
    return (
        uint32_t)((size_t)((const char *)stack - region->slices) / region->slice_size);
}

char *region_top_page(const struct stack *stack)
{
    return (char *)((uintptr_t)stack & ~(uintptr_t)(guard_page_size() - 1));
}

size_t stack_reserved(const struct stack *stack)
{
    return stack->region->slice_size;
}

struct stack *stack_of_address(const void *address)
{
    uintptr_t at = (uintptr_t)address;

    for (struct stack_region *region = region_first(); region != NULL;
         region = region->next) {
        uintptr_t offset = at - (uintptr_t)region->slices;
        struct stack *stack;

        if (at < (uintptr_t)region->slices ||
            offset >= region->slice_size * region->capacity)
            continue;
        stack = region_header(region, (uint32_t)(offset / region->slice_size));
        /* A cold slice reads as zero. */
        return stack->region == region ? stack : NULL;
    }
    return NULL;
}
