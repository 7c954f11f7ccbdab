/* SPDX-License-Identifier: MIT */
#ifndef SYNC_BLOCKING_H
#define SYNC_BLOCKING_H

/*
 * How every blocking call of this layer begins and ends. Inside the layer errors are
 * returned as numbers; only the public functions set errno.
 */

#include <errno.h>
#include <stdbool.h>

#include "sched/greenlet.h"
#include "sched/waiter.h"
#include "sched/worker.h"

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* What a public function returns. */
static inline int answer(int error)
{
    if (LIKELY(error == 0))
        return 0;
    errno = error;
    return -1;
}

/*
 * The error with which a call with this timeout has to fail before it looks at the
 * object: of a kill or a fired grove_timeout, or EINVAL for a timeout that is not a
 * number. The usual "none" is found here without a call.
 */
static inline int blocking_begin(double timeout)
{
    const struct worker *worker = worker_self;

    if (timeout == 0)
        return 0;
    if (UNLIKELY(timeout != timeout))
        return EINVAL;
    if (LIKELY(worker && worker->current && worker->current->timeouts_pending == 0 &&
               atomic_load_explicit(
                   &worker->current->kill_error, memory_order_relaxed) == 0))
        return 0;
    return waiter_interrupt();
}

#endif
