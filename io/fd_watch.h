/* SPDX-License-Identifier: MIT */
#ifndef IO_FD_WATCH_H
#define IO_FD_WATCH_H

/*
 * A worker's watch of one file descriptor: an ev_io for each direction, and who waits.
 *
 * libev asks the kernel (epoll_ctl) for each change of what is watched, so a watch
 * isn't taken back after each wait. The reader stays started as long as whoever waited
 * is likely to come back, and is stopped only when an event comes in hub_wait with
 * nobody waiting: there it would keep the worker from sleeping. The writer, which is
 * nearly always ready, is stopped with each event; if its greenlet comes back before
 * the next look at the kernel, libev sees no change.
 *
 * drained: the last read took all there was. The next one then waits before it tries,
 * instead of paying for a read that ends in EAGAIN. That can't hang, as epoll reports
 * what is there and not what changes; any event of the reader clears it.
 *
 * libev aborts when epoll_ctl meets a descriptor that is closed. So changes are kept in
 * a list, and looked through just before libev tells the kernel (before_change), with
 * [changing] set until it has done so. grove_close raises the generation, then waits
 * for watching workers to leave [changing], then closes: either the worker sees the new
 * generation or the closer sees [changing]. It is set, too, while libev goes through
 * the events it has got, as it tells the kernel of those it wants no more; there it
 * bears a descriptor that was closed before. What remains is plain close() on another
 * thread within these microseconds.
 *
 *   next_of_fd, in_flight   under the lock of [life]
 *   changing                the worker; read by closers
 *   everything else         the worker
 */

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "io/fd_life.h"
#include "sched/inbox.h"
#include "sched/waiter.h"
#include "sched/worker.h"

struct fd_wait;
struct fd_watch;

/* One descriptor that somebody waits for; lies on his stack. */
struct fd_link {
    struct fd_link *next, *prev;
    struct fd_watch *watch;
    struct fd_wait *wait;
    int events; /* EV_READ, EV_WRITE or both */
};

/* A greenlet that waits for any of [count] descriptors. */
struct fd_wait {
    struct waiter waiter;
    struct fd_link *links;
    size_t count;
    bool linked;
};

struct fd_watch {
    ev_io reader, writer;
    struct fd_table *table;
    struct fd_life *life;
    uint64_t generation;
    int fd;
    bool drained;
    bool changed;
    struct fd_link *first, *last;
    struct fd_watch *next_changed;

    bool in_flight; /* [closed] is on its way */
    struct fd_watch *next_of_fd;
    struct message closed;
};

struct fd_table {
    struct worker *worker;
    struct fd_watch **watch; /* by number */
    int capacity;
    struct fd_watch *changed;
    ev_prepare before_change;
    ev_check after_events;
    _Atomic(bool) changing;
};

/* The slow part of fd_watch_of. */
struct fd_watch *fd_watch_open(struct worker *worker, int fd);

/* The worker's watch of an open descriptor. NULL with errno: EBADF, ENOMEM. */
static inline struct fd_watch *fd_watch_of(struct worker *worker, int fd)
{
    struct fd_table *table = worker->fds;

    if (__builtin_expect(table && fd >= 0 && fd < table->capacity, 1)) {
        struct fd_watch *watch = table->watch[fd];
        if (watch && watch->generation == fd_life_generation(watch->life))
            return watch;
    }
    return fd_watch_open(worker, fd);
}

/* Whether the descriptor for which [watch] had [generation] has been closed since. */
static inline bool fd_watch_ended(struct fd_watch *watch, uint64_t generation)
{
    return fd_life_generation(watch->life) != generation;
}

/* Publishes all links of a wait, whose watch and events are set. 0, or -1 with ENOMEM
 * and none of them published. */
int fd_watch_link(struct fd_wait *wait);

/* detach() of a fd_wait. */
bool fd_watch_detach(struct waiter *waiter);

/* Forgets that the kernel watches the descriptor for this worker, if nobody waits for
 * it: [fd] is likely to be newly made, and the old one was closed by plain close(). */
void fd_watch_refresh(struct fd_watch *watch);

/* The life of the number ends, the next one begins with these flags: everybody who
 * waits for it, on whatever worker, fails with EBADF, and no worker tells the kernel of
 * it any more. Any thread. Returns the new state, 0 if the number was never used. */
uint64_t fd_watch_end_life(int fd, unsigned flags);

#endif
