/* SPDX-License-Identifier: MIT */
/* A pool of connections: no more than two are served, and all end together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

static grove_group_t *connections;

/* Answers each message in capitals until its peer, or the pool, has had enough. */
static void *serve(void *arg)
{
    int fd = (int)(long)arg;
    char text[64];
    ssize_t n;

    while ((n = grove_read(fd, text, sizeof text, GROVE_FOREVER)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            text[i] -= text[i] >= 'a' && text[i] <= 'z' ? 'a' - 'A' : 0;
        grove_write_all(fd, text, (size_t)n, GROVE_FOREVER);
    }
    printf("a connection ends: %s\n", n == 0 ? "closed by its peer" : strerror(errno));
    grove_close(fd);
    return NULL;
}

/* Returns the client's end, or -1 with EAGAIN when the pool is full. */
static int open_connection(void)
{
    int ends[2];

    if (grove_group_full(connections)) {
        errno = EAGAIN;
        return -1;
    }
    if (grove_socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return -1;
    grove_release(grove_group_spawn(connections, serve, (void *)(long)ends[1]));
    return ends[0];
}

static void ask(int fd, const char *question)
{
    char answer[64];

    if (grove_write_all(fd, question, strlen(question), 1.0) == 0 &&
        grove_read_exact(fd, answer, strlen(question), 1.0) == 0)
        printf("%s? %.*s!\n", question, (int)strlen(question), answer);
}

int main(void)
{
    connections = grove_pool_new(2);
    if (!connections)
        return 1;
    int first = open_connection(), second = open_connection();
    if (open_connection() < 0)
        printf("a third one: %s\n", strerror(errno));
    ask(first, "red");
    ask(second, "blue");
    grove_close(first);
    grove_group_wait_available(connections, GROVE_FOREVER);
    int third = open_connection();
    ask(third, "green");
    grove_group_kill(connections, GROVE_FOREVER);
    grove_close(second);
    grove_close(third);
    grove_group_free(connections);
}
