/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include <grove/net.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/address.h"
#include "io/fd_use.h"
#include "io/net.h"

static int close_failed(int fd)
{
    int error = errno;

    grove_close(fd);
    errno = error;
    return -1;
}

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}

/* How a socket that is bound differs from the next. */
struct binding {
    int type;
    int backlog; /* of a stream; <= 0: the most there can be */
    bool reuse_port;
};

/* Binds and, if it is a stream, listens. */
static int bind_one(const struct addrinfo *address, const struct binding *binding)
{
    int fd = address_socket(address->ai_family, binding->type, 0);
    bool stream = binding->type == SOCK_STREAM;
    int backlog = binding->backlog > 0 ? binding->backlog : SOMAXCONN;

    if (fd < 0)
        return -1;
    /* Accepted sockets inherit TCP_NODELAY: it costs nothing for each. */
    if ((stream && (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
                       set(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)) ||
        (binding->reuse_port && set(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
        (address->ai_family == AF_INET6 &&
            set(fd, IPPROTO_IPV6, IPV6_V6ONLY,
                !IN6_IS_ADDR_UNSPECIFIED(
                    &((struct sockaddr_in6 *)address->ai_addr)->sin6_addr)) < 0) ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0 ||
        (stream && listen(fd, backlog) < 0))
        return close_failed(fd);
    return fd;
}

static int bind_first(
    const char *host, const char *port, int family, const struct binding *binding)
{
    struct addrinfo *all =
        address_resolve(host, port, family, binding->type, AI_PASSIVE);
    int fd = -1;

    if (!all)
        return -1;
    for (struct addrinfo *one = all; one && fd < 0; one = one->ai_next)
        fd = bind_one(one, binding);
    int error = errno;
    freeaddrinfo(all);
    errno = error;
    return fd;
}

static int bind_named(const char *host, const char *port, const struct binding *binding)
{
    if (!address_is_any(host))
        return bind_first(host, port, AF_UNSPEC, binding);
    int fd = bind_first(host, port, AF_INET6, binding);
    if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL || errno == ENOENT))
        fd = bind_first(host, port, AF_INET, binding);
    return fd;
}

int net_listen(const char *host, const char *port, int backlog, bool reuse_port)
{
    const struct binding binding = {SOCK_STREAM, backlog, reuse_port};

    return bind_named(host, port, &binding);
}

int grove_tcp_listen(const char *host, const char *port, int backlog)
{
    return net_listen(host, port, backlog, false);
}

int grove_udp_bind(const char *host, const char *port)
{
    const struct binding binding = {.type = SOCK_DGRAM};

    return bind_named(host, port, &binding);
}

static int connect_one(const struct addrinfo *address, double timeout)
{
    int fd = address_socket(address->ai_family, address->ai_socktype, 0);

    if (fd < 0)
        return -1;
    if ((address->ai_socktype == SOCK_STREAM &&
            set(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0) ||
        grove_connect(fd, address->ai_addr, address->ai_addrlen, timeout) < 0)
        return close_failed(fd);
    return fd;
}

/* Tries the addresses in turn until one answers, the time is over, or the caller has to
 * end. */
static int connect_any(const struct addrinfo *one, double timeout)
{
    nanoseconds deadline = timeout > 0 ? timers_deadline(timeout) : 0;
    int fd = -1;

    errno = ENOENT;
    for (; one; one = one->ai_next) {
        fd = connect_one(one, timeout);
        if (fd >= 0 || errno == ETIMEDOUT || errno == ECANCELED || errno == EDEADLK)
            break;
        if (timeout > 0 && (timeout = timers_left(deadline)) == 0) {
            errno = ETIMEDOUT;
            break;
        }
    }
    return fd;
}

static int connect_named(const char *host, const char *port, int type, double timeout)
{
    int error = blocking_begin(timeout);

    if (error)
        return answer(error);
    struct addrinfo *all = address_resolve(host, port, AF_UNSPEC, type, 0);
    if (!all)
        return -1;
    int fd = connect_any(all, timeout);
    error = errno;
    freeaddrinfo(all);
    errno = error;
    return fd;
}

int grove_tcp_connect(const char *host, const char *port, double timeout)
{
    return connect_named(host, port, SOCK_STREAM, timeout);
}

int grove_udp_connect(const char *host, const char *port)
{
    return connect_named(host, port, SOCK_DGRAM, 0);
}

/* The length of the address, 0 with errno if the path doesn't fit. */
static socklen_t unix_address(struct sockaddr_un *address, const char *path)
{
    size_t length = path ? strlen(path) : 0;

    if (length == 0 || length >= sizeof address->sun_path) {
        errno = length == 0 ? EINVAL : ENAMETOOLONG;
        return 0;
    }
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length);
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    /* An abstract name is as long as it is said to be; a path ends with its zero. */
    length += offsetof(struct sockaddr_un, sun_path) + (path[0] != '@');
    return (socklen_t)length;
}

/* A stream socket, and the address that [path] says. */
static int unix_socket(const char *path, struct sockaddr_un *address, socklen_t *length)
{
    *length = unix_address(address, path);
    return *length ? address_socket(AF_UNIX, SOCK_STREAM, 0) : -1;
}

int grove_unix_listen(const char *path, int backlog)
{
    struct sockaddr_un address;
    socklen_t length;
    int fd = unix_socket(path, &address, &length);

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, length) < 0 ||
        listen(fd, backlog > 0 ? backlog : SOMAXCONN) < 0)
        return close_failed(fd);
    return fd;
}

int grove_unix_connect(const char *path, double timeout)
{
    struct sockaddr_un address;
    socklen_t length;
    int fd = unix_socket(path, &address, &length);

    if (fd < 0)
        return -1;
    if (grove_connect(fd, (struct sockaddr *)&address, length, timeout) < 0)
        return close_failed(fd);
    return fd;
}

int grove_socketpair(int domain, int type, int protocol, int fds[2])
{
    int made[2];
    int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    unsigned flags = FD_SOCKET | (kind == SOCK_STREAM ? FD_STREAM : 0);

    if (socketpair(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol, made) < 0)
        return -1;
    if (!fd_life_begin(made[0], flags) || !fd_life_begin(made[1], flags)) {
        close(made[0]);
        close(made[1]);
        return answer(ENOMEM);
    }
    fds[0] = made[0];
    fds[1] = made[1];
    return 0;
}
