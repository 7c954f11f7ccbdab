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

static void set_chain(struct grove *greenlet, struct cancellation *innermost)
{
    greenlet->activation->cancellation = innermost;
    cancellation_notice(greenlet);
}

void cancellation_leave(struct cancellation *cancellation)
{
    set_chain(cancellation->greenlet, cancellation->outer);
}

struct cancellation *cancellation_suspend(struct grove *greenlet)
{
    struct cancellation *chain = greenlet->activation->cancellation;

    set_chain(greenlet, NULL);
    return chain;
}

void cancellation_resume(struct grove *greenlet, struct cancellation *chain)
{
    set_chain(greenlet, chain);
}
