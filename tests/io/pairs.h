/* SPDX-License-Identifier: MIT */
/* What the tests of io/ share. */
#ifndef TESTS_IO_PAIRS_H
#define TESTS_IO_PAIRS_H

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <grove.h>

#include "sched/spawn.h"
#include "sched/worker.h"
#include "tests/sched/runtimes.h"

/* Two connected stream sockets. */
static inline void make_pair(int fds[2])
{
    if (!CHECK_EQUAL(grove_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0))
        abort();
}

static inline void make_pipe(int fds[2])
{
    if (!CHECK_EQUAL(pipe(fds), 0))
        abort();
}

static inline void close_both(int fds[2])
{
    grove_close(fds[0]);
    grove_close(fds[1]);
}

/* The last worker: another one than the caller's where there are two. */
static inline grove_t *spawn_elsewhere(grove_fn fn, void *arg)
{
    return must(greenlet_spawn_on(workers[worker_count - 1], fn, arg, NULL));
}

static inline void *do_nothing(void *arg)
{
    return arg;
}

/* Returns when what was spawned there before has run until it waited: greenlets of one
 * worker take turns in the order in which they became ready. */
static inline void let_elsewhere_wait(void)
{
    grove_await(spawn_elsewhere(do_nothing, NULL));
}

static inline void *sleep_in_the_hub(void *arg)
{
    grove_sleep(0.001);
    return arg;
}

/* Returns when the other worker has besides told the kernel what it waits for: with
 * nothing else to do it sleeps a millisecond in its hub, which begins with that. A
 * plain close before that moment is one that libev may abort the process for. */
static inline void let_elsewhere_tell_the_kernel(void)
{
    grove_await(spawn_elsewhere(sleep_in_the_hub, NULL));
}

/* A call on a descriptor made by a greenlet. */
struct attempt {
    int fd;
    int events;
    double timeout;
    int result, error;
    char byte;
};

static inline void *attempt_read(void *arg)
{
    struct attempt *attempt = arg;

    attempt->result = (int)grove_read(attempt->fd, &attempt->byte, 1, attempt->timeout);
    attempt->error = errno;
    return NULL;
}

static inline void *attempt_wait(void *arg)
{
    struct attempt *attempt = arg;

    attempt->result = grove_wait_fd(attempt->fd, attempt->events, attempt->timeout);
    attempt->error = errno;
    return NULL;
}

#endif
