/* SPDX-License-Identifier: MIT */
/*
 * Barriers: a fixed number of greenlets or threads wait until all of them have come.
 *
 * All calls may be made from any thread and, with a timeout of 0, from hub callbacks;
 * from no signal handler. A barrier may be freed when no call on it is under way.
 */
#ifndef GROVE_BARRIER_H
#define GROVE_BARRIER_H

#include <grove/base.h>

GROVE_BEGIN

/* A barrier. Nothing to free. Private. */
typedef struct {
    grove_waiters_t waiters_;
    uint32_t parties_;
    uint32_t arrived_;
} grove_barrier_t;

/* For [n], at least 1. */
/* clang-format off */
#define GROVE_BARRIER_INIT(n) {{{0, 0}, NULL, NULL}, (uint32_t)(n), 0}
/* clang-format on */

/*
 * Waits until n calls wait; then all go on, and the next n may come at once. Returns 1
 * to the last to arrive, which doesn't wait, and 0 to the others. A call that fails
 * counts as not made.
 *
 * Errors: ETIMEDOUT (with a timeout of 0: unless it is the last), ECANCELED, EDEADLK,
 * EINVAL (also n is 0), ENOMEM. May switch unless timeout is 0.
 */
GROVE_API int grove_barrier_wait(grove_barrier_t *barrier, double timeout);

GROVE_END

#endif
