/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SPAWN_H
#define SCHED_SPAWN_H

#include <stdbool.h>

#include "sched/greenlet.h"
#include "sched/worker.h"

/* Where the public function that says it was called: where a greenlet was spawned. */
#define CALL_SITE __builtin_return_address(0)

/* grove_spawn_with and grove_go for who spawns what somebody else has asked for. [site]
 * is a CALL_SITE or, for who works behind the scenes, the user's function. */
grove_t *spawn_for(const grove_attr_t *attr, grove_fn fn, void *arg, void *site);
grove_t *spawn_go_for(grove_fn fn, void *arg, void *site);

/* Spawns on a given worker, ready there after what is ready now. Any thread; the caller
 * gets a reference. NULL with errno ENOMEM. */
struct grove *greenlet_spawn_on(
    struct worker *worker, grove_fn fn, void *arg, void *site);

/*
 * A spawn in two steps, for who keeps a list of what it spawned: between the two the
 * greenlet may be published, and be killed already. Its end is seen by [watcher], the
 * link of the caller, even if it never starts. References: one each for the caller, the
 * watcher and the runtime. Any thread; a plain one becomes a guest. NULL with errno.
 */
struct grove *spawn_prepare(grove_fn fn, void *arg, void *site, struct waiter *watcher);

/* The second, on the same thread and without a switch in between. Without memory for
 * what [affinity] asks for it becomes ready on the calling thread. */
void spawn_launch(struct grove *greenlet, grove_affinity_t affinity);

/* Whether others have taken all that threads like the calling one have offered with
 * grove_go: the moment to offer more, for who cuts up work only as far as somebody
 * wants a part. A moment old. */
bool spawn_all_taken(void);

/* One that is deferred or delayed is in no queue. When it was killed, this gets it into
 * one, ended, to let go of the runtime's reference. Any thread. */
void spawn_let_go(struct grove *greenlet);

/* Kills what is deferred or delayed on the calling thread's worker: it becomes ready,
 * and ends when its turn comes. */
void spawn_kill_held(struct worker *worker);

#endif
