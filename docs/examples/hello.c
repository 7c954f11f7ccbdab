/* SPDX-License-Identifier: MIT */
/* The example of the README: work on every core, a greenlet that ticks beside it. */
#include <stdio.h>

#include <grove.h>

static void *fib(void *arg)
{
    long n = (long)arg;
    if (n < 2)
        return (void *)n;
    grove_t *left = grove_go(fib, (void *)(n - 1)); /* any core may take it */
    long right = (long)fib((void *)(n - 2));
    return (void *)((long)grove_await(left) + right);
}

static void *tick(void *arg)
{
    for (int i = 1; i <= 3; i++) {
        grove_sleep(0.1); /* everything else goes on meanwhile */
        printf("tick %d\n", i);
    }
    return arg;
}

int main(void)
{
    grove_t *ticking = grove_spawn(tick, NULL);
    printf("fib(25) = %ld\n", (long)grove_await(grove_go(fib, (void *)25)));
    grove_await(ticking);
}
