/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include "io/address.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/fd_life.h"

static int error_of(int failure)
{
    switch (failure) {
    case EAI_SYSTEM:
        return errno;
    case EAI_MEMORY:
        return ENOMEM;
    case EAI_AGAIN:
        return EAGAIN;
    case EAI_SERVICE:
    case EAI_FAMILY:
    case EAI_SOCKTYPE:
    case EAI_BADFLAGS:
        return EINVAL;
    default:
        return ENOENT;
    }
}

bool address_is_any(const char *host)
{
    return !host || !*host || strcmp(host, "*") == 0;
}

/* A name of a service, or a number that fits: getaddrinfo takes the lower 16 bits of
 * any number, and the empty name for 0. */
static bool port_valid(const char *port)
{
    char *end;

    if (!port || *port == '\0')
        return false;
    unsigned long number = strtoul(port, &end, 10);
    return *end != '\0' || number <= UINT16_MAX;
}

struct addrinfo *address_resolve(
    const char *host, const char *port, int family, int type, int flags)
{
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = type, .ai_flags = flags};
    struct addrinfo *found;

    if (!port_valid(port)) {
        errno = EINVAL;
        return NULL;
    }
    if (address_is_any(host))
        host = NULL;
    /* Without files and name servers: there is no machine on which it means anything
     * else. No host and no AI_PASSIVE is both loopback addresses. */
    if (host && strcmp(host, "localhost") == 0)
        host = flags & AI_PASSIVE ? "127.0.0.1" : NULL;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure) {
        errno = error_of(failure);
        return NULL;
    }
    return found;
}

int address_socket(int family, int type, int protocol)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

    if (fd < 0)
        return -1;
    if (!fd_life_begin(fd, FD_SOCKET | (type == SOCK_STREAM ? FD_STREAM : 0))) {
        close(fd);
        errno = ENOMEM;
        return -1;
    }
    return fd;
}
