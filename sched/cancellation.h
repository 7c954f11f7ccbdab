/* SPDX-License-Identifier: MIT */
#ifndef SCHED_CANCELLATION_H
#define SCHED_CANCELLATION_H

/*
 * What makes the blocking calls of a greenlet fail for as long as it lasts, and leaves
 * no trace behind: unlike a kill, which is the greenlet's until its end, and unlike a
 * timeout, which fails one call. A greenlet has a chain of them, the innermost first;
 * the first that belongs to another greenlet ends its own part. That is where the chain
 * was when the greenlet was made: what it then opens lies inside.
 *
 *   outer, greenlet   constant
 *   error             set once, by anybody who then calls greenlet_interrupt
 *   the chain         its greenlet's worker
 */

#include <stdatomic.h>

#include "sched/greenlet.h"

struct cancellation {
    struct cancellation *outer;
    struct grove *greenlet; /* whose calls fail */
    _Atomic(int) error;     /* with this; 0: they don't */
};

/* The running greenlet's becomes the innermost. Its outer and greenlet are set. */
void cancellation_enter(struct cancellation *cancellation);

/* Takes out the innermost of the running greenlet. */
void cancellation_leave(struct cancellation *cancellation);

/* The error with which its blocking calls fail, 0 if none; has them take their slow way
 * accordingly. Its own worker. */
int cancellation_notice(struct grove *greenlet);

/* Takes the chain away from the running greenlet, for a wait that nothing may end, and
 * gives it back. In between nothing is entered or left; what is cancelled meanwhile is
 * noticed afterwards. */
struct cancellation *cancellation_suspend(struct grove *greenlet);
void cancellation_resume(struct grove *greenlet, struct cancellation *chain);

/* Has a started greenlet look at its cancellations, and ends its wait if one says so.
 * Any thread that holds a reference. */
void greenlet_interrupt(struct grove *greenlet);

#endif
