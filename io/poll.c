/* SPDX-License-Identifier: MIT */
/*
 * grove_poll: poll(2) itself says what is ready, before and after each wait; the hub
 * only says when to look again. So the answers are the kernel's, to the bit.
 *
 * libev knows just readable and writable. What goes beyond that (urgent data alone,
 * hang-ups alone) is waited for in an epoll instance made for the call, which as a
 * descriptor of its own is readable when any of its own has something.
 */
#define _GNU_SOURCE /* ppoll, POLLRDHUP */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <grove/io.h>

#include "io/fd_use.h"

#define LINKS_ON_STACK 16

#define READABLE (POLLIN | POLLRDNORM | POLLRDHUP)
#define WRITABLE (POLLOUT | POLLWRNORM)

struct polling {
    struct pollfd *fds;
    nfds_t n;
    double timeout;
    nanoseconds deadline; /* meaningful if timeout > 0 */
};

static int look(struct polling *polling)
{
    int ready;

    do {
        ready = poll(polling->fds, polling->n, 0);
    } while (ready < 0 && errno == EINTR);
    return ready;
}

/* Also what poll can't know: the descriptors that were closed while we waited. */
static int look_after_close(struct polling *polling, const struct fd_wait *wait,
    const uint64_t *generations, const nfds_t *places)
{
    int ready = look(polling);

    for (size_t i = 0; ready >= 0 && i < wait->count; i++) {
        struct pollfd *fd = &polling->fds[places[i]];
        if (!fd_watch_ended(wait->links[i].watch, generations[i]))
            continue;
        if (!fd->revents)
            ready++;
        fd->revents = POLLNVAL;
    }
    return ready;
}

static double time_left(const struct polling *polling)
{
    return polling->timeout > 0 ? timers_left(polling->deadline) : polling->timeout;
}

static bool out_of_time(const struct polling *polling)
{
    return polling->timeout > 0 && time_left(polling) == 0;
}

/* On a plain thread. */
static int poll_natively(struct polling *polling)
{
    for (;;) {
        if (out_of_time(polling))
            return 0;
        double left = time_left(polling);
        int milliseconds = -1;
        if (left >= 0)
            milliseconds = left < INT_MAX / 1000 - 1 ? (int)(left * 1000) + 1 : INT_MAX;
        int ready = poll(polling->fds, polling->n, milliseconds);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return ready;
    }
}

static bool plain(const struct polling *polling)
{
    for (nfds_t i = 0; i < polling->n; i++) {
        int events = polling->fds[i].events;
        if (polling->fds[i].fd >= 0 &&
            (events & ~(READABLE | WRITABLE) ||
                !(events & (POLLIN | POLLRDNORM | WRITABLE))))
            return false;
    }
    return true;
}

/* One turn of waiting for all: an errno value, or 0 when it is time to look again. The
 * three arrays have room for n. */
static int wait_for_all(struct polling *polling, struct fd_wait *wait,
    uint64_t *generations, nfds_t *places)
{
    wait->count = 0;
    for (nfds_t i = 0; i < polling->n; i++) {
        const struct pollfd *fd = &polling->fds[i];
        if (fd->fd < 0)
            continue;
        struct fd_watch *watch = fd_watch_of(worker_self, fd->fd);
        if (!watch)
            return errno;
        if (fd_life_state(watch->life) & FD_READY)
            continue;
        places[wait->count] = i;
        generations[wait->count] = watch->generation;
        wait->links[wait->count++] = (struct fd_link){
            .watch = watch,
            .wait = wait,
            .events = (fd->events & READABLE ? EV_READ : 0) |
                      (fd->events & WRITABLE ? EV_WRITE : 0),
        };
    }
    return fd_wait_park(wait, time_left(polling));
}

static int poll_in_hub(struct polling *polling, struct fd_link *links,
    uint64_t *generations, nfds_t *places)
{
    struct fd_wait wait = {.links = links};

    for (;;) {
        if (out_of_time(polling))
            return 0;
        int error = wait_for_all(polling, &wait, generations, places);
        if (wait.waiter.expired)
            return 0;
        if (error && error != EBADF)
            return answer(error);
        int ready = look_after_close(polling, &wait, generations, places);
        if (ready)
            return ready;
    }
}

static int poll_watched(struct polling *polling)
{
    struct fd_link links[LINKS_ON_STACK];
    /* Zero for the analyzer of clang: it thinks that a park may change the count. */
    uint64_t generations[LINKS_ON_STACK] = {0};
    nfds_t places[LINKS_ON_STACK] = {0};

    if (polling->n <= LINKS_ON_STACK)
        return poll_in_hub(polling, links, generations, places);

    size_t each = sizeof *links + sizeof *generations + sizeof *places;
    struct fd_link *memory = calloc(polling->n, each);
    if (!memory)
        return answer(ENOMEM);
    uint64_t *more_generations = (uint64_t *)(memory + polling->n);
    int ready = poll_in_hub(
        polling, memory, more_generations, (nfds_t *)(more_generations + polling->n));
    int error = errno;
    free(memory);
    errno = error;
    return ready;
}

/* Adds all to the epoll instance. The bits of EPOLL* are those of POLL*. */
static int fill(int set, const struct polling *polling)
{
    for (nfds_t i = 0; i < polling->n; i++) {
        const struct pollfd *fd = &polling->fds[i];
        struct epoll_event event = {.events = (uint32_t)(unsigned short)fd->events};
        if (fd->fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd->fd, &event) == 0)
            continue;
        if (errno == EEXIST) { /* a number twice: with all events, which is not less */
            event.events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP;
            if (epoll_ctl(set, EPOLL_CTL_MOD, fd->fd, &event) == 0)
                continue;
        }
        if (errno != EPERM)
            return -1;
    }
    return 0;
}

static int poll_exactly(struct polling *polling)
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct fd_use use;
    int ready = -1;

    if (set < 0)
        return -1;
    if (fill(set, polling) == 0 && fd_use_begin(&use, set, polling->timeout) == 0) {
        do {
            if (fd_use_wait(&use, EV_READ) < 0) {
                ready = use.expired ? 0 : -1;
                break;
            }
            ready = look(polling);
        } while (ready == 0);
    }
    int error = errno;
    grove_close(set);
    errno = error;
    return ready;
}

int grove_poll(struct pollfd *fds, nfds_t n, double timeout)
{
    struct polling polling = {.fds = fds, .n = n, .timeout = timeout};
    int error = blocking_begin(timeout);

    if (error)
        return answer(error);
    int ready = look(&polling);
    if (ready != 0 || timeout == 0)
        return ready;
    if (timeout > 0)
        polling.deadline = timers_deadline(timeout);
    if (!worker_attend())
        return errno ? -1 : poll_natively(&polling);
    return plain(&polling) ? poll_watched(&polling) : poll_exactly(&polling);
}
