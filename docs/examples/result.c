/* SPDX-License-Identifier: MIT */
/* A result: an event with a value, or with an error. */
#include <stdio.h>
#include <string.h>

#include <grove.h>

static grove_result_t address = GROVE_RESULT_INIT;
static grove_result_t route = GROVE_RESULT_INIT;

static void *resolve(void *arg)
{
    grove_sleep(0.1);
    grove_result_set(&address, "192.0.2.7");
    grove_result_fail(&route, ENETUNREACH, "no route from here");
    return arg;
}

static void *connect_to_it(void *name)
{
    void *value;

    if (grove_result_get(&address, GROVE_FOREVER, &value) == 0)
        printf("%s: the address is %s\n", (char *)name, (char *)value);
    if (grove_result_get(&route, GROVE_FOREVER, &value) < 0)
        printf("%s: %s: %s\n", (char *)name, strerror(errno),
            grove_result_error_text(&route));
    return NULL;
}

int main(void)
{
    grove_t *all[] = {
        grove_spawn(connect_to_it, "one"),
        grove_spawn(connect_to_it, "two"),
        grove_spawn(resolve, NULL),
    };

    if (grove_result_get(&address, 0.01, NULL) < 0 && !grove_result_ready(&address))
        puts("not yet");
    grove_joinall(all, 3, GROVE_FOREVER);
    for (int i = 0; i < 3; i++)
        grove_release(all[i]);
    grove_result_destroy(&route); /* frees the text of the error */
}
