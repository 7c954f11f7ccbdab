/* SPDX-License-Identifier: MIT */
/* A queue with room for three: the boss waits for the workers, and they for the boss.
 */
#include <stdio.h>

#include <grove.h>

static grove_queue_t *tasks;

static void *boss(void *arg)
{
    for (long task = 1; task <= 9; task++) {
        if (grove_queue_full(tasks))
            printf("boss: waits to put task %ld\n", task);
        grove_queue_put(tasks, (void *)task, GROVE_FOREVER);
    }
    puts("boss: that was all");
    grove_queue_close(tasks); /* gets take what is left, and then fail */
    return arg;
}

static void *work(void *name)
{
    void *task;

    while (grove_queue_get(tasks, 1.0, &task) == 0) {
        printf("%s does task %ld\n", (char *)name, (long)task);
        grove_sleep(0.01);
    }
    printf("%s: %s\n", (char *)name,
        errno == EPIPE ? "no more will come" : "waited for a second in vain");
    return NULL;
}

int main(void)
{
    tasks = grove_queue_new(GROVE_FIFO, 3);
    if (!tasks)
        return 1;
    grove_t *all[] = {
        grove_spawn(boss, NULL),
        grove_spawn(work, "Ada"),
        grove_spawn(work, "Bo"),
    };
    grove_joinall(all, 3, GROVE_FOREVER);
    for (int i = 0; i < 3; i++)
        grove_release(all[i]);
    grove_queue_free(tasks);
}
