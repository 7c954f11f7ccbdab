/* SPDX-License-Identifier: MIT */
/* A call that blocks its thread goes to a native thread; the greenlets go on. */
#include <stdio.h>
#include <unistd.h>

#include <grove.h>

static int ends[2];
static char text[64];

/* The plain read of the C library: on a worker it would stop everything there. */
static void *read_natively(void *arg)
{
    (void)arg;
    return read(ends[0], text, sizeof text - 1) > 0 ? text : NULL;
}

static void *write_something(void *arg)
{
    puts("this greenlet runs while the other one's read blocks");
    if (write(ends[1], "good news", 9) < 0)
        perror("write");
    return arg;
}

int main(void)
{
    void *value = NULL;

    if (pipe(ends) < 0)
        return 1;
    grove_t *writer = grove_spawn(write_something, NULL);
    if (grove_offload(read_natively, NULL, GROVE_FOREVER, &value) == 0 && value)
        printf("read: %s\n", (char *)value);
    grove_await(writer);
    close(ends[0]);
    close(ends[1]);
}
