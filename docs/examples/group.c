/* SPDX-License-Identifier: MIT */
/* A group: greenlets that are waited for together. */
#include <stdio.h>

#include <grove.h>

static void *talk(void *text)
{
    for (int i = 0; i < 2; i++) {
        printf("%s (one of %s)\n", grove_name(grove_current()), (char *)text);
        grove_yield();
    }
    return NULL;
}

int main(void)
{
    grove_group_t *group = grove_group_new();

    if (!group)
        return 1;
    for (int i = 0; i < 2; i++) {
        grove_attr_t attr = {.name = i ? "fish" : "bird"};
        grove_t *g = grove_spawn_with(&attr, talk, "several animals");
        grove_group_add(group, g, GROVE_FOREVER);
        grove_release(g); /* the group has its own reference */
    }
    grove_t *stone = grove_group_spawn(group, talk, "no animals");
    printf("%zu members\n", grove_group_size(group));
    grove_kill(stone, GROVE_FOREVER); /* before it could run */
    grove_release(stone);
    grove_group_join(group, GROVE_FOREVER);
    printf("%zu members\n", grove_group_size(group));
    grove_group_free(group);
}
