/* SPDX-License-Identifier: MIT */
/* An event: many wait, one says go. */
#include <stdio.h>

#include <grove.h>

static grove_event_t ready = GROVE_EVENT_INIT;

static void *wait_for_it(void *name)
{
    printf("%s waits\n", (char *)name);
    if (grove_event_wait(&ready, GROVE_FOREVER) == 0)
        printf("%s goes on\n", (char *)name);
    return NULL;
}

static void *prepare(void *arg)
{
    puts("preparing");
    grove_sleep(0.1);
    grove_event_set(&ready); /* wakes all; nobody runs before we block or end */
    puts("ready");
    return arg;
}

int main(void)
{
    grove_t *all[] = {
        grove_spawn(wait_for_it, "one"),
        grove_spawn(wait_for_it, "two"),
        grove_spawn(prepare, NULL),
    };

    grove_joinall(all, 3, GROVE_FOREVER);
    for (int i = 0; i < 3; i++)
        grove_release(all[i]);
    if (grove_event_wait(&ready, GROVE_FOREVER) == 0)
        puts("it stays set: later waits return at once");
}
