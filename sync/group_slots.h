/* SPDX-License-Identifier: MIT */
#ifndef SYNC_GROUP_SLOTS_H
#define SYNC_GROUP_SLOTS_H

/* What group.c needs of the slots, inside the group's section. */

#include "sync/group.h"

/* A slot was given back: hands it to the first that waits for one. Returns whom the
 * caller has to wake, as a chain, after it has left the section. */
struct waiter *group_slot_given(struct grove_group *group);

/* The feed takes no more slots. Returns its waiter if it waited: the caller wakes it
 * with SLOT_UNNEEDED. */
struct waiter *group_feed_sated(struct slot_feed *feed);

/* Begins a kill of the group: counts it, and takes out the feeds that wait for slots,
 * as a chain that the caller wakes with SLOT_UNNEEDED. */
struct waiter *group_count_kill(struct grove_group *group);

/* Waits until no slot is used: 0 or the error of the wait. Outside the section. */
int group_wait_empty(struct grove_group *group, double timeout);

#endif
