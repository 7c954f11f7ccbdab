/* SPDX-License-Identifier: MIT */
/* A kill is an error of the blocking calls of its target, which cleans up and ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

static void free_buffer(void *buffer)
{
    puts("the buffer is freed");
    free(buffer);
}

static void *serve(void *arg)
{
    char *buffer = malloc(4096);

    if (!buffer || grove_defer(free_buffer, buffer) < 0) {
        free(buffer);
        grove_fail(ENOMEM, "no memory for a buffer");
    }
    while (grove_sleep(0.01) == 0)
        snprintf(buffer, 4096, "work");
    printf("the sleep failed: %s\n", strerror(errno));
    if (grove_sleep(0.01) < 0)
        puts("so does every later call that blocks");
    return arg;
}

static void *never(void *arg)
{
    puts("this is not printed");
    return arg;
}

int main(void)
{
    grove_t *server = grove_spawn(serve, "stopped in time");
    grove_t *late = grove_spawn_later(60, never, NULL);

    grove_sleep(0.05);
    if (grove_kill(server, 1.0) < 0) /* asks, and waits for its end */
        puts("it did not end within a second");
    grove_kill(late, GROVE_FOREVER);
    printf("server: successful %d, value: %s\n", grove_successful(server),
        (char *)grove_value(server));
    printf("late: started %d, killed %d\n", grove_started(late),
        grove_value(late) == GROVE_KILLED);
    grove_release(server);
    grove_release(late);
}
