/* SPDX-License-Identifier: MIT */
#ifndef SCHED_CLOCK_H
#define SCHED_CLOCK_H

/*
 * Virtual time (GROVE_CLOCK=virtual): what timers_clock says on workers and lane
 * threads. It begins with 0, stands still while anything runs, and when all of them
 * sleep with nothing under way (quiet.h) it jumps to the first of their timers. So a
 * program that sleeps for an hour is tested in a moment, and with one worker its
 * timeouts fire at the same points of each run.
 *
 * Threads of the program, also those with a hub of their own, have real time: nobody
 * knows what they are about to do, so they neither keep time from jumping nor can wait
 * for it to. The same goes for other processes: a timeout around a wait for one of them
 * fires as soon as nothing else is left to do.
 *
 * A worker that has been awake for very long lets time pass slowly, as somebody may be
 * waiting for it with grove_yield; in a seeded run (chance.h) it passes in drawn steps,
 * mostly none, so that timeouts come in the middle of things as they do in reality.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "sched/worker.h"

/* Constant while the runtime runs, but threads of the program, which look at it too,
 * may be in a call while another runtime starts. */
extern _Atomic(bool) clock_virtual;

/* Whether this worker's time is virtual. */
static inline bool clock_virtual_for(const struct worker *worker)
{
    return __builtin_expect(
               atomic_load_explicit(&clock_virtual, memory_order_relaxed), 0) &&
           (worker->index >= 0 || worker->lane);
}

/* CLOCK_MONOTONIC. Any thread. */
nanoseconds clock_real(void);

/* Of a runtime that starts. */
void clock_start(bool is_virtual);

/* The rest is for workers whose time is virtual. */

/* One turn of a worker that is awake is over. Returns what time it is. */
nanoseconds clock_turn(struct worker *worker);

/*
 * The worker is about to sleep until [deadline] with nothing to run. False: don't, as
 * [deadline] has come, or there is something to look at again. Either way quiet_end
 * follows.
 */
bool clock_falling_asleep(struct worker *worker, nanoseconds deadline);

#endif
