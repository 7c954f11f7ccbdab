/* SPDX-License-Identifier: MIT */
#ifndef IO_FD_USE_H
#define IO_FD_USE_H

/*
 * One blocking call on one descriptor: what every function of io/ begins with, and how
 * it waits. On a worker (or guest) it waits in the hub, on a plain thread in poll(2).
 */

#include <ev.h>
#include <stdbool.h>

#include "io/fd_watch.h"
#include "sched/timers.h"
#include "sync/blocking.h"

struct fd_use {
    struct fd_watch *watch; /* NULL on a plain thread */
    struct fd_life *life;
    uint64_t generation;
    double timeout;       /* of the whole call */
    nanoseconds deadline; /* set by the first wait, if it has a limit; 0 before */
    int fd;
    bool expired; /* it failed as the call's own time was over */
};

/* 0, or -1 with errno: EBADF, ENOMEM, EINVAL, or why no call may block now. */
int fd_use_begin(struct fd_use *use, int fd, double timeout);

/* Waits for EV_READ or EV_WRITE or both, up to what is left of the timeout, which isn't
 * 0. 0, or -1 with errno: also EBADF if it has been closed meanwhile. */
int fd_use_wait(struct fd_use *use, int events);

/* The whole wait for what [wait] is filled with; sets its waiter up. 0 or an errno
 * value. */
int fd_wait_park(struct fd_wait *wait, double timeout);

static inline bool fd_use_drained(const struct fd_use *use)
{
    return use->watch && use->watch->drained;
}

/* A read has taken all there was: [n] of [wanted] bytes. */
static inline void fd_use_taken(struct fd_use *use, ssize_t n, size_t wanted)
{
    if ((size_t)n < wanted && use->watch && fd_life_state(use->life) & FD_STREAM)
        use->watch->drained = true;
}

static inline bool fd_use_is(const struct fd_use *use, unsigned flag)
{
    return fd_life_state(use->life) & flag;
}

/*
 * The loop of every call that is tried until the kernel doesn't answer "not now".
 * [wanted] is how much a read can take at most; a write doesn't look at it.
 */
static inline __attribute__((always_inline)) ssize_t fd_use_run(struct fd_use *use,
    int event, size_t wanted, ssize_t (*attempt)(int fd, const void *call),
    const void *call)
{
    bool try = event != EV_READ || use->timeout == 0 || !fd_use_drained(use);

    for (;;) {
        if (LIKELY(try)) {
            ssize_t n = attempt(use->fd, call);
            if (LIKELY(n >= 0)) {
                if (event == EV_READ)
                    fd_use_taken(use, n, wanted);
                return n;
            }
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN || use->timeout == 0 || fd_use_is(use, FD_READY))
                return -1;
        }
        if (fd_use_wait(use, event) < 0)
            return -1;
        try = true;
    }
}

#endif
