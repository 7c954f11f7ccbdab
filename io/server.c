/* SPDX-License-Identifier: MIT */
#include "io/server.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <grove/greenlet.h>
#include <grove/io.h>
#include <grove/runtime.h>

#include "io/address.h"
#include "io/fd_use.h"
#include "io/net.h"
#include "sched/spawn.h"

#define BATCH 100
#define GRACE 1.0 /* seconds that killed handlers get to end */

static bool move(struct grove_server *server, int from, int to)
{
    return atomic_compare_exchange_strong_explicit(
        &server->state, &from, to, memory_order_acq_rel, memory_order_acquire);
}

grove_server_t *grove_server_new(
    const char *host, const char *port, void (*handle)(int fd, void *arg), void *arg)
{
    if (!port || !handle) {
        errno = EINVAL;
        return NULL;
    }
    struct grove_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->handle = handle;
    server->arg = arg;
    server->batch = BATCH;
    server->listener = server->port = -1;
    atomic_init(&server->references, 1);
    server->port_name = strdup(port);
    if (!server->port_name)
        goto no_port;
    if (!address_is_any(host) && !(server->host = strdup(host)))
        goto no_host;
    return server;

no_host:
    free(server->port_name);
no_port:
    free(server);
    errno = ENOMEM;
    return NULL;
}

int grove_server_set(grove_server_t *server, grove_server_option_t option, long value)
{
    if (value < 0 || value > INT_MAX)
        return answer(EINVAL);
    if (!move(server, SERVER_STOPPED, SERVER_STARTING))
        return answer(EALREADY);
    int error = 0;
    switch (option) {
    case GROVE_SERVER_BACKLOG:
        error = value == 0 ? EINVAL : 0;
        server->backlog = error ? server->backlog : (int)value;
        break;
    case GROVE_SERVER_MAX_CONNECTIONS:
        server->max = (int)value;
        break;
    case GROVE_SERVER_ACCEPT_BATCH:
        error = value == 0 ? EINVAL : 0;
        server->batch = error ? server->batch : (int)value;
        break;
    case GROVE_SERVER_REUSE_PORT:
        error = value > 1 ? EINVAL : 0;
        server->reuse_port = error ? server->reuse_port : value;
        break;
    default:
        error = EINVAL;
    }
    move(server, SERVER_STARTING, SERVER_STOPPED);
    return answer(error);
}

static int port_of(int listener)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        return -1;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static void forget_acceptor(struct grove_server *server)
{
    grove_release(server->acceptor);
    server->acceptor = NULL;
}

/* What a start needs anew, the runtime included. */
static int prepare(struct grove_server *server)
{
    if (grove_worker_count() < 0)
        return -1;
    forget_acceptor(server);
    server->error = 0;
    server->killing = false;
    /* Sessions that outlived the last stop keep their slots. */
    section_enter(&server->section);
    int kept = server->active < (size_t)server->max ? (int)server->active : server->max;
    section_leave(&server->section);
    server->slots = (grove_semaphore_t)GROVE_SEMAPHORE_INIT(server->max - kept);
    grove_event_clear(&server->stopped);
    return 0;
}

static void close_listener(struct grove_server *server)
{
    grove_close(server->listener);
    server->listener = server->port = -1;
    atomic_store_explicit(&server->accepting, false, memory_order_release);
}

static int listen_and_accept(struct grove_server *server)
{
    struct worker *worker = worker_self;

    if (!worker || worker->index < 0)
        worker = workers[worker_count - 1];
    server->listener = net_listen(
        server->host, server->port_name, server->backlog, server->reuse_port);
    if (server->listener < 0)
        return -1;
    server->port = port_of(server->listener);
    server->acceptor =
        greenlet_spawn_on(worker, acceptor_run, server, (void *)server->handle);
    if (server->acceptor) {
        atomic_store_explicit(&server->accepting, true, memory_order_release);
        return 0;
    }
    close_listener(server);
    return answer(ENOMEM);
}

int grove_server_start(grove_server_t *server)
{
    if (!move(server, SERVER_STOPPED, SERVER_STARTING))
        return answer(EALREADY);
    bool started = prepare(server) == 0 && listen_and_accept(server) == 0;
    atomic_store_explicit(&server->state, started ? SERVER_RUNNING : SERVER_STOPPED,
        memory_order_release);
    return started ? 0 : -1;
}

static void set_stopped(struct grove_server *server)
{
    atomic_store_explicit(&server->state, SERVER_STOPPED, memory_order_release);
    grove_event_set(&server->stopped);
}

void server_closed(struct grove_server *server, int error)
{
    /* The start is about to be over: this is another worker. */
    while (
        atomic_load_explicit(&server->state, memory_order_acquire) == SERVER_STARTING)
        grove_yield();
    if (!move(server, SERVER_RUNNING, SERVER_STOPPING))
        return; /* whoever stops it does the rest */
    server->error = error;
    close_listener(server);
    set_stopped(server);
}

/* 0 when no session is left, or an errno value. */
static int wait_idle(struct grove_server *server, double timeout)
{
    nanoseconds deadline = timeout > 0 ? timers_deadline(timeout) : 0;

    for (;;) {
        grove_event_clear(&server->idle);
        section_enter(&server->section);
        size_t active = server->active;
        section_leave(&server->section);
        if (active == 0)
            return 0;
        if (grove_event_wait(&server->idle, timeout) < 0)
            return errno;
        if (timeout > 0)
            timeout = timers_left(deadline);
    }
}

/* Lets the sessions end, by force when the time is over. */
static int end_sessions(struct grove_server *server, double timeout)
{
    session_excuse_self(server);
    int error = wait_idle(server, timeout);
    if (error == 0)
        return 0;
    session_kill_all(server);
    if (error == ETIMEDOUT)
        wait_idle(server, GRACE);
    return error;
}

/* Who is in the backlog was told by the kernel that it is connected, and may have sent
 * a request already: it is served, as far as there are slots. */
static void accept_backlog(struct grove_server *server)
{
    int fd;

    while ((!server->max || grove_semaphore_acquire(&server->slots, 0) == 0) &&
           (fd = grove_accept(server->listener, NULL, NULL, 0)) >= 0) {
        if (session_start(server, fd) == 0)
            continue;
        grove_close(fd);
        if (server->max)
            grove_semaphore_release(&server->slots);
    }
}

int grove_server_stop(grove_server_t *server, double timeout)
{
    if (timeout != timeout)
        return answer(EINVAL);
    if (!move(server, SERVER_RUNNING, SERVER_STOPPING)) {
        if (atomic_load_explicit(&server->state, memory_order_acquire) ==
            SERVER_STOPPED)
            return 0;
        return grove_event_wait(&server->stopped, timeout);
    }
    /* If the caller is being killed itself the wait is cut short; but the acceptor uses
     * the listener, and ends at once. */
    grove_kill(server->acceptor, GROVE_FOREVER);
    while (!grove_ready(server->acceptor))
        grove_yield();
    if (timeout != 0)
        accept_backlog(server);
    close_listener(server);
    int error = end_sessions(server, timeout);
    set_stopped(server);
    return answer(error);
}

int grove_server_serve_forever(grove_server_t *server)
{
    if (grove_server_start(server) < 0 && errno != EALREADY)
        return -1;
    if (grove_event_wait(&server->stopped, GROVE_FOREVER) < 0)
        return -1;
    return answer(server->error);
}

bool grove_server_accepting(const grove_server_t *server)
{
    return atomic_load_explicit(&server->accepting, memory_order_acquire);
}

int grove_server_port(const grove_server_t *server)
{
    return server->port < 0 ? answer(ENOTCONN) : server->port;
}

void server_release(struct grove_server *server)
{
    if (atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) > 1)
        return;
    forget_acceptor(server);
    free(server->port_name);
    free(server->host);
    free(server);
}

void grove_server_free(grove_server_t *server)
{
    if (!server)
        return;
    grove_server_stop(server, 0);
    server_release(server);
}
