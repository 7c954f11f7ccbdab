/* SPDX-License-Identifier: MIT */
#ifndef SCHED_KILL_ALL_H
#define SCHED_KILL_ALL_H

#include "sched/worker.h"

/*
 * Kills every greenlet that lives, or every one of [owner] if that isn't NULL, and those
 * that are spawned meanwhile, and waits for their end. Not the caller and no main
 * greenlet. 0, or the errno value of the wait: ETIMEDOUT if not all have ended within
 * [seconds].
 */
int kill_all(struct worker *owner, double seconds);

#endif
