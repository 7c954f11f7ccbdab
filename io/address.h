/* SPDX-License-Identifier: MIT */
#ifndef IO_ADDRESS_H
#define IO_ADDRESS_H

/* Names to socket addresses. */

#include <netdb.h>
#include <stdbool.h>

/* Whether [host] stands for any address of this machine. */
bool address_is_any(const char *host);

/* The addresses of [host] (NULL: any, or with AI_PASSIVE not in flags, this machine)
 * and [port], freed by freeaddrinfo. NULL with errno. */
struct addrinfo *address_resolve(
    const char *host, const char *port, int family, int type, int flags);

/* A socket made with the flags that all of ours have. -1 with errno. */
int address_socket(int family, int type, int protocol);

#endif
