/* SPDX-License-Identifier: MIT */
/* TCP echo server on a free loopback port, which it prints; serves until killed. */
#include "bench.h"

static void echo(int fd, void *arg)
{
    char buffer[4096];
    ssize_t n;

    (void)arg;
    while ((n = grove_read(fd, buffer, sizeof buffer, GROVE_FOREVER)) > 0) {
        if (grove_write_all(fd, buffer, (size_t)n, GROVE_FOREVER) < 0)
            break;
    }
}

int main(void)
{
    grove_server_t *server = grove_server_new("127.0.0.1", "0", echo, NULL);

    if (!server || grove_server_start(server) != 0)
        bench_fail("grove_server_start");
    printf("port %d\n", grove_server_port(server));
    fflush(stdout);
    return grove_server_serve_forever(server) == 0 ? 0 : 1;
}
