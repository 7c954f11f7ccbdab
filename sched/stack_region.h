/* SPDX-License-Identifier: MIT */
/*
 * Regions: the large mappings that stacks are carved from.
 *
 *     | record, cold[] | slice 0 | slice 1 | ...                       | slice n-1 |
 *
 * One mapping holds many slices, and the kernel merges neighbouring mappings, so that
 * the number of stacks is not bounded by vm.max_map_count. The record lies in the
 * mapping itself: one call to fail, nothing to unwind.
 *
 * Who may touch what:
 *
 *   next, class, slices, slice_size,     constant once published by region_map;
 *   capacity, bytes                      any thread, signal handlers
 *   carved, cold_count, cold[],          under the lock of the class
 *   next_cold
 */
#ifndef SCHED_STACK_REGION_H
#define SCHED_STACK_REGION_H

#include "sched/stack.h"

/* In cold[]: this slice has no guard yet. */
#define REGION_RAW ((uint32_t)1 << 31)

struct stack_region {
    struct stack_region *next; /* of all regions of all classes */
    struct stack_class *class;
    char *slices;
    size_t slice_size;
    size_t bytes; /* of the whole mapping */
    uint32_t capacity;
    uint32_t carved;                /* slices ever handed out */
    uint32_t cold_count;            /* handed back since, entries of cold[] */
    struct stack_region *next_cold; /* of those of its class with cold_count > 0 */
    uint32_t cold[];                /* index of a slice, or'ed with REGION_RAW */
};

/* A new region of `capacity` slices, published to stack_of_address, or NULL (ENOMEM).
 */
struct stack_region *region_map(
    struct stack_class *class, size_t slice_size, uint32_t capacity);

/* Unmaps every region. No other thread uses stacks. */
void region_unmap_all(void);

/* Forgets every region and leaves it mapped. */
void region_forget_all(void);

/* Visits all regions, newest first: region_first(), then ->next. Any thread. */
struct stack_region *region_first(void);

/*
 * Takes up to `max` cold slices, never used ones last. Fewer than that, also none, when
 * the region is at its end. Under the lock of the class.
 */
uint32_t region_take(struct stack_region *region, uint32_t *slices, uint32_t max);

/* Takes a slice back. Returns whether it is the only cold one. Under the lock. */
bool region_put(struct stack_region *region, uint32_t slice);

/*
 * Installs the guards of those `slices` that are REGION_RAW and clears the mark;
 * -ENOMEM with all marks kept. No lock needed: the slices are the caller's.
 */
int region_guard(struct stack_region *region, uint32_t *slices, uint32_t count);

/* Where the header of a slice is, and back. */
struct stack *region_header(const struct stack_region *region, uint32_t slice);
uint32_t region_slice(const struct stack_region *region, const struct stack *stack);

/* The page that holds the header, and the first frames. */
char *region_top_page(const struct stack *stack);

#endif
