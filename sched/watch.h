/* SPDX-License-Identifier: MIT */
#ifndef SCHED_WATCH_H
#define SCHED_WATCH_H

/*
 * The list of those who want to know of a greenlet's end: joiners (waiters that are
 * parked) and links (waiters with no detach function, see struct link), in the order in
 * which they came, under the lock bit of the greenlet's state.
 */

#include <stdbool.h>

#include "sched/greenlet.h"
#include "sched/waiter.h"

/* A callback in the place of a waiter; waiter.detach is NULL. */
struct link {
    struct waiter waiter;
    void (*function)(struct grove *greenlet, void *arg);
    void *arg;
    bool borrowed; /* not to be freed: belongs to a grove_wait */
};

/* Appends; false if the greenlet has ended. Any thread. */
bool watch_add(struct grove *greenlet, struct waiter *watcher);

/* The same, but false also if there is a link of which unwanted(link, arg) is true. It
 * is called under the greenlet's lock: it only looks. */
bool watch_add_unless(struct grove *greenlet, struct waiter *watcher,
    bool (*unwanted)(const struct link *link, const void *arg), const void *arg);

/* Takes out; false if the greenlet's end was first and will call or has called it. */
bool watch_remove(struct grove *greenlet, struct waiter *watcher);

/* The oldest link of which wanted(link, arg) is true, NULL if none or if the greenlet
 * has ended. [take]: takes it out; without, it may be gone on return. [wanted] is
 * called under the greenlet's lock: it only looks. Any thread. */
struct link *watch_find(struct grove *greenlet,
    bool (*wanted)(const struct link *link, const void *arg), const void *arg,
    bool take);

#endif
