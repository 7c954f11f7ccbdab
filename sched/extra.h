/* SPDX-License-Identifier: MIT */
#ifndef SCHED_EXTRA_H
#define SCHED_EXTRA_H

/* What few greenlets have: made with attributes, delayed or deferred, or failed with a
 * text. Set before the start, or by the greenlet itself before its end. */

#include "sched/greenlet.h"
#include "sched/timers.h"

struct extra {
    size_t stack_size; /* 0: the default */
    char *error_text;  /* NULL: none */
    struct grove *greenlet;
    struct worker *home; /* where a deferred or delayed one becomes ready */
    _Atomic(bool) held;  /* deferred and not started yet */
    grove_affinity_t affinity;
    double seconds; /* from the start until it becomes ready */
    struct timer delay;
    struct extra *next_held, **held_link; /* NULL: not deferred or delayed any more;
                                             home's thread */
    struct message start_message;
};

#endif
