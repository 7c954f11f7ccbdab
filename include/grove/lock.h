/* SPDX-License-Identifier: MIT */
/*
 * Locks between greenlets, of one thread or several, and plain threads, after
 * gevent.lock.
 *
 * A free lock goes to who asks first, even while others that have been woken for it
 * are on their way: a greenlet can take and release it many times without a switch.
 * Waiters are served in the order of their calls, and one that was overtaken when it
 * woke gets the lock handed over next time, so that none waits forever.
 *
 * Unless said otherwise a call may be made from any thread and, with a timeout of 0
 * where it has one, from hub callbacks; from no signal handler.
 */
#ifndef GROVE_LOCK_H
#define GROVE_LOCK_H

#include <grove/base.h>

GROVE_BEGIN

/* A lock. Nothing to free. Private. */
typedef struct {
    grove_waiters_t waiters_;
    uint32_t permits_[4];
    void *holder_;
} grove_lock_t;

/* A lock that its holder may take again. Nothing to free. Private. */
typedef struct {
    grove_waiters_t waiters_;
    uint32_t permits_[4];
    void *holder_;
    uint32_t depth_;
    const void *owner_;
} grove_rlock_t;

/* clang-format off */
#define GROVE_LOCK_INIT {{{0, 0}, NULL, NULL}, {1, 1, 0, 0}, NULL}
#define GROVE_RLOCK_INIT {{{0, 0}, NULL, NULL}, {1, 1, 0, 0}, NULL, 0, NULL}
/* clang-format on */

/* Takes the lock, waiting until it is free. Not re-entrant.
 * Errors: ETIMEDOUT, ECANCELED, EDEADLK, EINVAL. May switch unless timeout is 0. */
GROVE_API int grove_lock_acquire(grove_lock_t *lock, double timeout);

/* Gives it back. Any greenlet or thread may, not only the one that took it.
 * Errors: EPERM nobody has it. Never switches. */
GROVE_API int grove_lock_release(grove_lock_t *lock);

/* Whether somebody has it now. Never switches. */
GROVE_API bool grove_lock_locked(const grove_lock_t *lock);

/*
 * Takes the lock, or takes it once more if the calling greenlet (outside greenlets:
 * the calling thread) has it already.
 * Errors: as grove_lock_acquire; EOVERFLOW taken 2^32-1 times. May switch unless
 * timeout is 0 or the caller has it.
 */
GROVE_API int grove_rlock_acquire(grove_rlock_t *lock, double timeout);

/* Gives it back once; as many releases as there were acquires free it.
 * Errors: EPERM the caller doesn't have it. Never switches. */
GROVE_API int grove_rlock_release(grove_rlock_t *lock);

/* Whether somebody has it now. Never switches. */
GROVE_API bool grove_rlock_locked(const grove_rlock_t *lock);

GROVE_END

#endif
