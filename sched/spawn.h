/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SPAWN_H
#define SCHED_SPAWN_H

#include "sched/greenlet.h"
#include "sched/worker.h"

/* Spawns on a given worker, ready there after what is ready now. Any thread; the caller
 * gets a reference. NULL with errno ENOMEM. */
struct grove *greenlet_spawn_on(struct worker *worker, grove_fn fn, void *arg);

#endif
