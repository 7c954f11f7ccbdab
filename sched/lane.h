/* SPDX-License-Identifier: MIT */
#ifndef SCHED_LANE_H
#define SCHED_LANE_H

/*
 * The compute lane: threads of low priority for work that computes for long
 * (GROVE_CPU). A greenlet can't be preempted by the library, but a thread can by the
 * kernel: beside each worker, on the same core, there may be a lane thread of which the
 * worker takes the core whenever it has something to do.
 *
 * A lane thread is made when there is work that no other is free for, up to one for
 * each worker, and lives until the runtime ends. It runs greenlets as a guest does, and
 * takes unstarted ones from one queue, first in first out: a deque for each with
 * stealing between them would save nothing where each task runs for long.
 */

#include <stdbool.h>

#include "sched/greenlet.h"
#include "sched/timers.h"
#include "sched/worker.h"

/* Makes an unstarted greenlet available to the lane threads. False: there is none, and
 * none can be made now; the caller gives it to the workers. Leaves errno alone. Any
 * thread. */
bool lane_push(struct grove *greenlet);

/* The oldest unstarted one, NULL if none. */
struct grove *lane_pop(void);

bool lane_empty(void);

/* Sleeps in the hub until [deadline], a message, I/O or work, unless there is work. A
 * lane thread. */
void lane_park(struct worker *lane, nanoseconds deadline);

/* The lane threads there are; the number only grows until the runtime ends. */
int lane_count(void);
struct worker *lane_at(int index);

/* Joins them all and frees what they held. After runtime_stop was set. */
void lane_stop(void);

#endif
