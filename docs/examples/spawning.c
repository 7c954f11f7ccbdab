/* SPDX-License-Identifier: MIT */
/* The ways to make a greenlet. */
#include <stdio.h>

#include <grove.h>

static void *say(void *text)
{
    printf("%s says %s\n", grove_name(grove_current()), (char *)text);
    return NULL;
}

static void *increment(void *number)
{
    return (void *)((long)number + 1);
}

int main(void)
{
    /* On this thread, as soon as it is our turn to wait. */
    grove_t *value = grove_spawn(increment, (void *)41);

    /* On any worker, in parallel to all else. */
    grove_t *parallel = grove_go(increment, (void *)1);

    /* With a name, for reports; with more stack than usual; after a moment. */
    grove_attr_t attr = {.name = "late", .stack_size = 1024 * 1024, .delay = 0.1};
    grove_t *late = grove_spawn_with(&attr, say, "I had to wait");

    /* Made now, started later. */
    grove_attr_t held = {.name = "held", .deferred = true};
    grove_t *deferred = grove_spawn_with(&held, say, "I was started");

    if (!value || !parallel || !late || !deferred) {
        perror("spawning"); /* ENOMEM is all that can go wrong */
        return 1;
    }
    grove_start(deferred);

    /* Fire and forget: nobody is told of its end, and nothing is left to free. */
    grove_release(grove_spawn_with(&(grove_attr_t){.name = "free"}, say, "goodbye"));

    grove_t *both[] = {late, deferred};
    grove_joinall(both, 2, GROVE_FOREVER);
    grove_release(late);
    grove_release(deferred);

    /* Waits, takes the value and drops the reference. */
    printf("spawned: %ld\n", (long)grove_await(value));
    printf("in parallel: %ld\n", (long)grove_await(parallel));
}
