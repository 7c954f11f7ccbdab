/* SPDX-License-Identifier: MIT */
#ifndef SCHED_DEADLOCK_H
#define SCHED_DEADLOCK_H

/*
 * Finding out that nothing can ever wake anybody: all workers sleep without a deadline,
 * no hub watches anything, no message is under way, no helper (helpers.h) is at work,
 * no signal is waited for, and the process has no thread that isn't the library's. Then
 * the main greenlet's blocking call fails with EDEADLK, and a report lists who waits
 * (gevent's LoopExit). Costs a worker a few stores when it falls asleep; the rest
 * happens only when all of them do.
 */

#include "sched/worker.h"

/* The worker is about to sleep until [deadline]. False: don't, its main greenlet has
 * just been made ready. Either way quiet_end follows. */
bool deadlock_falling_asleep(struct worker *worker, nanoseconds deadline);

/* What kept all from being quiet may have gone: if all workers sleep, wakes one that
 * looks again, also for the virtual clock. While the runtime can't end; any thread. */
void deadlock_reconsider(void);

/* [change] is added to how many things outside the library are awaited, like a signal:
 * while there are any nothing is a deadlock. By the greenlet or plain thread that
 * awaits it, so that its worker looks again before it sleeps. */
void deadlock_outside(int change);

#endif
