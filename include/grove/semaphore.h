/* SPDX-License-Identifier: MIT */
/*
 * Semaphores between greenlets, of one thread or several, and plain threads, after
 * gevent.lock. A free permit goes to who asks first, as with locks: see
 * <grove/lock.h>.
 *
 * All calls may be made from any thread and, with a timeout of 0 where they have
 * one, from hub callbacks; from no signal handler.
 */
#ifndef GROVE_SEMAPHORE_H
#define GROVE_SEMAPHORE_H

#include <grove/base.h>

GROVE_BEGIN

/* A semaphore. Nothing to free. Private. */
typedef struct {
    grove_waiters_t waiters_;
    uint32_t permits_[4];
    void *holder_;
} grove_semaphore_t;

/*
 * A semaphore with [n] permits, 0 to INT_MAX. The bounded one never has more: a
 * release too many, nearly always a mistake, is an error.
 */
/* clang-format off */
#define GROVE_SEMAPHORE_INIT(n) \
    {{{0, 0}, NULL, NULL}, {(uint32_t)(n), INT32_MAX, 0, 0}, NULL}
#define GROVE_BOUNDED_SEMAPHORE_INIT(n) \
    {{{0, 0}, NULL, NULL}, {(uint32_t)(n), (uint32_t)(n), 0, 0}, NULL}
/* clang-format on */

/* Takes a permit, waiting until there is one.
 * Errors: ETIMEDOUT, ECANCELED, EDEADLK, EINVAL. May switch unless timeout is 0. */
GROVE_API int grove_semaphore_acquire(grove_semaphore_t *semaphore, double timeout);

/* Gives a permit, taken before or new.
 * Errors: EOVERFLOW one more than its limit. Never switches. */
GROVE_API int grove_semaphore_release(grove_semaphore_t *semaphore);

/*
 * Waits until a permit is free, and takes none: by the return it may be gone again.
 * In the order of the calls with those who wait to take one.
 * Errors: ETIMEDOUT, ECANCELED, EDEADLK, EINVAL. May switch unless timeout is 0.
 */
GROVE_API int grove_semaphore_wait(grove_semaphore_t *semaphore, double timeout);

/* Permits that are free now. Never switches. */
GROVE_API int grove_semaphore_value(const grove_semaphore_t *semaphore);

/* Whether no permit is free now. Never switches. */
GROVE_API bool grove_semaphore_locked(const grove_semaphore_t *semaphore);

GROVE_END

#endif
