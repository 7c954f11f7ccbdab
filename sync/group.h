/* SPDX-License-Identifier: MIT */
#ifndef SYNC_GROUP_H
#define SYNC_GROUP_H

/*
 * The inside of groups and pools.
 *
 * A member is a link on its greenlet: what ends the greenlet ends the membership, and
 * whether a greenlet is a member is found out from its own few links, without a table.
 *
 * A slot is taken before there is a greenlet to fill it, and is handed over, never left
 * for a woken waiter to find. So whenever nobody is inside:
 *
 *   takers wait   only while used == limit
 *   joiners wait  only while used > 0
 *
 * Every member holds a reference to the group, so that a group may be freed while some
 * of its greenlets are still about to end on other threads.
 *
 * Who may touch what: everything under the section, that of [slots], but
 *   limit                 constant
 *   used, takers          written inside, read anywhere
 *   affinity              anybody
 *   kills                 counted up inside, read anywhere
 * and of a member:
 *   next, linked          under the group's section
 *   enrolled              set once inside the section, read anywhere
 *   the rest              constant while it is linked to the greenlet
 */

#include <grove/group.h>

#include "sched/watch.h"
#include "sync/blocking.h"

#define GROUP_UNLIMITED SIZE_MAX

struct tasks;

struct grove_group {
    struct wait_list slots;   /* takers of slots, and who waits for one to be free */
    struct wait_list joiners; /* its own section isn't used */
    struct member *members;   /* not killed by grove_group_kill yet; newest first */
    struct member *dying;     /* the others */
    size_t limit;
    size_t references; /* the owner's, and one for each member, waiting map and so on */
    size_t killers;    /* calls of grove_group_kill that wait */
    _Atomic(size_t) used;
    _Atomic(size_t) takers; /* that wait in [slots] */
    _Atomic(uint32_t) kills;
    _Atomic(grove_affinity_t) affinity;
};

struct member {
    struct link link; /* first: its argument is the member */
    void (*ended)(struct grove *greenlet, struct member *member);
    struct grove_group *group;
    struct grove *greenlet;
    struct member *next, **linked; /* in one of the group's two lists */
    struct tasks *tasks;           /* whose items it runs; NULL: a greenlet by itself */
    _Atomic(bool) enrolled;
};

/*
 * Who takes slots for one map after the other. When no item is left, it is sated and
 * takes no more; nor when the group has been killed since the map began. Under the
 * group's section; but [waiter] is compared with NULL anywhere, and [kills] constant.
 */
struct slot_feed {
    _Atomic(struct waiter *) waiter; /* in the group's slots */
    uint32_t kills;                  /* of the group, at the beginning */
    bool sated;
};

/* Instead of a slot: the feed takes no more. No errno value, as those may be what a
 * greenlet is killed with. */
enum { SLOT_UNNEEDED = -1 };

void group_retain(struct grove_group *group);
void group_release(struct grove_group *group);

/* Takes a slot: 0, EAGAIN, the error of the wait, or SLOT_UNNEEDED with a [feed]. */
int group_take_slot(struct grove_group *group, double timeout, struct slot_feed *feed);

/* Gives back a slot that no member filled. */
void group_give_slot(struct grove_group *group);

/* Whether others than [feed] wait for a slot: about now. */
static inline bool group_contended(
    const struct grove_group *group, const struct slot_feed *feed)
{
    size_t takers = atomic_load_explicit(&group->takers, memory_order_relaxed);

    return UNLIKELY(takers > 0) &&
           takers > (atomic_load_explicit(&feed->waiter, memory_order_relaxed) != NULL);
}

/* A member that is not linked to a greenlet yet; [ended] is called in the hub when that
 * ends. Zeroed, [size] bytes, of which it is the first. NULL with errno. */
void *member_new(
    size_t size, void (*ended)(struct grove *greenlet, struct member *member));

/* Makes a member of one that was linked to its greenlet, with a slot of the caller's.
 * True: the group is being killed, the caller has to kill the greenlet. */
bool group_enroll(struct member *member);

/*
 * Spawns a member that runs fn(arg), with a slot of the caller's. 0, or an error, and
 * slot and member are still the caller's. [made]: where to put the greenlet with a
 * reference; NULL: nobody but the group gets one. [site]: where it was asked for.
 */
int group_begin(struct grove_group *group, struct member *member,
    grove_affinity_t affinity, grove_fn fn, void *arg, void *site, struct grove **made);

/*
 * The end of a membership, when the link is taken out or called; the member is not
 * freed. [frees_slot]: gives its slot back. [sated] (may be NULL): that feed needs no
 * more slots. Wakes whom it has to, and drops the member's reference to the group.
 */
void group_leave(struct member *member, bool frees_slot, struct slot_feed *sated);

/* Whether the greenlet is a member: of the group's own, or one that runs tasks. */
bool group_contains(struct grove_group *group, struct grove *greenlet);

/* It is being killed by grove_group_kill. Inside the section. */
void group_member_dies(struct member *member);

/* Kills the members that run those tasks, or, with NULL, all: each once. */
void group_kill_members(struct grove_group *group, const struct tasks *tasks);

/* grove_group_spawn and so on. NULL with errno. */
struct grove *group_spawn(struct grove_group *group, grove_affinity_t affinity,
    grove_fn fn, void *arg, double timeout, void *site);

/* Ends a member that is no more than that. */
void member_ended(struct grove *greenlet, struct member *member);

#endif
