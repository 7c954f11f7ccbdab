/* SPDX-License-Identifier: MIT */
/* Making and ending connections. */
#define _GNU_SOURCE /* accept4 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <grove/greenlet.h>
#include <grove/io.h>

#include "io/fd_use.h"

struct acceptance {
    struct sockaddr *address;
    socklen_t *length;
};

struct target {
    const struct sockaddr *address;
    socklen_t length;
};

static ssize_t try_accept(int fd, const void *call)
{
    const struct acceptance *acceptance = call;

    return accept4(
        fd, acceptance->address, acceptance->length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int grove_accept(int fd, struct sockaddr *address, socklen_t *length, double timeout)
{
    const struct acceptance acceptance = {address, length};
    struct fd_use use;

    if (fd_use_begin(&use, fd, timeout) < 0)
        return -1;
    /* A connection taken says nothing of there being more: wanted is 0. */
    int peer = (int)fd_use_run(&use, EV_READ, 0, try_accept, &acceptance);
    if (peer < 0)
        return -1;
    unsigned flags = FD_SOCKET | (fd_life_state(use.life) & FD_STREAM);
    if (!fd_life_begin(peer, flags)) {
        close(peer);
        return answer(ENOMEM);
    }
    return peer;
}

/* The backlog of a unix socket is full, which can't be waited for. */
static int pause_for_backlog(struct fd_use *use)
{
    if (!use->watch)
        return answer(EAGAIN);
    if (use->timeout > 0) {
        if (!use->deadline)
            use->deadline = timers_deadline(use->timeout);
        if (timers_left(use->deadline) == 0)
            return answer(ETIMEDOUT);
    }
    return grove_sleep(0.001);
}

static int outcome(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -1;
    return answer(error);
}

int grove_connect(
    int fd, const struct sockaddr *address, socklen_t length, double timeout)
{
    struct fd_use use;

    if (fd_use_begin(&use, fd, timeout) < 0)
        return -1;
    if (use.watch)
        fd_watch_refresh(use.watch);
    for (;;) {
        if (connect(fd, address, length) == 0)
            return 0;
        /* An interrupted connect goes on by itself, like one in progress. */
        if (timeout == 0 || (errno != EINPROGRESS && errno != EALREADY &&
                                errno != EINTR && errno != EAGAIN))
            return -1;
        if (errno != EAGAIN)
            break;
        if (pause_for_backlog(&use) < 0)
            return -1;
    }
    if (fd_use_wait(&use, EV_WRITE) < 0)
        return -1;
    return outcome(fd);
}

int grove_close(int fd)
{
    if (fd < 0)
        return answer(EBADF);
    /* Before, as afterwards the number may be somebody else's. */
    uint64_t closing = fd_watch_end_life(fd, FD_CLOSING);
    /* Linux has closed it also when it says EINTR. */
    int error = close(fd) < 0 && errno != EINTR ? errno : 0;
    fd_life_closed(fd, closing);
    return answer(error);
}
