/* SPDX-License-Identifier: MIT */
#ifndef SCHED_RUNQUEUE_H
#define SCHED_RUNQUEUE_H

/* The greenlets ready on one worker, first in first out. Owner only; the length is
 * read by the statistics. */

#include <stdbool.h>
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

static inline void runqueue_push_first(struct runqueue *queue, struct grove *greenlet)
{
    greenlet->next = queue->first;
    queue->length++;
    if (!queue->first)
        queue->last = greenlet;
    queue->first = greenlet;
}

/* With thousands ready each switch would wait for memory twice: for the stack that is
 * resumed, and before that for the record that tells where it is. So both are fetched
 * some switches ahead: 10,000 take turns in 21 ns each instead of 35. Always inline, as
 * to gcc a function that does nothing else has no effect, and its calls are dropped. */
static inline __attribute__((always_inline)) void runqueue_prefetch(
    struct grove *greenlet)
{
    enum { AHEAD = 3 };

    for (int i = 1; i < AHEAD && greenlet; i++)
        greenlet = greenlet->next;
    if (!greenlet)
        return;
    /* A number, as an unstarted one has NULL, to which nothing may be added. */
    uintptr_t stack = (uintptr_t)greenlet->stack_pointer;
    __builtin_prefetch((void *)stack);
    __builtin_prefetch((void *)(stack + 64));
    __builtin_prefetch(greenlet->next);
}

static inline struct grove *runqueue_pop(struct runqueue *queue)
{
    struct grove *greenlet = queue->first;

    if (greenlet) {
        struct grove *after = queue->first = greenlet->next;
        runqueue_prefetch(after);
        queue->length--;
    }
    return greenlet;
}

/* Takes one out of the middle; false if it isn't in. Walks the queue. */
static inline bool runqueue_remove(struct runqueue *queue, struct grove *greenlet)
{
    struct grove *before = NULL;

    for (struct grove *at = queue->first; at; before = at, at = at->next) {
        if (at != greenlet)
            continue;
        if (before)
            before->next = at->next;
        else
            queue->first = at->next;
        if (queue->last == at)
            queue->last = before;
        queue->length--;
        return true;
    }
    return false;
}

#endif
