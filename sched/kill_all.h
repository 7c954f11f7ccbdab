/* SPDX-License-Identifier: MIT */
#ifndef SCHED_KILL_ALL_H
#define SCHED_KILL_ALL_H

/*
 * Killing every greenlet there is: when the runtime ends, or when a guest does. Also
 * those that are spawned meanwhile, but no main greenlet and not the caller's. Both
 * return 0, or the errno value with which their wait ended: ETIMEDOUT if not all have
 * ended within [seconds].
 */

/* Those of all workers and lane threads, and the helpers; there are no guests. */
int kill_all(double seconds);

/* Those that belong to the calling thread's worker, started or not. */
int kill_all_here(double seconds);

#endif
