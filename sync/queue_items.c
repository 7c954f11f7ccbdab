/* SPDX-License-Identifier: MIT */
#include "sync/queue_items.h"

#include <stdlib.h>
#include <string.h>

void queue_heap_push(struct grove_queue *queue, void *item)
{
    void **items = queue->items;
    uint32_t place = queue_count(queue);

    queue_set_count(queue, place + 1);
    while (place > 0) {
        uint32_t parent = (place - 1) / 2;
        if (queue->compare(items[parent], item) <= 0)
            break;
        items[place] = items[parent];
        place = parent;
    }
    items[place] = item;
}

void *queue_heap_pop(struct grove_queue *queue)
{
    void **items = queue->items;
    void *least = items[0];
    uint32_t count = queue_count(queue) - 1;
    void *moved = items[count];
    uint32_t place = 0;

    queue_set_count(queue, count);
    for (uint32_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && queue->compare(items[child + 1], items[child]) < 0)
            child++;
        if (queue->compare(moved, items[child]) <= 0)
            break;
        items[place] = items[child];
    }
    items[place] = moved;
    return least;
}

/* Copies the items in order, so that the ring begins at 0. */
static void move_items(struct grove_queue *queue, void **items)
{
    uint32_t count = queue_count(queue);
    uint32_t unwrapped = queue->capacity - queue->head;

    if (unwrapped > count)
        unwrapped = count;
    memcpy(items, queue->items + queue->head, unwrapped * sizeof *items);
    memcpy(items + unwrapped, queue->items, (count - unwrapped) * sizeof *items);
    queue->head = 0;
}

int queue_grow(struct grove_queue *queue)
{
    queue_enter(queue);
    uint32_t capacity = queue->capacity;
    queue_leave(queue);
    if (capacity >= QUEUE_LIMIT_MAX)
        return ENOMEM;
    void **unused = malloc(2 * (size_t)capacity * sizeof *unused);
    if (!unused)
        return ENOMEM;
    queue_enter(queue);
    if (queue->capacity == capacity) { /* else another was quicker */
        void **items = unused;
        move_items(queue, items);
        unused = queue->items;
        queue->items = items;
        queue->capacity = 2 * capacity;
    }
    queue_leave(queue);
    free(unused);
    return 0;
}
