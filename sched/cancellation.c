/* SPDX-License-Identifier: MIT */
#include "sched/cancellation.h"

#include "sched/activation.h"

int cancellation_notice(struct grove *greenlet)
{
    const struct cancellation *at = greenlet->activation->cancellation;
    int error = 0;

    /* Acquire: what was noted before the cancel is seen by who is told of it. */
    for (; at && at->greenlet == greenlet && error == 0; at = at->outer)
        error = atomic_load_explicit(&at->error, memory_order_acquire);
    if (error)
        greenlet->attention |= ATTENTION_CANCELLATION;
    else
        greenlet->attention &= ~ATTENTION_CANCELLATION;
    return error;
}

void cancellation_enter(struct cancellation *cancellation)
{
    cancellation->greenlet->activation->cancellation = cancellation;
}

void cancellation_leave(struct cancellation *cancellation)
{
    struct grove *greenlet = cancellation->greenlet;

    greenlet->activation->cancellation = cancellation->outer;
    cancellation_notice(greenlet);
}
