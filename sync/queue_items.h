/* SPDX-License-Identifier: MIT */
#ifndef SYNC_QUEUE_ITEMS_H
#define SYNC_QUEUE_ITEMS_H

/*
 * The items of a queue in the order of its kind, in one array: a ring for a FIFO, a
 * stack for a LIFO, a binary heap for a priority queue. Everything inside the section;
 * push needs count < capacity, the others count > 0.
 */

#include "sync/queue.h"

void queue_heap_push(struct grove_queue *queue, void *item);
void *queue_heap_pop(struct grove_queue *queue);

/* Makes room if the array is full and smaller than the limit. Outside the section,
 * which it enters to move the items over: 0 or ENOMEM. */
int queue_grow(struct grove_queue *queue);

static inline void queue_push(struct grove_queue *queue, void *item)
{
    uint32_t count = queue_count(queue);

    if (UNLIKELY(queue->compare)) {
        queue_heap_push(queue, item);
        return;
    }
    queue->items[(queue->head + count) & (queue->capacity - 1)] = item;
    queue_set_count(queue, count + 1);
}

static inline void *queue_pop(struct grove_queue *queue)
{
    uint32_t count = queue_count(queue);

    if (UNLIKELY(queue->compare))
        return queue_heap_pop(queue);
    queue_set_count(queue, count - 1);
    if (queue->kind == GROVE_LIFO)
        return queue->items[count - 1];
    void *item = queue->items[queue->head];
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    return item;
}

/* What the next pop would take. */
static inline void *queue_front(const struct grove_queue *queue)
{
    if (queue->kind == GROVE_LIFO && !queue->compare)
        return queue->items[queue_count(queue) - 1];
    return queue->items[queue->head];
}

#endif
