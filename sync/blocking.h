/* SPDX-License-Identifier: MIT */
#ifndef SYNC_BLOCKING_H
#define SYNC_BLOCKING_H

/*
 * How every blocking call of this layer begins and ends. Inside the layer errors are
 * returned as numbers; only the public functions set errno.
 */

#include <errno.h>
#include <stdbool.h>

#include "sched/answer.h"
#include "sched/greenlet.h"
#include "sched/waiter.h"
#include "sched/worker.h"

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Whether a greenlet of the worker runs that may wait without a second look. */
static inline bool blocking_free(const struct worker *worker)
{
    return worker && worker->current && worker->current->attention == 0 &&
           atomic_load_explicit(&worker->current->kill_error, memory_order_relaxed) ==
               0;
}

/* blocking_begin where it takes more than a look. */
int blocking_begin_slow(double timeout);

/*
 * The error with which a call with this timeout has to fail before it looks at the
 * object: of a kill or a fired grove_timeout, EDEADLK in a hub callback, EINVAL for a
 * timeout that is not a number; nearly always none. If the timeout isn't 0, waiter_init
 * can't fail afterwards and allocates nothing: it may be called inside a section.
 */
static inline int blocking_begin(double timeout)
{
    if (LIKELY(timeout < 0 && blocking_free(worker_self)))
        return 0;
    return blocking_begin_slow(timeout);
}

#endif
