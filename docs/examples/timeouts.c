/* SPDX-License-Identifier: MIT */
/* The three forms of a timeout. */
#include <stdio.h>

#include <grove.h>

static void *wait_long(void *arg)
{
    return grove_sleep(10) == 0 ? "slept" : arg;
}

/* The time that one call may take. */
static void of_a_call(void)
{
    grove_t *g = grove_spawn(wait_long, NULL);

    if (grove_join(g, 0.1) < 0 && errno == ETIMEDOUT)
        puts("the join timed out; what it waited for goes on");
    grove_kill(g, GROVE_FOREVER);
    grove_release(g);
}

/* The time that a function may take. */
static void of_a_function(void)
{
    void *value = "nothing";

    if (grove_with_timeout(0.1, wait_long, NULL, &value) < 0 && errno == ETIMEDOUT)
        printf("the function timed out and gave %s\n", (char *)value);
}

/* The time that a block of code may take, here within another one. */
static void of_a_block(void)
{
    grove_timeout_t whole, part;

    grove_timeout_start(&whole, 0.1);
    grove_timeout_start(&part, 5);
    while (grove_sleep(0.01) == 0)
        ; /* any number of blocking calls */
    printf("the part fired: %d, the whole fired: %d\n", grove_timeout_fired(&part),
        grove_timeout_fired(&whole));
    grove_timeout_stop(&part);
    if (grove_timeout_stop(&whole))
        puts("the block timed out");
    if (grove_sleep(0.01) == 0)
        puts("and that is over");
}

int main(void)
{
    of_a_call();
    of_a_function();
    of_a_block();
}
