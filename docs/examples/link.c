/* SPDX-License-Identifier: MIT */
/* A link: a function that is called when a greenlet ends. */
#include <stdio.h>

#include <grove.h>

static grove_event_t all_ended = GROVE_EVENT_INIT;
static int running = 3;

/* Links run between greenlets, so they must not wait: they hand on what there is. */
static void count_end(grove_t *g, void *arg)
{
    (void)arg;
    printf("%s has ended with %ld\n", grove_name(g), (long)grove_value(g));
    if (grove_sleep(0.1) < 0 && errno == EDEADLK && running == 3)
        puts("(no sleep in here)");
    if (--running == 0)
        grove_event_set(&all_ended);
}

static void *work(void *arg)
{
    grove_sleep((double)(long)arg / 100);
    return arg;
}

int main(void)
{
    static const char *const names[] = {"slow", "medium", "quick"};

    for (long i = 0; i < 3; i++) {
        grove_attr_t attr = {.name = names[i]};
        grove_t *g = grove_spawn_with(&attr, work, (void *)(3 - i));
        grove_link(g, count_end, NULL);
        grove_release(g);
    }
    grove_event_wait(&all_ended, GROVE_FOREVER);
    puts("all have ended");
}
