/* SPDX-License-Identifier: MIT */
#ifndef SCHED_MONITOR_H
#define SCHED_MONITOR_H

/*
 * A thread that notices greenlets that keep their worker to themselves, and reports
 * each such stretch once, with the backtrace of the worker's thread
 * (GROVE_MAX_BLOCKING_TIME). There is none while that is 0 or nothing is reported.
 *
 * It costs the workers nothing: it looks from outside at what they count anyway, a few
 * times in the time allowed, so a stretch is found with up to a quarter of that delay.
 */

/* With all workers made. 0, or -1 with errno when no thread can be had. */
int monitor_start(void);

/* Does nothing when there is none. Before the workers end. */
void monitor_stop(void);

/* How many threads it has: 0 or 1. */
int monitor_threads(void);

#endif
