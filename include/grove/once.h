/* SPDX-License-Identifier: MIT */
/*
 * Once: initialisation that the first to need it does, and for which the others wait.
 *
 * The call may be made from any thread; in hub callbacks it fails with EDEADLK unless
 * the once is done; from no signal handler.
 */
#ifndef GROVE_ONCE_H
#define GROVE_ONCE_H

#include <grove/base.h>

GROVE_BEGIN

/* Something to be done once. All zero bytes is not done. Private. */
typedef struct {
    grove_waiters_t waiters_;
    uint32_t state_;
    const void *runner_;
} grove_once_t;

/* clang-format off */
#define GROVE_ONCE_INIT {{{0, 0}, NULL, NULL}, 0, NULL}
/* clang-format on */

/*
 * Returns 0 when fn(arg) has returned 0: here, or in another call, for which this one
 * waits. Everything fn has written is visible then. Once done, the call costs a look.
 *
 * fn returns 0 or an errno value (> 0), may block, and runs in the calling greenlet. If
 * it fails, or the greenlet ends inside it (grove_exit, grove_fail), it has not been
 * done: the longest waiting then runs its own fn, or else the next to call does. It is
 * undone when the greenlet has ended, after its defers.
 *
 * Errors: what fn returned (EINVAL for a negative number) to the call that ran it
 * alone; EDEADLK a call from within fn, also EDEADLK, ECANCELED, ETIMEDOUT by a
 * grove_timeout, and EINVAL without fn. Not once it is done. May switch.
 */
GROVE_API int grove_once_run(grove_once_t *once, int (*fn)(void *arg), void *arg);

GROVE_END

#endif
