/* SPDX-License-Identifier: MIT */
#ifndef SCHED_ACTIVATION_H
#define SCHED_ACTIVATION_H

/*
 * What a greenlet has besides its record while it has a stack. Lies at the top of that
 * stack (of a main greenlet: in its worker), so that a sleeping greenlet costs one
 * page. Touched by the greenlet's own worker alone.
 */

#include "sched/sanitize.h"
#include "sched/timers.h"

struct cancellation;
struct grove_timeout;
struct defer;
struct stack;
struct waiter;

struct activation {
    struct waiter *waiting; /* NULL: running or ready */
    struct stack *stack;    /* NULL: a thread's own */
    struct grove_timeout *timeouts;
    struct defer *defers;
    void *locals;
    struct cancellation *cancellation; /* the innermost */
#if SANITIZE_SWITCHES
    struct sanitize_stack sanitize;
#endif
};

#endif
