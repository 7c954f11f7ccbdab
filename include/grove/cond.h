/* SPDX-License-Identifier: MIT */
/*
 * Condition variables between greenlets, of one thread or several, and plain threads:
 * waiting, with a lock given up meanwhile, until somebody signals that something which
 * the lock guards has changed.
 *
 *     grove_lock_acquire(&lock, GROVE_FOREVER);
 *     while (!ready)
 *         if (grove_cond_wait(&cond, &lock, GROVE_FOREVER) < 0)
 *             break;
 *     ...
 *     grove_lock_release(&lock);
 *
 * The waiters of a signal are served in the order of their calls. There are no wakes
 * without a signal, but others may have the lock first, so look again in a loop.
 *
 * Unless said otherwise a call may be made from any thread and from hub callbacks; from
 * no signal handler. A cond may be freed when no call on it is under way.
 */
#ifndef GROVE_COND_H
#define GROVE_COND_H

#include <grove/base.h>
#include <grove/lock.h>

GROVE_BEGIN

/* A condition variable. All zero bytes is one nobody waits on. Private. */
typedef struct {
    grove_waiters_t waiters_;
} grove_cond_t;

/* clang-format off */
#define GROVE_COND_INIT {{{0, 0}, NULL, NULL}}
/* clang-format on */

/*
 * Gives up the lock, which the caller has, and waits for a signal, as one step: a
 * signal that is given by who took the lock afterwards is not missed. On return,
 * whatever it is, the caller has the lock again: taking it anew is not ended by the
 * timeout, a kill or a grove_timeout, and lasts until whoever has it releases it. A
 * call that fails got no signal: one that is given to a waiter at the moment of its
 * timeout or kill is either reported as 0 or goes to the next.
 *
 * Errors: ETIMEDOUT (with a timeout of 0 at once, without giving the lock up),
 * ECANCELED, EDEADLK (also in hub callbacks), EINVAL, ENOMEM; EPERM nobody has the
 * lock. May switch unless timeout is 0.
 */
GROVE_API int grove_cond_wait(grove_cond_t *cond, grove_lock_t *lock, double timeout);

/* The same with an rlock, which is given up wholly, however often the caller has taken
 * it, and then had as often again. EPERM: the caller doesn't have it. */
GROVE_API int grove_cond_wait_rlock(
    grove_cond_t *cond, grove_rlock_t *lock, double timeout);

/* Ends the wait of the longest waiting; without one it is forgotten. The caller may
 * have the lock or not. Always 0. Never switches. */
GROVE_API int grove_cond_signal(grove_cond_t *cond);

/* Ends the waits of all. They get their lock one after the other. Always 0. Never
 * switches. */
GROVE_API int grove_cond_broadcast(grove_cond_t *cond);

GROVE_END

#endif
