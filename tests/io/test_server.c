/* SPDX-License-Identifier: MIT */
/* Servers. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/io/pairs.h"

/* Counts the server's calls. */
static _Atomic(int) accepts, refusals;

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    long peer = syscall(SYS_accept4, fd, address, length, flags);

    atomic_fetch_add(&accepts, 1);
    if (peer < 0 && errno == EMFILE)
        atomic_fetch_add(&refusals, 1);
    return (int)peer;
}

static void echo(int fd, void *arg)
{
    char buffer[64];
    ssize_t n;

    (void)arg;
    while ((n = grove_read(fd, buffer, sizeof buffer, GROVE_FOREVER)) > 0)
        if (grove_write_all(fd, buffer, (size_t)n, GROVE_FOREVER) < 0)
            return;
}

static grove_server_t *server_of(void (*handle)(int fd, void *arg), void *arg)
{
    grove_server_t *server = grove_server_new("127.0.0.1", "0", handle, arg);

    if (!CHECK(server != NULL))
        abort();
    return server;
}

static grove_server_t *started(void (*handle)(int fd, void *arg), void *arg)
{
    grove_server_t *server = server_of(handle, arg);

    if (!CHECK_EQUAL(grove_server_start(server), 0))
        abort();
    return server;
}

static int client_of(const grove_server_t *server)
{
    char port[8];

    snprintf(port, sizeof port, "%d", grove_server_port(server));
    int fd = grove_tcp_connect("127.0.0.1", port, 5);
    CHECK(fd >= 0);
    return fd;
}

static void exchange(int client)
{
    char reply[5] = "";

    CHECK_EQUAL(grove_write_all(client, "ping", 4, 5), 0);
    CHECK_EQUAL(grove_read_exact(client, reply, 4, 5), 0);
    CHECK_STRING(reply, "ping");
}

static void expect_end(int client)
{
    char byte;

    CHECK_EQUAL(grove_read(client, &byte, 1, 5), 0);
}

static void serves(void)
{
    enum { CLIENTS = 50 };
    grove_server_t *server = started(echo, NULL);
    int client[CLIENTS];

    for (int i = 0; i < CLIENTS; i++)
        client[i] = client_of(server);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < CLIENTS; i++)
            exchange(client[i]);
    for (int i = 0; i < CLIENTS; i++)
        grove_close(client[i]);
    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    grove_server_free(server);
}
EVERYWHERE(serves)

static void tell_worker(int fd, void *arg)
{
    char worker = (char)grove_worker_self();

    (void)arg;
    grove_write_all(fd, &worker, 1, GROVE_FOREVER);
    grove_read(fd, &worker, 1, GROVE_FOREVER);
}

static void connections_spread_evenly(void)
{
    enum { CLIENTS = 20 };
    grove_server_t *server = started(tell_worker, NULL);
    int client[CLIENTS], on[2] = {0, 0};
    char worker;

    for (int i = 0; i < CLIENTS; i++) {
        client[i] = client_of(server);
        CHECK_EQUAL(grove_read_exact(client[i], &worker, 1, 5), 0);
        on[worker & 1]++;
    }
    CHECK_EQUAL(on[0], CLIENTS / 2);
    CHECK_EQUAL(on[1], CLIENTS / 2);
    for (int i = 0; i < CLIENTS; i++)
        grove_close(client[i]);
    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    grove_server_free(server);
}
PAIR(connections_spread_evenly)

static void greet(int fd, void *arg)
{
    grove_write_all(fd, arg, 2, GROVE_FOREVER);
}

static void descriptors_close_with_their_handler(void)
{
    grove_server_t *server = started(greet, "hi");
    char hi[2];

    for (int i = 0; i < 5; i++) {
        int client = client_of(server);
        CHECK_EQUAL(grove_read_exact(client, hi, 2, 5), 0);
        expect_end(client);
        grove_close(client);
    }
    grove_server_free(server);
}
EVERYWHERE(descriptors_close_with_their_handler)

static void leave_by_exit(int fd, void *arg)
{
    (void)fd;
    (void)arg;
    grove_exit(NULL);
}

static void an_exit_closes_too(void)
{
    grove_server_t *server = started(leave_by_exit, NULL);
    int client = client_of(server);

    expect_end(client);
    grove_close(client);
    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    grove_server_free(server);
}
EVERYWHERE(an_exit_closes_too)

static int taken[2];

/* Closes, and takes the number for something else before it returns. */
static void close_early(int fd, void *arg)
{
    grove_close(fd);
    make_pipe(taken);
    CHECK_EQUAL(taken[0], fd);
    raise_flag(arg);
}

static void a_handler_may_close(void)
{
    _Atomic(int) done = 0;
    grove_server_t *server = started(close_early, (void *)&done);
    int client = client_of(server);

    expect_end(client);
    until(&done);
    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    CHECK(fcntl(taken[0], F_GETFD) >= 0);
    grove_server_free(server);
    close_both(taken);
    grove_close(client);
}
EVERYWHERE(a_handler_may_close)

static void no_more_than_the_limit(void)
{
    grove_server_t *server = server_of(echo, NULL);

    CHECK_EQUAL(grove_server_set(server, GROVE_SERVER_MAX_CONNECTIONS, 2), 0);
    CHECK_EQUAL(grove_server_start(server), 0);
    int first = client_of(server), second = client_of(server);
    exchange(first);
    exchange(second);
    int third = client_of(server); /* connected by the kernel, but not served */
    char byte;
    CHECK_EQUAL(grove_write(third, "ping", 4, 5), 4);
    CHECK_ERROR(grove_read(third, &byte, 1, 0.01), ETIMEDOUT);
    grove_close(first);
    CHECK_EQUAL(grove_read(third, &byte, 1, 5), 1);
    grove_close(second);
    grove_close(third);
    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    grove_server_free(server);
}
EVERYWHERE(no_more_than_the_limit)

static _Atomic(int) handler_error;

static void wait_until_killed(int fd, void *arg)
{
    char byte;

    grove_write_all(fd, "r", 1, GROVE_FOREVER);
    if (grove_read(fd, &byte, 1, GROVE_FOREVER) < 0)
        atomic_store((_Atomic(int) *)arg, errno);
}

static void stop_kills_what_is_left(void)
{
    static const double timeouts[] = {0, 0.005};

    for (int i = 0; i < 2; i++) {
        grove_server_t *server = started(wait_until_killed, (void *)&handler_error);
        int client = client_of(server);
        char byte;

        atomic_store(&handler_error, 0);
        CHECK_EQUAL(grove_read(client, &byte, 1, 5), 1);
        CHECK_ERROR(grove_server_stop(server, timeouts[i]), ETIMEDOUT);
        CHECK_EQUAL(handler_error, ECANCELED);
        expect_end(client);
        CHECK_EQUAL(grove_server_stop(server, 0), 0);
        grove_close(client);
        grove_server_free(server);
    }
}
EVERYWHERE(stop_kills_what_is_left)

static void stop_lets_handlers_end(void)
{
    grove_server_t *server = started(echo, NULL);
    int client = client_of(server);

    exchange(client);
    CHECK_EQUAL(shutdown(client, SHUT_WR), 0);
    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    expect_end(client);
    grove_close(client);
    grove_server_free(server);
}
EVERYWHERE(stop_lets_handlers_end)

static void stop_own_server(int fd, void *arg)
{
    grove_server_t *server = *(grove_server_t **)arg;

    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    CHECK_EQUAL(grove_write_all(fd, "bye", 3, 5), 0);
}

static void a_handler_may_stop_its_server(void)
{
    grove_server_t *server;
    char bye[3];

    server = server_of(stop_own_server, &server);
    CHECK_EQUAL(grove_server_start(server), 0);
    int client = client_of(server);
    CHECK_EQUAL(grove_read_exact(client, bye, 3, 5), 0);
    expect_end(client);
    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    grove_close(client);
    grove_server_free(server);
}
EVERYWHERE(a_handler_may_stop_its_server)

static void *stop_soon(void *server)
{
    grove_sleep(0.002);
    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    return NULL;
}

static void serve_forever_ends_with_a_stop(void)
{
    grove_server_t *server = server_of(echo, NULL);
    grove_t *stopper = spawn_elsewhere(stop_soon, server);

    CHECK_EQUAL(grove_server_serve_forever(server), 0);
    grove_await(stopper);
    grove_server_free(server);
}
ALONE(serve_forever_ends_with_a_stop)

static void starts_again(void)
{
    grove_server_t *server = server_of(echo, NULL);

    CHECK_ERROR(grove_server_port(server), ENOTCONN);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(grove_server_start(server), 0);
        CHECK_ERROR(grove_server_start(server), EALREADY);
        CHECK_ERROR(grove_server_set(server, GROVE_SERVER_BACKLOG, 5), EALREADY);
        CHECK(grove_server_port(server) > 0);
        int client = client_of(server);
        exchange(client);
        grove_close(client);
        CHECK_EQUAL(grove_server_stop(server, 5), 0);
        CHECK_ERROR(grove_server_port(server), ENOTCONN);
    }
    grove_server_free(server);
    grove_server_free(NULL);
}
EVERYWHERE(starts_again)

static void bad_settings_are_refused(void)
{
    grove_server_t *server = server_of(echo, NULL);

    CHECK_ERROR(grove_server_set(server, 0, 1), EINVAL);
    CHECK_ERROR(grove_server_set(server, GROVE_SERVER_BACKLOG, 0), EINVAL);
    CHECK_ERROR(grove_server_set(server, GROVE_SERVER_ACCEPT_BATCH, 0), EINVAL);
    CHECK_ERROR(grove_server_set(server, GROVE_SERVER_MAX_CONNECTIONS, -1), EINVAL);
    CHECK_ERROR(grove_server_set(server, GROVE_SERVER_REUSE_PORT, 2), EINVAL);
    CHECK_EQUAL(grove_server_set(server, GROVE_SERVER_REUSE_PORT, 1), 0);
    grove_server_free(server);
    errno = 0;
    CHECK(grove_server_new("127.0.0.1", NULL, echo, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    CHECK(grove_server_new("127.0.0.1", "0", NULL, NULL) == NULL);
    server = grove_server_new("192.0.2.1", "0", echo, NULL);
    CHECK_ERROR(grove_server_start(server), EADDRNOTAVAIL);
    CHECK_ERROR(grove_server_start(server), EADDRNOTAVAIL);
    grove_server_free(server);
}
EVERYWHERE(bad_settings_are_refused)

static void no_descriptors_left(void)
{
    struct rlimit old, few;
    grove_server_t *server = started(echo, NULL);
    int first = client_of(server);
    exchange(first);

    /* One for the next client's end, none for the server's. */
    int next = dup(0);
    close(next);
    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    few.rlim_cur = (rlim_t)next + 1;
    setrlimit(RLIMIT_NOFILE, &few);
    int second = client_of(server);
    CHECK_EQUAL(second, next);
    CHECK_EQUAL(grove_write_all(second, "ping", 4, 5), 0);
    atomic_store(&accepts, 0);
    atomic_store(&refusals, 0);
    while (atomic_load(&refusals) < 4) { /* 0, 0.01, 0.03, 0.07 s */
        exchange(first);
        grove_sleep(0.001);
    }
    CHECK(atomic_load(&accepts) <= 8);
    setrlimit(RLIMIT_NOFILE, &old);
    char reply[4];
    CHECK_EQUAL(grove_read_exact(second, reply, 4, 5), 0);
    grove_close(first);
    grove_close(second);
    CHECK_EQUAL(grove_server_stop(server, 5), 0);
    grove_server_free(server);
}
EVERYWHERE(no_descriptors_left)

static void an_unusable_socket_ends_it(void)
{
    grove_server_t *server = started(echo, NULL);
    int client = client_of(server);
    exchange(client);

    /* The listener is the descriptor below the first that came after it. */
    for (int fd = 3; fd < 64; fd++) {
        int listens = 0;
        socklen_t length = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 &&
            listens)
            shutdown(fd, SHUT_RDWR);
    }
    CHECK_ERROR(grove_server_serve_forever(server), EINVAL);
    exchange(client); /* existing ones go on */
    grove_close(client);
    grove_server_free(server);
}
ALONE(an_unusable_socket_ends_it)

static void from_plain_thread(void *arg)
{
    grove_server_t **server = arg;

    *server = started(echo, NULL);
}

static void plain_threads_start_and_stop(void)
{
    grove_server_t *server;

    in_thread(from_plain_thread, &server);
    int client = client_of(server);
    exchange(client);
    grove_close(client);
    grove_server_free(server);
}
EVERYWHERE(plain_threads_start_and_stop)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("serves", serves),
        TEST("connections spread evenly", connections_spread_evenly),
        TEST("descriptors close with their handler",
            descriptors_close_with_their_handler),
        TEST("an exit closes too", an_exit_closes_too),
        TEST("a handler may close", a_handler_may_close),
        TEST("no more than the limit", no_more_than_the_limit),
        TEST("stop kills what is left", stop_kills_what_is_left),
        TEST("stop lets handlers end", stop_lets_handlers_end),
        TEST("a handler may stop its server", a_handler_may_stop_its_server),
        TEST("serve_forever ends with a stop", serve_forever_ends_with_a_stop),
        TEST("starts again", starts_again),
        TEST("bad settings are refused", bad_settings_are_refused),
        TEST("no descriptors left", no_descriptors_left),
        TEST("an unusable socket ends it", an_unusable_socket_ends_it),
        TEST("plain threads start and stop", plain_threads_start_and_stop),
    };
    return harness_main("server", tests, sizeof tests / sizeof *tests);
}
