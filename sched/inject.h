/* SPDX-License-Identifier: MIT */
#ifndef SCHED_INJECT_H
#define SCHED_INJECT_H

/*
 * Unstarted greenlets for any worker that come from threads without a deque: plain
 * threads and guests. Seldom used, so a spin lock around a list.
 *
 *   list     under the lock
 *   count    written under the lock, read by anybody: seq_cst, as a pusher reads the
 *            idle word afterwards and a parking worker reads this after writing that
 */

#include <stdbool.h>

#include "sched/greenlet.h"

void inject_push(struct grove *greenlet);

/* The oldest, NULL if none. Any worker. */
struct grove *inject_pop(void);

bool inject_empty(void);

#endif
