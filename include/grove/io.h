/* SPDX-License-Identifier: MIT */
/*
 * Blocking I/O on file descriptors: the POSIX calls plus a timeout. While a greenlet
 * waits, others run.
 *
 * - A descriptor is made non-blocking by its first use here, and so for everybody who
 *   shares it (dup and other processes too: the flag is the open file's).
 * - Close it with grove_close. After a plain close() those who wait for it sleep on,
 *   and waits for the next descriptor of that number may miss what happens to it.
 * - As with threads, a call that begins on one worker while another closes the
 * descriptor may still act on the number, whatever that stands for by then; a call that
 * waits never does.
 * - Any number of greenlets, on any workers, may wait for one descriptor; all are woken
 *   and try, in the order of their calls.
 * - Interruption by signals is never seen.
 * - A plain thread (one that runs no greenlets) waits in the kernel; it isn't woken by
 *   grove_close.
 * - Regular files and other descriptors that never block are read and written at once,
 *   on the calling thread.
 *
 * Unless said otherwise: whole-call timeouts in seconds; 0 tries without blocking and
 * fails with EAGAIN. Errors: those of the POSIX call; ETIMEDOUT; ECANCELED; EBADF
 * closed meanwhile; ENOMEM; EDEADLK; EINVAL timeout not a number. May switch unless the
 * timeout is 0; then callable from hub callbacks too. From no signal handler.
 */
#ifndef GROVE_IO_H
#define GROVE_IO_H

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <grove/base.h>

GROVE_BEGIN

/* What grove_wait_fd waits for; may be combined: then either will do. */
enum { GROVE_READ = 1, GROVE_WRITE = 2 };

/* Up to [n] bytes: what there is, but at least one. 0 at the end of file. */
GROVE_API ssize_t grove_read(int fd, void *buffer, size_t n, double timeout);

/* grove_read into several buffers, as readv(2). */
GROVE_API ssize_t grove_readv(
    int fd, const struct iovec *parts, int count, double timeout);

/*
 * Writes what fits, at least one byte, which may be less than [n]: see grove_write_all.
 * To a socket that the peer has closed: EPIPE without the signal SIGPIPE; to a pipe the
 * signal comes, as POSIX says.
 */
GROVE_API ssize_t grove_write(int fd, const void *buffer, size_t n, double timeout);

/* grove_write from several buffers, as writev(2). */
GROVE_API ssize_t grove_writev(
    int fd, const struct iovec *parts, int count, double timeout);

/* Exactly [n] bytes: 0, or -1; EPIPE: the end came first. What was read before an error
 * is in the buffer. With a timeout of 0: EAGAIN if not all was there. */
GROVE_API int grove_read_exact(int fd, void *buffer, size_t n, double timeout);

/* All [n] bytes: 0, or -1, and then some may have been written. */
GROVE_API int grove_write_all(int fd, const void *buffer, size_t n, double timeout);

/* As recv(2); so are the five that follow of the calls they are named for. MSG_NOSIGNAL
 * is added to sends, and MSG_DONTWAIT is a timeout of 0. */
GROVE_API ssize_t grove_recv(int fd, void *buffer, size_t n, int flags, double timeout);

/* As send(2): may send less than [n] from a stream. EPIPE without a signal. */
GROVE_API ssize_t grove_send(
    int fd, const void *buffer, size_t n, int flags, double timeout);

/* As recvfrom(2): one datagram, and whose it is. */
GROVE_API ssize_t grove_recvfrom(int fd, void *buffer, size_t n, int flags,
    struct sockaddr *address, socklen_t *length, double timeout);

/* As sendto(2): one datagram to that address. */
GROVE_API ssize_t grove_sendto(int fd, const void *buffer, size_t n, int flags,
    const struct sockaddr *address, socklen_t length, double timeout);

/* As recvmsg(2), ancillary data included. */
GROVE_API ssize_t grove_recvmsg(
    int fd, struct msghdr *message, int flags, double timeout);

/* As sendmsg(2), ancillary data included. */
GROVE_API ssize_t grove_sendmsg(
    int fd, const struct msghdr *message, int flags, double timeout);

/* The next connection: a descriptor that is non-blocking and close-on-exec. */
GROVE_API int grove_accept(
    int fd, struct sockaddr *address, socklen_t *length, double timeout);

/* Connects; with a timeout of 0 fails with EINPROGRESS while it goes on. */
GROVE_API int grove_connect(
    int fd, const struct sockaddr *address, socklen_t length, double timeout);

/* Closes. Greenlets that wait for it, on whatever worker, fail with EBADF, even if its
 * number is given out anew at once. Errors: EBADF; EIO, ENOSPC, EDQUOT of files (it is
 * closed all the same). Never switches. */
GROVE_API int grove_close(int fd);

/* Waits until [events] may be done without blocking, or an error or the peer's end is
 * there to be reported. ETIMEDOUT: not now, also with a timeout of 0. */
GROVE_API int grove_wait_fd(int fd, int events, double timeout);

/* As poll(2), with seconds: how many have revents; 0 when the time ran out. Every
 * descriptor must be valid as poll wants it, else POLLNVAL; those closed by grove_close
 * meanwhile too. */
GROVE_API int grove_poll(struct pollfd *fds, nfds_t n, double timeout);

GROVE_END

#endif
