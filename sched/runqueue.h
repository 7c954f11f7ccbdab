/* SPDX-License-Identifier: MIT */
#ifndef SCHED_RUNQUEUE_H
#define SCHED_RUNQUEUE_H

/* The greenlets ready on one worker, first in first out. Owner only; the length is
 * read by the statistics. */

#include <stddef.h>
#include <stdint.h>

#include "sched/greenlet.h"

struct runqueue {
    struct grove *first, *last; /* last is meaningful while first isn't NULL */
    uint32_t length;
};

static inline void runqueue_push(struct runqueue *queue, struct grove *greenlet)
{
    greenlet->next = NULL;
    queue->length++;
    if (queue->first)
        queue->last->next = greenlet;
    else
        queue->first = greenlet;
    queue->last = greenlet;
}

static inline struct grove *runqueue_pop(struct runqueue *queue)
{
    struct grove *greenlet = queue->first;

    if (greenlet) {
        queue->first = greenlet->next;
        queue->length--;
    }
    return greenlet;
}

#endif
