/* SPDX-License-Identifier: MIT */
#ifndef SCHED_HUB_H
#define SCHED_HUB_H

/*
 * A worker's event loop: libev for file descriptors, a timerfd for exact deadlines, an
 * eventfd as doorbell. The rest of the library sees libev only through this file and
 * through io/'s watchers on hub_loop().
 *
 * libev aborts the process when it can't allocate. hub_memory.c keeps a reserve for
 * that moment, and hub_watch_reserve() refuses a new watch before it comes.
 *
 *   everything   the owning worker, but
 *   hub_ring     any thread
 */

#include <stdbool.h>
#include <stdint.h>

#include "sched/timers.h"

struct ev_loop;
struct hub;

/* [backend] names libev's: "epoll", "poll", "select", "iouring". NULL with errno:
 * EINVAL (unknown, or not to be had here), ENOMEM, EMFILE, ENFILE. The thread that
 * makes it need not be the one that owns it. */
struct hub *hub_new(const char *backend);

/* Calls what hub_at_free was given, then frees. NULL is allowed. */
void hub_free(struct hub *hub);

/* Calls what hub_at_free was given; the hub may be used on, by another thread. */
void hub_clear(struct hub *hub);

/* fn(arg) is called once by hub_free, with the loop still there: io/ takes its watchers
 * away. One per hub. */
void hub_at_free(struct hub *hub, void (*fn)(void *arg), void *arg);

struct ev_loop *hub_loop(struct hub *hub);

/* Collects what has happened, without blocking, and runs its callbacks. Leaves errno
 * alone. */
void hub_poll(struct hub *hub);

/* The same, but blocks until something has happened, the doorbell rings, or
 * [deadline]. May return early with nothing happened. Leaves errno alone. */
void hub_wait(struct hub *hub, nanoseconds deadline);

/* In a callback: whether it runs from hub_wait, so that nothing was ready on this
 * worker and its next step may be to sleep. */
bool hub_waiting(const struct hub *hub);

/* Ends the hub_wait under way, or the next one. Any thread, any time. */
void hub_ring(struct hub *hub);

/* How many waits of io/ there are: a hub with none needs no polling while greenlets
 * run. io/ adjusts it through these. */
void hub_watching(struct hub *hub, int change);
int hub_watches(const struct hub *hub);

/* False when there may not be memory for one more watch of [fd]: ENOMEM. */
bool hub_watch_reserve(struct hub *hub, int fd);

#endif
