/* SPDX-License-Identifier: MIT */
#ifndef SCHED_FINISH_H
#define SCHED_FINISH_H

/* How greenlets end: what greenlet.c and its neighbours need of each other. */

#include <stdbool.h>

#include "sched/greenlet.h"

/* Ends the running greenlet with that value. */
_Noreturn void greenlet_finish(void *value);

/* Runs defers and destructors of locals, stops timeouts. May switch. */
void greenlet_clean_up(struct grove *greenlet);

/* Publishes value and error: sets DONE, then wakes joiners and calls links in the order
 * in which they came, in the hub. The caller holds a reference. */
void greenlet_publish_end(struct grove *greenlet);

/* Calls a link, which is freed, or which belongs to a grove_wait. */
void greenlet_call_link(struct waiter *link, struct grove *greenlet);

/* Decides who ends a greenlet that never ran: true for exactly one caller. */
bool greenlet_claim_unrun(struct grove *greenlet);

/* Ends it, as killed with [error]. The caller has claimed it and holds a reference. */
void greenlet_end_unrun(struct grove *greenlet, int error);

#endif
