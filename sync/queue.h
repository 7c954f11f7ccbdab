/* SPDX-License-Identifier: MIT */
#ifndef SYNC_QUEUE_H
#define SYNC_QUEUE_H

/*
 * The inside of a queue. All operations go through one section, that of [getters].
 *
 * Items are handed over, never left for a woken waiter to find: a put gives its item to
 * the first blocked getter, a get moves the item of the first blocked putter into the
 * room it made. So service is first come first served however the woken ones are
 * scheduled, and these hold whenever nobody is inside:
 *
 *   getters wait   only while the queue is empty
 *   putters wait   only while it holds [limit] items
 *
 * Who may touch what: everything under the section, but
 *   kind, limit, compare   constant
 *   count                  written inside, read anywhere
 * The first cache line is what every operation writes, the second what it only reads.
 */

#include <grove/queue.h>

#include "sync/blocking.h"

/* A channel is a queue that holds no items; a queue of any size has a high limit. */
#define QUEUE_LIMIT_MAX (UINT32_C(1) << 31)

struct grove_queue {
    struct wait_list getters; /* and peekers */
    struct wait_list putters; /* its own section isn't used */
    _Atomic(uint32_t) count;
    uint32_t head;       /* index of the oldest item of a FIFO, else 0 */
    uint64_t unfinished; /* put, but not yet reported by task_done */

    void **items __attribute__((aligned(64)));
    uint32_t capacity; /* of items: a power of two */
    uint32_t limit;
    grove_queue_kind kind;
    bool closed;
    int (*compare)(const void *, const void *); /* of a priority queue, else NULL */
    struct wait_list joiners;                   /* its own section isn't used */
};

struct queue_waiter {
    struct waiter waiter; /* its item is the putter's, or the one that a getter got */
    struct grove_queue *queue;
    struct wait_list *list; /* that of the queue's it is for */
    bool peeks;
};

static inline uint32_t queue_count(const struct grove_queue *queue)
{
    return atomic_load_explicit(&queue->count, memory_order_relaxed);
}

static inline void queue_set_count(struct grove_queue *queue, uint32_t count)
{
    atomic_store_explicit(&queue->count, count, memory_order_relaxed);
}

static inline void queue_enter(struct grove_queue *queue)
{
    section_enter(&queue->getters.section);
}

static inline void queue_leave(struct grove_queue *queue)
{
    section_leave(&queue->getters.section);
}

bool queue_detach(struct waiter *waiter);

/* Links a prepared waiter into one of the queue's lists. Inside the section; the caller
 * leaves it and parks. */
static inline void queue_link(
    struct grove_queue *queue, struct wait_list *list, struct queue_waiter *self)
{
    self->waiter.detach = queue_detach;
    self->queue = queue;
    self->list = list;
    waiter_link(list, &self->waiter);
}

#endif
