/* SPDX-License-Identifier: MIT */
/* Greenlets of one thread need a lock for what they do across a switch, and only for
 * that. */
#include <stdio.h>

#include <grove.h>

#define GREENLETS 10

static grove_lock_t lock = GROVE_LOCK_INIT;
static int plain, unlocked, locked;

/* No switch between the reading and the writing: nobody comes in between. */
static void *count_plain(void *arg)
{
    plain++;
    grove_yield();
    return arg;
}

/* The yield stands for any call that may switch. */
static void *count_unlocked(void *arg)
{
    int before = unlocked;

    grove_yield();
    unlocked = before + 1;
    return arg;
}

static void *count_locked(void *arg)
{
    if (grove_lock_acquire(&lock, GROVE_FOREVER) < 0)
        return NULL; /* killed while it waited: we don't have it */
    int before = locked;
    grove_yield();
    locked = before + 1;
    grove_lock_release(&lock);
    return arg;
}

static void run(grove_fn count)
{
    grove_t *all[GREENLETS];

    for (int i = 0; i < GREENLETS; i++)
        all[i] = grove_spawn(count, NULL);
    for (int i = 0; i < GREENLETS; i++)
        grove_await(all[i]);
}

int main(void)
{
    run(count_plain);
    run(count_unlocked);
    run(count_locked);
    printf("without a switch: %d\n", plain);
    printf("across a switch: %d\n", unlocked);
    printf("across a switch, with a lock: %d\n", locked);
}
