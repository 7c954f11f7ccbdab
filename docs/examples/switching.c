/* SPDX-License-Identifier: MIT */
/* Two greenlets of one thread take turns; each switch is a call that one can see. */
#include <stdio.h>

#include <grove.h>

static void *left(void *arg)
{
    puts("left, first half");
    grove_yield(); /* everything else that is ready runs first */
    puts("left, second half");
    return arg;
}

static void *right(void *arg)
{
    puts("right, first half");
    grove_yield();
    puts("right, second half");
    return arg;
}

int main(void)
{
    grove_t *both[] = {grove_spawn(left, NULL), grove_spawn(right, NULL)};

    puts("both are spawned, neither has run");
    grove_joinall(both, 2, GROVE_FOREVER);
    puts("both have ended");
    grove_release(both[0]);
    grove_release(both[1]);
}
