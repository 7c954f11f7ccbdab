/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing. Each call is a struct of its arguments and a function that tries
 * it; fd_use_run does the rest and is inlined with it.
 *
 * Sockets are told MSG_DONTWAIT, though they are non-blocking: at the moment of the
 * call the number may have been closed by another worker and given out anew, to a
 * socket that is not. It costs nothing.
 */
#include <errno.h>
#include <unistd.h>

#include <grove/io.h>

#include "io/fd_use.h"

#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

struct bytes {
    void *buffer;
    size_t n;
    int flags;
};

struct vector {
    const struct iovec *parts;
    int count;
};

struct addressed {
    struct bytes bytes;
    struct sockaddr *address;
    socklen_t *length; /* recvfrom's: in and out; sendto's: in */
};

struct packed {
    struct msghdr *message;
    int flags;
};

static ssize_t try_read(int fd, const void *call)
{
    const struct bytes *bytes = call;

    return read(fd, bytes->buffer, bytes->n);
}

static ssize_t try_write(int fd, const void *call)
{
    const struct bytes *bytes = call;

    return write(fd, bytes->buffer, bytes->n);
}

static ssize_t try_recv(int fd, const void *call)
{
    const struct bytes *bytes = call;

    return recv(fd, bytes->buffer, bytes->n, bytes->flags);
}

static ssize_t try_send(int fd, const void *call)
{
    const struct bytes *bytes = call;

    return send(fd, bytes->buffer, bytes->n, bytes->flags);
}

static ssize_t try_readv(int fd, const void *call)
{
    const struct vector *vector = call;

    return readv(fd, vector->parts, vector->count);
}

static ssize_t try_writev(int fd, const void *call)
{
    const struct vector *vector = call;

    return writev(fd, vector->parts, vector->count);
}

static ssize_t try_recvfrom(int fd, const void *call)
{
    const struct addressed *to = call;

    return recvfrom(
        fd, to->bytes.buffer, to->bytes.n, to->bytes.flags, to->address, to->length);
}

static ssize_t try_sendto(int fd, const void *call)
{
    const struct addressed *to = call;

    return sendto(
        fd, to->bytes.buffer, to->bytes.n, to->bytes.flags, to->address, *to->length);
}

static ssize_t try_recvmsg(int fd, const void *call)
{
    const struct packed *packed = call;

    return recvmsg(fd, packed->message, packed->flags);
}

static ssize_t try_sendmsg(int fd, const void *call)
{
    const struct packed *packed = call;

    return sendmsg(fd, packed->message, packed->flags);
}

static size_t vector_size(const struct iovec *parts, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

/* What a receive with these flags can take at most, as far as its being short means
 * that nothing is left. */
static size_t wanted(size_t n, int flags)
{
    return flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE) ? 0 : n;
}

static double limit(int flags, double timeout)
{
    return flags & MSG_DONTWAIT ? 0 : timeout;
}

static ssize_t read_some(struct fd_use *use, const struct bytes *bytes)
{
    /* Nothing is read at once by read, but only with data there by recv. */
    if (fd_use_is(use, FD_SOCKET) && bytes->n > 0)
        return fd_use_run(use, EV_READ, bytes->n, try_recv, bytes);
    return fd_use_run(use, EV_READ, bytes->n, try_read, bytes);
}

static ssize_t write_some(struct fd_use *use, const struct bytes *bytes)
{
    /* A socket's SIGPIPE would end a process for one peer's going away. */
    if (fd_use_is(use, FD_SOCKET))
        return fd_use_run(use, EV_WRITE, 0, try_send, bytes);
    return fd_use_run(use, EV_WRITE, 0, try_write, bytes);
}

ssize_t grove_read(int fd, void *buffer, size_t n, double timeout)
{
    const struct bytes bytes = {buffer, n, MSG_DONTWAIT};
    struct fd_use use;

    if (UNLIKELY(fd_use_begin(&use, fd, timeout) < 0))
        return -1;
    return read_some(&use, &bytes);
}

ssize_t grove_write(int fd, const void *buffer, size_t n, double timeout)
{
    const struct bytes bytes = {(void *)buffer, n, SEND_FLAGS};
    struct fd_use use;

    if (UNLIKELY(fd_use_begin(&use, fd, timeout) < 0))
        return -1;
    return write_some(&use, &bytes);
}

ssize_t grove_readv(int fd, const struct iovec *parts, int count, double timeout)
{
    const struct vector vector = {parts, count};
    struct fd_use use;

    if (count < 0)
        return answer(EINVAL);
    if (fd_use_begin(&use, fd, timeout) < 0)
        return -1;
    return fd_use_run(
        &use, EV_READ, vector_size(parts, (size_t)count), try_readv, &vector);
}

ssize_t grove_writev(int fd, const struct iovec *parts, int count, double timeout)
{
    const struct vector vector = {parts, count};
    struct msghdr message = {
        .msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    const struct packed packed = {&message, SEND_FLAGS};
    struct fd_use use;

    if (count < 0)
        return answer(EINVAL);
    if (fd_use_begin(&use, fd, timeout) < 0)
        return -1;
    if (fd_use_is(&use, FD_SOCKET))
        return fd_use_run(&use, EV_WRITE, 0, try_sendmsg, &packed);
    return fd_use_run(&use, EV_WRITE, 0, try_writev, &vector);
}

int grove_read_exact(int fd, void *buffer, size_t n, double timeout)
{
    struct bytes bytes = {buffer, n, MSG_DONTWAIT};
    struct fd_use use;

    if (UNLIKELY(fd_use_begin(&use, fd, timeout) < 0))
        return -1;
    while (bytes.n > 0) {
        ssize_t got = read_some(&use, &bytes);
        if (got < 0)
            return -1;
        if (got == 0)
            return answer(EPIPE);
        bytes.buffer = (char *)bytes.buffer + got;
        bytes.n -= (size_t)got;
    }
    return 0;
}

int grove_write_all(int fd, const void *buffer, size_t n, double timeout)
{
    struct bytes bytes = {(void *)buffer, n, SEND_FLAGS};
    struct fd_use use;

    if (UNLIKELY(fd_use_begin(&use, fd, timeout) < 0))
        return -1;
    while (bytes.n > 0) {
        ssize_t put = write_some(&use, &bytes);
        if (put < 0)
            return -1;
        bytes.buffer = (char *)bytes.buffer + put;
        bytes.n -= (size_t)put;
    }
    return 0;
}

ssize_t grove_recv(int fd, void *buffer, size_t n, int flags, double timeout)
{
    const struct bytes bytes = {buffer, n, flags | MSG_DONTWAIT};
    struct fd_use use;

    if (fd_use_begin(&use, fd, limit(flags, timeout)) < 0)
        return -1;
    return fd_use_run(&use, EV_READ, wanted(n, flags), try_recv, &bytes);
}

ssize_t grove_send(int fd, const void *buffer, size_t n, int flags, double timeout)
{
    const struct bytes bytes = {(void *)buffer, n, flags | SEND_FLAGS};
    struct fd_use use;

    if (fd_use_begin(&use, fd, limit(flags, timeout)) < 0)
        return -1;
    return fd_use_run(&use, EV_WRITE, 0, try_send, &bytes);
}

ssize_t grove_recvfrom(int fd, void *buffer, size_t n, int flags,
    struct sockaddr *address, socklen_t *length, double timeout)
{
    const struct addressed from = {{buffer, n, flags | MSG_DONTWAIT}, address, length};
    struct fd_use use;

    if (fd_use_begin(&use, fd, limit(flags, timeout)) < 0)
        return -1;
    return fd_use_run(&use, EV_READ, wanted(n, flags), try_recvfrom, &from);
}

ssize_t grove_sendto(int fd, const void *buffer, size_t n, int flags,
    const struct sockaddr *address, socklen_t length, double timeout)
{
    const struct addressed to = {
        {(void *)buffer, n, flags | SEND_FLAGS}, (struct sockaddr *)address, &length};
    struct fd_use use;

    if (fd_use_begin(&use, fd, limit(flags, timeout)) < 0)
        return -1;
    return fd_use_run(&use, EV_WRITE, 0, try_sendto, &to);
}

ssize_t grove_recvmsg(int fd, struct msghdr *message, int flags, double timeout)
{
    const struct packed packed = {message, flags | MSG_DONTWAIT};
    struct fd_use use;

    if (fd_use_begin(&use, fd, limit(flags, timeout)) < 0)
        return -1;
    size_t n = vector_size(message->msg_iov, message->msg_iovlen);
    return fd_use_run(&use, EV_READ, wanted(n, flags), try_recvmsg, &packed);
}

ssize_t grove_sendmsg(int fd, const struct msghdr *message, int flags, double timeout)
{
    const struct packed packed = {(struct msghdr *)message, flags | SEND_FLAGS};
    struct fd_use use;

    if (fd_use_begin(&use, fd, limit(flags, timeout)) < 0)
        return -1;
    return fd_use_run(&use, EV_WRITE, 0, try_sendmsg, &packed);
}
