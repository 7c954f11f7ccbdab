/* SPDX-License-Identifier: MIT */
/* A boss puts work into a queue, three workers take it out: each item goes to one. */
#include <stdio.h>

#include <grove.h>

#define TASKS 12

static grove_queue_t *tasks;

static void *boss(void *arg)
{
    for (long task = 1; task <= TASKS; task++)
        grove_queue_put(tasks, (void *)task, GROVE_FOREVER);
    printf("boss: %zu tasks\n", grove_queue_size(tasks));
    return arg;
}

static void *work(void *name)
{
    void *task;

    /* A timeout of 0 never waits: EAGAIN says that there is nothing left. */
    while (grove_queue_get(tasks, 0, &task) == 0) {
        printf("%s does task %ld\n", (char *)name, (long)task);
        grove_yield();
    }
    printf("%s goes home\n", (char *)name);
    return NULL;
}

int main(void)
{
    tasks = grove_queue_new(GROVE_FIFO, 0); /* room for any number */
    if (!tasks)
        return 1;
    grove_await(grove_spawn(boss, NULL));
    grove_t *workers[] = {
        grove_spawn(work, "Ada"),
        grove_spawn(work, "Bo"),
        grove_spawn(work, "Cy"),
    };
    grove_joinall(workers, 3, GROVE_FOREVER);
    for (int i = 0; i < 3; i++)
        grove_release(workers[i]);
    grove_queue_free(tasks);
}
