/* SPDX-License-Identifier: MIT */
#ifndef SYNC_OWNER_H
#define SYNC_OWNER_H

#include "sched/worker.h"

/*
 * Whom something can belong to: the calling greenlet, or else the thread. A thread's
 * main greenlet is not told apart from the thread, as it comes into being with the
 * thread's first spawn, which may be while it holds locks.
 */
static inline const void *owner_self(void)
{
    const struct worker *worker = worker_self;

    if (worker && worker->current && worker->current != worker->main)
        return worker->current;
    return &worker_self;
}

#endif
