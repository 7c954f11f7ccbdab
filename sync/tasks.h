/* SPDX-License-Identifier: MIT */
#ifndef SYNC_TASKS_H
#define SYNC_TASKS_H

/*
 * One function over many items, in members of a group: what map and imap share.
 *
 * A greenlet for each item would cost a spawn, a member and a slot each. Instead a few
 * members, the runners, each take one item after the other, and the one that began the
 * whole, the feeder, sees to it that there is always a runner that has not started yet
 * while items and slots are left. So as soon as a task blocks, the next runner starts
 * with the next item: as many tasks run at a time as with a greenlet for each, but
 * tasks that don't block share a few.
 *
 *   feeder   takes a slot, spawns a runner, waits until that has started, and so on;
 *            when no item is left, waits for the end of the runners
 *   runner   takes items until none is left. Before, it ends
 *            - when the task left something behind on its greenlet: the next must not
 *              find it, and the item ends with the greenlet, after its defers
 *            - when its turn is over, as many items count as that many switches: a
 *              successor gets its slot, and its turn behind all that is ready
 *            - when others wait for a slot
 *
 * A runner that is killed before it starts takes the next item with it.
 *
 * Who may touch what: everything under the section, but
 *   group, function, in, n, target, affinity, finish   constant
 *   feed                                      see group.h
 *   of a runner: started, item                under the section
 *           argument, replaced                its greenlet; after its end who ends it
 */

#include <stdint.h>

#include "sync/group.h"

struct tasks {
    struct wait_list feeder; /* its section is that of all */
    struct grove_group *group;
    grove_fn function;
    void **in;
    size_t n;
    size_t next;      /* the first item that has not begun */
    size_t admitted;  /* items may begin up to here */
    size_t runners;   /* that have not ended */
    size_t unstarted; /* of these */
    size_t target;    /* so many should be unstarted */
    grove_affinity_t affinity;
    struct slot_feed feed;

    /* An item has ended, with a value or an error. Inside the section; returns whom to
     * wake. */
    struct waiter *(*finish)(struct tasks *tasks, size_t item, void *value, int error);
};

void tasks_init(struct tasks *tasks, struct grove_group *group, grove_fn fn, void **in,
    size_t n,
    struct waiter *(*finish)(struct tasks *tasks, size_t item, void *value, int error));

/*
 * The feeder: returns when all items have ended, and the runners too. 0, or the error
 * with which it was interrupted: then items that had not begun have failed with it, and
 * the others were killed.
 */
int tasks_run(struct tasks *tasks);

/* Fails all that have not begun. */
void tasks_fail_rest(struct tasks *tasks, int error);

/* Where a feeder that is a greenlet of its own belongs: next to local runners. */
static inline grove_affinity_t tasks_feeder_affinity(const struct grove_group *group)
{
    return atomic_load_explicit(&group->affinity, memory_order_relaxed) == GROVE_LOCAL
               ? GROVE_LOCAL
               : GROVE_ANY;
}

static inline void tasks_enter(struct tasks *tasks)
{
    section_enter(&tasks->feeder.section);
}

/* Leaves the section after a change; wakes that chain, and the feeder if there is now
 * something for it to do. */
void tasks_leave(struct tasks *tasks, struct waiter *chain);

#endif
