/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SPAWN_H
#define SCHED_SPAWN_H

#include "sched/greenlet.h"
#include "sched/worker.h"

/* Spawns on a given worker, ready there after what is ready now. Any thread; the caller
 * gets a reference. NULL with errno ENOMEM. */
struct grove *greenlet_spawn_on(struct worker *worker, grove_fn fn, void *arg);

/* One that is deferred or delayed is in no queue. When it was killed, this gets it into
 * one, ended, to let go of the runtime's reference. Any thread. */
void spawn_let_go(struct grove *greenlet);

/* Kills what is deferred or delayed on the calling thread's worker: it becomes ready,
 * and ends when its turn comes. */
void spawn_kill_held(struct worker *worker);

#endif
