/* SPDX-License-Identifier: MIT */
/*
 * The floor under any echo server: one thread, one level-triggered epoll loop, one read
 * and one write to a request. Prints its port; serves until killed.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256 };

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        perror("epoll_ctl");
        exit(1);
    }
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("listen");
        exit(1);
    }
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void echo(int fd)
{
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);

    /* A short write cannot happen: no client has more than 64 bytes under way. */
    if (n <= 0 || write(fd, buffer, (size_t)n) != n)
        close(fd);
}

int main(void)
{
    struct epoll_event ready[EVENTS];
    int epoll = epoll_create1(0), listener = listen_on_loopback();

    watch(epoll, listener);
    for (;;) {
        int n = epoll_wait(epoll, ready, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd != listener) {
                echo(ready[i].data.fd);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (fd >= 0)
                watch(epoll, fd);
        }
    }
}
