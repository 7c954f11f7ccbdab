/* SPDX-License-Identifier: MIT */
#ifndef SCHED_TIMERS_H
#define SCHED_TIMERS_H

/*
 * The timers of one worker: a 4-ary heap by deadline, owner only.
 *
 * A million sleeping greenlets must not cost a cache miss into a million stacks for
 * every timer that moves in the heap. So the heap holds numbers, not pointers: a
 * timer's number is its index in two side arrays, one with its place in the heap, one
 * with its address, and only the place is written when it moves. 28 bytes a timer.
 * Equal deadlines fire in the order in which they were added.
 *
 * libev's own timers are not used: with epoll they are rounded up to whole
 * milliseconds. The hub sleeps on a timerfd set to timers_next().
 */

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of the clock that the worker's timers use: CLOCK_MONOTONIC, unless that
 * is virtual (clock.h). */
typedef int64_t nanoseconds;
#define TIMERS_NEVER INT64_MAX

struct timer {
    void (*fire)(struct timer *timer); /* called once, no longer in the heap */
    uint32_t id;                       /* 0: not running */
};

struct timers {
    struct timer_entry {
        nanoseconds deadline;
        uint32_t order; /* breaks ties; wraps after 4 billion adds, which can at worst
                           swap two timers of the same nanosecond */
        uint32_t id;
    } * heap;
    uint32_t *place;        /* of a running id: its index in heap; of a free one: the
                               next free id */
    struct timer **address; /* by id */
    uint32_t count, capacity;
    uint32_t free_id;
    uint32_t order;
};

/* Of the calling thread. */
nanoseconds timers_clock(void);

/* The deadline [seconds] from now, saturating at TIMERS_NEVER. */
nanoseconds timers_deadline(double seconds);

/* Seconds until [deadline], 0 when it has passed; GROVE_FOREVER for TIMERS_NEVER. */
double timers_left(nanoseconds deadline);

/* 0, or -1 with errno ENOMEM. The timer isn't running and has [fire] set. */
int timers_add(struct timers *timers, struct timer *timer, nanoseconds deadline);

/* Harmless for a timer that isn't running. */
void timers_remove(struct timers *timers, struct timer *timer);

/* Deadline of the first, TIMERS_NEVER when there is none. */
static inline nanoseconds timers_next(const struct timers *timers)
{
    return timers->count ? timers->heap[0].deadline : TIMERS_NEVER;
}

/* Fires what is due at [now], at most as many as run when it is called. Returns how
 * many fired. */
uint32_t timers_expire(struct timers *timers, nanoseconds now);

void timers_free(struct timers *timers);

#endif
