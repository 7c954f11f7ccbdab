/* SPDX-License-Identifier: MIT */
/*
 * Wait groups: a count of things under way, and waiting until it is 0.
 *
 *     grove_waitgroup_add(&group, n);
 *     ... n greenlets, each of which ends with grove_waitgroup_done(&group) ...
 *     grove_waitgroup_wait(&group, GROVE_FOREVER);
 *
 * All calls may be made from any thread and, with a timeout of 0 where they have one,
 * from hub callbacks; from no signal handler. A group may lie anywhere, also on a
 * stack: the waiter that the last done has woken may free it at once.
 */
#ifndef GROVE_WAITGROUP_H
#define GROVE_WAITGROUP_H

#include <grove/base.h>

GROVE_BEGIN

/* A wait group. All zero bytes is one with a count of 0. Private. */
typedef struct {
    grove_waiters_t waiters_;
    int32_t count_;
} grove_waitgroup_t;

/* clang-format off */
#define GROVE_WAITGROUP_INIT {{{0, 0}, NULL, NULL}, 0}
/* clang-format on */

/*
 * Adds n, which may be negative, to the count; when that makes it 0, all that wait
 * become ready, in the order of their calls. Add before what is counted begins, or a
 * waiter may find 0 too early.
 * Errors: EINVAL it would go below 0; EOVERFLOW above INT32_MAX; the count is left as
 * it was. Never switches.
 */
GROVE_API int grove_waitgroup_add(grove_waitgroup_t *group, int n);

/* grove_waitgroup_add(group, -1). */
GROVE_API int grove_waitgroup_done(grove_waitgroup_t *group);

/*
 * Waits until the count is 0: 0 if it was at the call or at any time during it, even if
 * something has been added since.
 * Errors: ETIMEDOUT, ECANCELED, EDEADLK, EINVAL, ENOMEM. May switch unless timeout is
 * 0.
 */
GROVE_API int grove_waitgroup_wait(grove_waitgroup_t *group, double timeout);

/* The count now. Never switches. 0 is no promise that the call which made it so has
 * returned: before freeing the group, wait for it. */
GROVE_API int grove_waitgroup_count(const grove_waitgroup_t *group);

GROVE_END

#endif
