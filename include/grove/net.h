/* SPDX-License-Identifier: MIT */
/*
 * Sockets by name. All descriptors made here are non-blocking and close-on-exec, and
 * TCP ones send small pieces at once (TCP_NODELAY). Close them with grove_close.
 *
 * A host is an IPv4 or IPv6 address, "localhost", or a name. A name is looked up with
 * getaddrinfo, which blocks the calling thread with all its greenlets and doesn't see
 * the timeout. A port is a number or a service's name.
 *
 * Errors, besides those of the system calls: ENOENT no such host; EINVAL no such
 * service, or a bad address; EAGAIN no name server answers; ENOMEM. May be called from
 * any thread, not from hub callbacks unless said, from no signal handler.
 */
#ifndef GROVE_NET_H
#define GROVE_NET_H

#include <grove/io.h>

GROVE_BEGIN

/*
 * A socket that listens. Host NULL, "" or "*": any address, IPv6 and IPv4 in one
 * socket, or IPv4 alone where there is no IPv6. Port "0": a free one. The address may
 * be in use by connections of an earlier server (SO_REUSEADDR). backlog <= 0:
 * SOMAXCONN. Never switches.
 */
GROVE_API int grove_tcp_listen(const char *host, const char *port, int backlog);

/* Connects to the first of the host's addresses that answers, all within one timeout;
 * the error is that of the last one tried. May switch unless the timeout is 0, with
 * which it fails with EINPROGRESS. */
GROVE_API int grove_tcp_connect(const char *host, const char *port, double timeout);

/* A UDP socket at that address (host as with grove_tcp_listen). Never switches. */
GROVE_API int grove_udp_bind(const char *host, const char *port);

/* A UDP socket whose peer is that address. Never switches. */
GROVE_API int grove_udp_connect(const char *host, const char *port);

/* A unix stream socket that listens at [path], which must not exist (EADDRINUSE). A
 * path that begins with '@' is an abstract name. ENAMETOOLONG: over 107 bytes. Never
 * switches. */
GROVE_API int grove_unix_listen(const char *path, int backlog);

/* A unix stream socket connected to the one that listens at [path]. May switch. */
GROVE_API int grove_unix_connect(const char *path, double timeout);

/* As socketpair(2). Never switches; any context but signal handlers. */
GROVE_API int grove_socketpair(int domain, int type, int protocol, int fds[2]);

GROVE_END

#endif
