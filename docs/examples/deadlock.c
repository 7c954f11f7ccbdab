/* SPDX-License-Identifier: MIT */
/* Two greenlets take two locks in different orders. Who waits for what is reported on
 * stderr, and the main greenlet's wait fails instead of lasting for ever. */
#include <stdio.h>

#include <grove.h>

static grove_lock_t fork_lock = GROVE_LOCK_INIT, knife_lock = GROVE_LOCK_INIT;

static void *eat(void *arg)
{
    grove_lock_t **locks = arg;

    if (grove_lock_acquire(locks[0], GROVE_FOREVER) < 0)
        return NULL;
    grove_yield(); /* the other one takes its first lock */
    if (grove_lock_acquire(locks[1], GROVE_FOREVER) == 0) {
        puts("this is not printed");
        grove_lock_release(locks[1]);
    }
    grove_lock_release(locks[0]);
    return NULL;
}

int main(void)
{
    grove_lock_t *one_way[] = {&fork_lock, &knife_lock};
    grove_lock_t *other_way[] = {&knife_lock, &fork_lock};
    grove_t *diners[] = {
        grove_spawn_with(&(grove_attr_t){.name = "Ada"}, eat, one_way),
        grove_spawn_with(&(grove_attr_t){.name = "Bo"}, eat, other_way),
    };

    if (grove_joinall(diners, 2, GROVE_FOREVER) < 0 && errno == EDEADLK)
        puts("deadlock");
    grove_killall(diners, 2, GROVE_FOREVER);
    grove_release(diners[0]);
    grove_release(diners[1]);
}
