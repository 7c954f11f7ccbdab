/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* ppoll */
#include "io/fd_use.h"

#include <errno.h>
#include <poll.h>

#include <grove/io.h>

int fd_use_begin(struct fd_use *use, int fd, double timeout)
{
    int error = blocking_begin(timeout);

    if (UNLIKELY(error))
        return answer(error);
    struct worker *worker = worker_self;
    if (UNLIKELY(!worker) && !(worker = worker_attend()) && errno != 0)
        return -1;
    use->watch = NULL;
    if (LIKELY(worker != NULL)) {
        use->watch = fd_watch_of(worker, fd);
        if (!use->watch)
            return -1;
        use->life = use->watch->life;
        use->generation = use->watch->generation;
    } else {
        use->life = fd_life_open(fd);
        if (!use->life)
            return -1;
        use->generation = fd_life_generation(use->life);
    }
    use->fd = fd;
    use->timeout = timeout;
    use->deadline = 0;
    use->expired = false;
    return 0;
}

static int wait_natively(int fd, int events, double timeout)
{
    struct pollfd poll_fd = {.fd = fd};
    struct timespec limit, *until = NULL;

    if (events & EV_READ)
        poll_fd.events |= POLLIN;
    if (events & EV_WRITE)
        poll_fd.events |= POLLOUT;
    if (timeout >= 0) {
        limit.tv_sec = timeout < 1e9 ? (time_t)timeout : 1000000000;
        limit.tv_nsec =
            timeout < 1e9 ? (long)((timeout - (double)limit.tv_sec) * 1e9) : 0;
        until = &limit;
    }
    int ready = ppoll(&poll_fd, 1, until, NULL);
    if (ready < 0)
        return errno == EINTR ? 0 : errno; /* the caller tries and comes back */
    if (ready == 0)
        return ETIMEDOUT;
    return poll_fd.revents & POLLNVAL ? EBADF : 0;
}

int fd_wait_park(struct fd_wait *wait, double timeout)
{
    static const struct wait_reason reason = {.text = "a descriptor"};
    int error = blocking_begin(timeout);

    wait->waiter.expired = false;
    if (UNLIKELY(error))
        return error;
    if (UNLIKELY(waiter_init(&wait->waiter) < 0))
        return errno;
    wait->waiter.reason = &reason;
    wait->waiter.detach = fd_watch_detach;
    if (UNLIKELY(fd_watch_link(wait) < 0))
        return errno;
    return waiter_park(&wait->waiter, timeout);
}

static int wait_in_hub(struct fd_use *use, int events, double timeout)
{
    struct fd_wait wait;
    struct fd_link link = {.watch = use->watch, .wait = &wait, .events = events};

    wait.links = &link;
    wait.count = 1;
    int error = fd_wait_park(&wait, timeout);
    use->expired = wait.waiter.expired;
    return error;
}

int fd_use_wait(struct fd_use *use, int events)
{
    double timeout = use->timeout;

    if (timeout > 0) {
        if (!use->deadline)
            use->deadline = timers_deadline(timeout);
        else if ((timeout = timers_left(use->deadline)) == 0) {
            use->expired = true;
            return answer(ETIMEDOUT);
        }
    }
    int error = use->watch ? wait_in_hub(use, events, timeout)
                           : wait_natively(use->fd, events, timeout);
    /* It may have been closed, and the number given out anew, after the wake. */
    if (error == 0 && UNLIKELY(fd_life_generation(use->life) != use->generation))
        error = EBADF;
    return answer(error);
}

/* Whether it is ready now, as the kernel sees it. 0 or an errno value. */
static int ready_now(int fd, int events)
{
    int error;

    do {
        error = wait_natively(fd, events, 0);
    } while (error == EINTR);
    return error;
}

int grove_wait_fd(int fd, int events, double timeout)
{
    struct fd_use use;
    int wanted =
        (events & GROVE_READ ? EV_READ : 0) | (events & GROVE_WRITE ? EV_WRITE : 0);

    if (!wanted || events & ~(GROVE_READ | GROVE_WRITE))
        return answer(EINVAL);
    if (fd_use_begin(&use, fd, timeout) < 0)
        return -1;
    if (fd_use_is(&use, FD_READY))
        return 0;
    if (timeout == 0)
        return answer(ready_now(fd, wanted));
    return fd_use_wait(&use, wanted);
}
