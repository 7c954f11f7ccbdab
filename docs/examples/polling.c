/* SPDX-License-Identifier: MIT */
/* Two greenlets wait for input that never comes; a third has the thread meanwhile. */
#include <stdio.h>
#include <unistd.h>

#include <grove.h>

static double began;
static int silent[2]; /* a pipe that nobody writes to */

static void *watch(void *name)
{
    struct pollfd input = {.fd = silent[0], .events = POLLIN};

    printf("%s begins to poll at %.1f s\n", (char *)name, grove_now() - began);
    int ready = grove_poll(&input, 1, 0.2);
    printf("%s ends at %.1f s, %d ready\n", (char *)name, grove_now() - began, ready);
    return NULL;
}

static void *work(void *arg)
{
    printf("others work at %.1f s\n", grove_now() - began);
    grove_sleep(0.1);
    printf("others work at %.1f s\n", grove_now() - began);
    return arg;
}

int main(void)
{
    if (grove_init(NULL) < 0 || pipe(silent) < 0) {
        perror("polling");
        return 1;
    }
    began = grove_now();
    grove_t *all[] = {
        grove_spawn(watch, "first"),
        grove_spawn(watch, "second"),
        grove_spawn(work, NULL),
    };
    grove_joinall(all, 3, GROVE_FOREVER);
    for (int i = 0; i < 3; i++)
        grove_release(all[i]);
    grove_close(silent[0]);
    grove_close(silent[1]);
}
