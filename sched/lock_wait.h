/* SPDX-License-Identifier: MIT */
#ifndef SCHED_LOCK_WAIT_H
#define SCHED_LOCK_WAIT_H

/*
 * Waits for what somebody holds. Each worker has a list of those of its greenlets, for
 * the search for cycles (lock_cycle.h).
 *
 *   all of struct lock_wait   the worker of who waits
 *   lock_waits of a worker    written by it; others ask whether it is NULL
 *   lock_wait_alarm           set by the monitor before it sleeps for good; taken back
 *                             by who wakes it
 */

#include "sched/waiter.h"
#include "sched/worker.h"

struct lock_wait {
    struct lock_wait *next, **link;
    struct waiter *waiter;
    uint64_t serial; /* no other wait of any worker has the same */
    bool seen;       /* by a look of the monitor, and then [holder] held it */
    uint64_t holder;
};

extern _Atomic(bool) lock_wait_alarm;

/* waiter_park for a waiter whose reason may know a holder. */
int lock_wait_park(struct waiter *waiter, double timeout);

#endif
