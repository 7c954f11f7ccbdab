/* SPDX-License-Identifier: MIT */
/* The same ten tasks one after the other, and all at once. */
#include <stdio.h>

#include <grove.h>

#define TASKS 10

/* Stands for a request to a server: each takes a time of its own. */
static void *task(void *arg)
{
    long number = (long)arg;

    grove_sleep(0.02 * (double)(1 + number * 7 % TASKS));
    printf(" %ld", number);
    return NULL;
}

static void synchronous(void)
{
    for (long i = 0; i < TASKS; i++)
        task((void *)i);
}

static void asynchronous(void)
{
    grove_t *tasks[TASKS];

    for (long i = 0; i < TASKS; i++)
        tasks[i] = grove_spawn(task, (void *)i);
    grove_joinall(tasks, TASKS, GROVE_FOREVER);
    for (long i = 0; i < TASKS; i++)
        grove_release(tasks[i]);
}

static void timed(const char *name, void (*run)(void))
{
    double began = grove_now();

    printf("%s:", name);
    run();
    printf(" in %.1f s\n", grove_now() - began);
}

int main(void)
{
    if (grove_init(NULL) < 0)
        return 1;
    timed("synchronous", synchronous);
    timed("asynchronous", asynchronous);
}
