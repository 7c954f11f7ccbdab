/* SPDX-License-Identifier: MIT */
#ifndef SCHED_DEFER_H
#define SCHED_DEFER_H

/*
 * Cleanup that runs however a greenlet ends, on its own stack with everything on it
 * still in place, last given first. Inside the library a defer may lie on that stack
 * and be taken back, so that a function with something to undo costs no allocation.
 *
 *   everything   the greenlet's own worker
 */

#include <stdbool.h>

struct defer {
    struct defer *next;
    void (*function)(void *arg);
    void *arg;
    bool borrowed; /* not from malloc: its owner keeps it until it has run */
};

/* For the running greenlet; that of a thread's main greenlet runs when the thread ends,
 * if it is a guest. [defer] is borrowed. */
void defer_push(struct defer *defer, void (*function)(void *arg), void *arg);

/* Takes back what has been pushed and has not run. Others may have come after it. */
void defer_remove(struct defer *defer);

#endif
