/* SPDX-License-Identifier: MIT */
/*
 * Groups of greenlets, and pools: groups with a number of slots, after gevent.pool.
 *
 * A greenlet is a member of a group from grove_group_spawn, _go or _add until it has
 * ended, however it ends, or is discarded. The group has a reference of its own to each
 * member. In a pool a member takes up a slot, and calls that make a member wait while
 * none is free; they get the slots in the order of their calls. A group has no end of
 * slots, so there nothing but the joins ever waits.
 *
 * A member's slot is free shortly before those who join the member are woken; only who
 * asks grove_ready on another thread may see its end a moment earlier.
 *
 * Unless said otherwise a call may be made from any thread and, if it doesn't block,
 * from hub callbacks; from no signal handler. grove_group_map and what follows it are
 * in <grove/iter.h>.
 */
#ifndef GROVE_GROUP_H
#define GROVE_GROUP_H

#include <grove/base.h>
#include <grove/greenlet.h>

GROVE_BEGIN

/* A group or a pool: opaque. */
typedef struct grove_group grove_group_t;

/* A group without members and without a limit. Errors: ENOMEM. Never switches. */
GROVE_API grove_group_t *grove_group_new(void);

/* A group for up to [size] members at a time. One of size 0 never has a free slot.
 * Errors: ENOMEM. Never switches. */
GROVE_API grove_group_t *grove_pool_new(size_t size);

/* Frees the group. Nobody uses it any more, or waits in a call on it; members that have
 * not ended go on by themselves. NULL is allowed. Never switches. */
GROVE_API void grove_group_free(grove_group_t *group);

/*
 * grove_spawn of a member of the group; waits while a pool is full. The caller gets a
 * reference. It is a member before it first runs.
 * Errors: ENOMEM, EINVAL; of the wait for a slot ECANCELED, EDEADLK, ETIMEDOUT by a
 * grove_timeout. May switch if the group is a pool.
 */
GROVE_API grove_t *grove_group_spawn(grove_group_t *group, grove_fn fn, void *arg);

/* The same, but grove_go: any worker may start the member. */
GROVE_API grove_t *grove_group_go(grove_group_t *group, grove_fn fn, void *arg);

/*
 * Makes a greenlet a member, started or not; waits for a slot. One that has ended, or
 * is a member already, is left alone (0). With a timeout of 0 it fails with EAGAIN
 * instead of waiting. Errors: EAGAIN, ETIMEDOUT, ECANCELED, EDEADLK, ENOMEM, EINVAL.
 * May switch unless timeout is 0.
 */
GROVE_API int grove_group_add(grove_group_t *group, grove_t *g, double timeout);

/* Ends the membership of [g], which goes on without the group; its slot is free. 0 also
 * if it isn't a member; a greenlet that runs tasks of a map can't be discarded. Errors:
 * EINVAL. Never switches. */
GROVE_API int grove_group_discard(grove_group_t *group, grove_t *g);

/* Whether [g] is a member. Never switches. */
GROVE_API bool grove_group_contains(grove_group_t *group, grove_t *g);

/*
 * Waits until the group is empty, or was so once during the call. A slot that is handed
 * to a waiting spawn was not free in between, so the join waits for that spawn, too. A
 * member that joins its own group waits for itself. Errors: ETIMEDOUT, ECANCELED,
 * EDEADLK, EINVAL. May switch unless timeout is 0.
 */
GROVE_API int grove_group_join(grove_group_t *group, double timeout);

/*
 * Kills every member, each once, also those that are added while this call waits, and
 * waits until the group is empty; a timeout of 0 just asks. Items of maps and iterators
 * that have not begun fail with ECANCELED. Errors: as grove_group_join; by then all
 * members have been asked. May switch unless timeout is 0.
 */
GROVE_API int grove_group_kill(grove_group_t *group, double timeout);

/* grove_kill if [g] is a member; 0 if not. Errors and switches: as grove_kill. */
GROVE_API int grove_group_killone(grove_group_t *group, grove_t *g, double timeout);

/* Members, and slots taken by calls that are about to make one. Never switches. */
GROVE_API size_t grove_group_size(const grove_group_t *group);

/* Whether no slot is free; of a group without a limit never. Never switches. */
GROVE_API bool grove_group_full(const grove_group_t *group);

/* Free slots; SIZE_MAX of a group without a limit. Never switches. */
GROVE_API size_t grove_group_free_count(const grove_group_t *group);

/*
 * Waits until a slot is free, without taking it: another may be quicker. Errors:
 * ETIMEDOUT, EAGAIN for a timeout of 0, ECANCELED, EDEADLK, EINVAL. May switch unless
 * timeout is 0.
 */
GROVE_API int grove_group_wait_available(grove_group_t *group, double timeout);

/*
 * Where apply, map and imap run their tasks from now on: on the calling thread
 * (GROVE_LOCAL, the default), over all workers (GROVE_ANY) or in the compute lane
 * (GROVE_CPU). Errors: EINVAL. Never switches.
 */
GROVE_API int grove_group_spread(grove_group_t *group, grove_affinity_t affinity);

/*
 * Runs fn(arg) as a member and waits for its end: the value in *value (unless value is
 * NULL), or -1 with the error it failed with. Called by a member of the group it runs
 * fn(arg) at once, in the caller, which so can't wait for itself. [timeout] is for the
 * wait for a slot and for the end together; if it runs out, or the caller is killed,
 * when there is a slot, fn runs all the same. Errors: also EAGAIN no slot and a timeout of 0,
 * ETIMEDOUT, ECANCELED, EDEADLK, ENOMEM, EINVAL. May switch.
 */
GROVE_API int grove_group_apply(
    grove_group_t *group, grove_fn fn, void *arg, double timeout, void **value);

/*
 * Runs fn(arg) as a member, without waiting: if the pool is full it becomes a member
 * when a slot is free, in its turn. The greenlet, with a reference for the caller, has
 * the outcome. Killed before it is a member, fn never runs. Errors: ENOMEM, EINVAL.
 * Never switches.
 */
GROVE_API grove_t *grove_group_apply_async(
    grove_group_t *group, grove_fn fn, void *arg);

GROVE_END

#endif
