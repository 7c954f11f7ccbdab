/* SPDX-License-Identifier: MIT */
/* Waiting for the first of several things; exactly one of them happens. */
#include <stdio.h>

#include <grove.h>

static grove_queue_t *requests;
static grove_event_t stop = GROVE_EVENT_INIT;

static void *client(void *arg)
{
    grove_queue_put(requests, "first request", GROVE_FOREVER);
    grove_sleep(0.05);
    grove_queue_put(requests, "second request", GROVE_FOREVER);
    grove_sleep(0.15);
    grove_event_set(&stop);
    return arg;
}

static void *serve(void *arg)
{
    for (;;) {
        grove_case_t cases[] = {
            grove_case_get(requests),
            grove_case_event(&stop),
            grove_case_timer(0.1),
        };
        switch (grove_select(cases, 3, GROVE_FOREVER)) {
        case 0:
            printf("%s\n", (char *)cases[0].item);
            break;
        case 1:
            puts("stopped");
            return arg;
        case 2:
            puts("nothing to do for a while");
            break;
        default: /* killed, or no memory */
            return NULL;
        }
    }
}

int main(void)
{
    requests = grove_queue_new(GROVE_CHANNEL, 0);
    if (!requests)
        return 1;
    grove_t *serving = grove_spawn(serve, NULL);
    grove_await(grove_spawn(client, NULL));
    grove_await(serving);
    grove_queue_free(requests);
}
