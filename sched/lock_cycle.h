/* SPDX-License-Identifier: MIT */
#ifndef SCHED_LOCK_CYCLE_H
#define SCHED_LOCK_CYCLE_H

/*
 * Finding greenlets that wait for locks in a cycle, while others run on
 * (GROVE_DEADLOCK_CHECK). Part of the monitor.
 *
 * The monitor reads nothing of other threads' greenlets, as their stacks may vanish
 * meanwhile. It asks each worker that has some waiting, by a message, and the worker
 * looks at its own. At the first look it only notes who holds what is waited for; at
 * the next one, a period later, it copies those waits that are still the same: the same
 * wait for the same lock, held by the same greenlet. All the copies of a look are then
 * true at every moment between the two looks, so a cycle among them is one, and each of
 * its greenlets has waited for a period at least.
 *
 * What is not known is whether the one who took a lock is the one who will release it:
 * a lock used as a signal between greenlets may be reported wrongly. Threads of the
 * program, and greenlets spawned on such, aren't asked.
 *
 * While nobody waits the monitor sleeps for good, and the first to wait wakes it.
 */

#include "sched/timers.h"

/* A wait that was the same at two looks. */
struct lock_edge {
    uint64_t id, holder; /* numbers of greenlets */
    uint64_t serial;
    const char *text; /* what is waited for */
    void *lock, *spawned_at;
    double seconds;
    int worker;
    char name[64]; /* "": it has none */
    /* The monitor's. */
    struct lock_edge *next; /* that of the holder, if it waits */
    size_t walk;
};

/* With the workers made; with the monitor stopped. */
void lock_cycle_start(void);
void lock_cycle_stop(void);

/* Called by the monitor at the time that it returned last, and whenever it is woken:
 * does what is to be done and returns when it wants to be called again. */
nanoseconds lock_cycle_turn(nanoseconds now);

#endif
