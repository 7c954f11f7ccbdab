/* SPDX-License-Identifier: MIT */
/*
 * A size class: the regions that stacks of one size are carved from, and the depot of
 * those that no cache holds.
 *
 * Who may touch what:
 *
 *   slice_size, slices_max   written by class_init, constant afterwards
 *   the rest                 under lock, which the functions here take themselves
 *
 * The lock is a leaf, and nothing slower than mapping a region happens under it.
 */
#ifndef SCHED_STACK_CLASS_H
#define SCHED_STACK_CLASS_H

#include "sched/stack.h"

#include <pthread.h>

struct stack_class {
    size_t slice_size;
    uint32_t slices_max; /* of one region */
    pthread_mutex_t lock;
    struct stack *batches;     /* warm, linked by next_batch */
    struct stack_region *open; /* the newest: never used slices, perhaps */
    struct stack_region *with_cold;
    uint32_t slices_next; /* of the next region */
};

/* No regions yet, or no more. The lock has been initialised statically. */
void class_init(struct stack_class *class, size_t slice_size);

/* A batch of warm stacks, batch_count of them linked by next, or NULL. */
struct stack *class_take_warm(struct stack_class *class);

/* Takes a list of `count` > 0 stacks back as one batch. */
void class_put_warm(struct stack_class *class, struct stack *list, uint32_t count);

/*
 * Up to STACK_COLD_BATCH cold slices of one region, with their guards. NULL where there
 * is no memory for a region or for the guards, and nothing has been taken then.
 */
struct stack_region *class_take_cold(
    struct stack_class *class, uint32_t *slices, uint32_t *count);

/* Takes slices back of which no page is committed. */
void class_put_cold(struct stack_class *class, struct stack_region *region,
    const uint32_t *slices, uint32_t count);

/* Turns some of the depot cold, in about 100 us; returns whether there is more. */
bool class_cool(struct stack_class *class);

/* Adds what the class has. */
void class_count(struct stack_class *class, struct stack_counts *counts);

#endif
