/* SPDX-License-Identifier: MIT */
#ifndef IO_NET_H
#define IO_NET_H

#include <stdbool.h>

/* grove_tcp_listen; [reuse_port] sets SO_REUSEPORT. */
int net_listen(const char *host, const char *port, int backlog, bool reuse_port);

#endif
