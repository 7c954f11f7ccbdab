/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strerrorname_np */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <grove/greenlet.h>
#include <grove/io.h>

#include "io/server.h"
#include "sched/runtime.h"

#define PAUSE_MIN 0.01
#define PAUSE_MAX 1.0

/* Of one connection, not of the socket: the next one may be good. */
static bool concerns_connection(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPERM: /* a firewall's */
        return true;
    default:
        return false;
    }
}

static bool is_fatal(int error)
{
    return error == EBADF || error == EINVAL || error == ENOTSOCK;
}

static void report(const struct grove_server *server, int error, const char *what)
{
    char line[256];

    if (runtime_config.report == GROVE_REPORT_OFF)
        return;
    int length = snprintf(line, sizeof line, "grove: server at port %d %s: %s\n",
        server->port, what, strerrorname_np(error));
    /* One write, so that reports of several threads don't mix. */
    (void)!write(STDERR_FILENO, line, (size_t)length);
}

/* One more connection taken and given away: 0, or an errno value. */
static int accept_one(struct grove_server *server)
{
    int fd = grove_accept(server->listener, NULL, NULL, GROVE_FOREVER);

    if (fd < 0)
        return errno;
    if (session_start(server, fd) == 0)
        return 0;
    int error = errno;
    grove_close(fd);
    return error;
}

/* With the slot that the session will hold. */
static int accept_within_limit(struct grove_server *server)
{
    if (server->max && grove_semaphore_acquire(&server->slots, GROVE_FOREVER) < 0)
        return errno;
    int error = accept_one(server);
    if (error && server->max)
        grove_semaphore_release(&server->slots);
    return error;
}

/* Sleeps longer each time until something succeeds. False: killed meanwhile. */
static bool back_off(const struct grove_server *server, int error, double *pause)
{
    if (*pause == 0)
        report(server, error, "can't accept for now");
    *pause = *pause == 0 ? PAUSE_MIN : *pause * 2;
    if (*pause > PAUSE_MAX)
        *pause = PAUSE_MAX;
    return grove_sleep(*pause) == 0;
}

void *acceptor_run(void *arg)
{
    struct grove_server *server = arg;
    double pause = 0;
    int accepted = 0, error;

    for (;;) {
        error = accept_within_limit(server);
        if (error == 0) {
            pause = 0;
            if (++accepted % server->batch == 0)
                grove_yield();
            continue;
        }
        if (concerns_connection(error))
            continue;
        if (is_fatal(error) || error == ECANCELED || !back_off(server, error, &pause))
            break;
    }
    if (is_fatal(error) &&
        atomic_load_explicit(&server->state, memory_order_acquire) == SERVER_RUNNING)
        report(server, error, "stops");
    server_closed(server, is_fatal(error) ? error : 0);
    return NULL;
}
