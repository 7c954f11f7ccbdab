/* SPDX-License-Identifier: MIT */
#ifndef SCHED_MONITOR_H
#define SCHED_MONITOR_H

/*
 * A thread that looks at the workers from outside, at no cost for them. It notices
 * greenlets that keep their worker to themselves, and reports each such stretch once,
 * with the backtrace of the worker's thread (GROVE_MAX_BLOCKING_TIME): it looks at what
 * workers count anyway, a few times in the time allowed, so a stretch is found with up
 * to a quarter of that delay. And it finds cycles of locks (lock_cycle.h).
 *
 * There is none while nothing is reported. For the first task it is made with the
 * runtime, for the second when first a greenlet waits for a lock.
 */

/* With all workers made. 0, or -1 with errno when no thread can be had. */
int monitor_start(void);

/* Wakes it, or makes it, once; without memory for it there is none. Any thread, while
 * the runtime runs. */
void monitor_wake(void);

/* Does nothing when there is none. Before the workers end, with nothing left to run. */
void monitor_stop(void);

/* How many threads it has: 0 or 1. */
int monitor_threads(void);

#endif
