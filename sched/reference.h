/* SPDX-License-Identifier: MIT */
#ifndef SCHED_REFERENCE_H
#define SCHED_REFERENCE_H

/* Counting the references to a greenlet; see greenlet.h for the state word. */

#include "sched/greenlet.h"

/* The last reference is gone: frees the record and what hangs on it. Any thread. */
void greenlet_destroy(struct grove *greenlet);

static inline void greenlet_retain(struct grove *greenlet)
{
    /* Relaxed: whoever retains has a reference already. */
    atomic_fetch_add_explicit(
        &greenlet->state, GREENLET_REFERENCE, memory_order_relaxed);
}

static inline void greenlet_release(struct grove *greenlet)
{
    /* Release, and acquire by the last: all uses come before the destruction. */
    uint32_t before = atomic_fetch_sub_explicit(
        &greenlet->state, GREENLET_REFERENCE, memory_order_acq_rel);

    if (before / GREENLET_REFERENCE == 1)
        greenlet_destroy(greenlet);
}

#endif
