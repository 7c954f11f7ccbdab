/* SPDX-License-Identifier: MIT */
#ifndef SCHED_EXTRA_H
#define SCHED_EXTRA_H

/*
 * What few greenlets have: made with attributes, delayed or deferred, asked for their
 * name, or failed with a text.
 *
 *   name         published once by compare-and-swap
 *   error_text   set by the greenlet itself before its end
 *   locals       set before the start; taken by the start, or by who ends it unrun
 *   the rest     set before the start; zero if made later
 */

#include "sched/greenlet.h"
#include "sched/timers.h"

struct extra {
    _Atomic(char *) name; /* NULL: nobody has asked */
    size_t stack_size;    /* 0: the default */
    void *locals;         /* inherited; NULL: none, or taken */
    char *error_text;     /* NULL: none */
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

/* NULL if it has none. Any thread. */
static inline struct extra *extra_of(const struct grove *greenlet)
{
    return atomic_load_explicit(&greenlet->extra, memory_order_acquire);
}

/* Its extra, made if need be; NULL: no memory. Any thread. */
struct extra *extra_demand(struct grove *greenlet);

void extra_free(struct extra *extra);

/* NULL: it has none yet, or lost it just now. Any thread, and signal handlers. */
static inline char *extra_name(const struct grove *greenlet)
{
    struct extra *extra = extra_of(greenlet);

    return extra ? atomic_load_explicit(&extra->name, memory_order_acquire) : NULL;
}

#endif
