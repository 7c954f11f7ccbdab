/* SPDX-License-Identifier: MIT */
/*
 * TCP servers: a greenlet for each connection, spread over all workers. After
 * gevent.server.StreamServer.
 *
 *     static void echo(int fd, void *arg)
 *     {
 *         char buffer[4096];
 *         ssize_t n;
 *         while ((n = grove_read(fd, buffer, sizeof buffer, GROVE_FOREVER)) > 0)
 *             if (grove_write_all(fd, buffer, n, GROVE_FOREVER) < 0)
 *                 return;
 *     }
 *
 *     grove_server_t *server = grove_server_new(NULL, "7", echo, NULL);
 *     grove_server_serve_forever(server);
 *
 * One greenlet accepts, on the worker that started the server (on the last one if that
 * was a plain thread), and gives each connection to the worker that has the fewest.
 *
 * The main thread is one of the workers: its connections are served while main is in a
 * blocking call of the library (grove_server_serve_forever, grove_join, a grove_read of
 * a signalfd), not while it computes or blocks in a call of the system.
 *
 * When accepting fails for lack of descriptors or memory, that is reported once, and
 * the server pauses: 0.01 s, doubled up to 1 s until it succeeds again. Connections
 * that exist go on meanwhile.
 *
 * Calls may be made from any thread, not from hub callbacks or signal handlers.
 */
#ifndef GROVE_SERVER_H
#define GROVE_SERVER_H

#include <grove/base.h>

GROVE_BEGIN

typedef struct grove_server grove_server_t;

/* What grove_server_set sets, and the limits of the value. */
typedef enum {
    GROVE_SERVER_BACKLOG = 1, /* connections the kernel keeps until they are accepted:
                                 1..INT_MAX; default SOMAXCONN, as is anything more */
    GROVE_SERVER_MAX_CONNECTIONS, /* at once; more wait in the backlog: 1..INT_MAX, 0 is
                                     no limit, the default */
    GROVE_SERVER_ACCEPT_BATCH,    /* accepted before other greenlets have a
                                     turn: 1..INT_MAX;    default 100 */
    GROVE_SERVER_REUSE_PORT, /* 1: other sockets may listen at the same address, and the
                                kernel divides the connections (SO_REUSEPORT); default 0
                              */
} grove_server_option_t;

/*
 * A server for that address: see grove_tcp_listen. Each connection is handled by
 * handle(fd, arg) in a greenlet of its own; [fd] is closed when that ends, in whatever
 * way, unless the handler has closed it with grove_close. To keep it, dup it.
 * Errors: ENOMEM; EINVAL no port or no handler. Never switches.
 */
GROVE_API grove_server_t *grove_server_new(
    const char *host, const char *port, void (*handle)(int fd, void *arg), void *arg);

/* Before the start. Errors: EINVAL unknown option or value; EALREADY it runs. Never
 * switches. */
GROVE_API int grove_server_set(
    grove_server_t *server, grove_server_option_t option, long value);

/* Listens and begins to accept; may be done again after a stop. Errors: EALREADY it
 * runs; ENOMEM; as grove_tcp_listen. Never switches. */
GROVE_API int grove_server_start(grove_server_t *server);

/*
 * Takes the connections that wait already (unless [timeout] is 0), stops listening,
 * waits up to [timeout] for the handlers to end; those that still run then are killed
 * (their blocking calls fail with ECANCELED) and given another second. A handler that
 * stops its own server isn't waited for, nor killed. 0 if the server is stopped
 * already.
 *
 * Errors: ETIMEDOUT handlers had to be killed; ECANCELED, ETIMEDOUT, EDEADLK of the
 * caller's own wait: then they are killed too, and not waited for. May switch.
 */
GROVE_API int grove_server_stop(grove_server_t *server, double timeout);

/*
 * Starts it unless it runs, and waits until it is stopped by another greenlet or
 * thread. Errors: as grove_server_start; EBADF, EINVAL, ENOTSOCK its socket has become
 * unusable; ECANCELED, ETIMEDOUT of the wait: the server goes on. May switch.
 */
GROVE_API int grove_server_serve_forever(grove_server_t *server);

/*
 * True while it takes connections, false from the moment at which a stop has closed its
 * socket. A handler that answers many requests on one connection asks this to tell its
 * client which answer is the last. Never switches.
 */
GROVE_API bool grove_server_accepting(const grove_server_t *server);

/* The port it listens at. -1 with ENOTCONN if it doesn't. Never switches. */
GROVE_API int grove_server_port(const grove_server_t *server);

/* Stops it as with a timeout of 0, and frees it. NULL is allowed. No other call on it
 * may be under way. May switch. */
GROVE_API void grove_server_free(grove_server_t *server);

GROVE_END

#endif
