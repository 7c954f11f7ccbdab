/* SPDX-License-Identifier: MIT */
/* Greenlets of one thread run in the same order each time, and with a seed in another
 * order that is the same each time. */
#include <stdio.h>
#include <string.h>

#include <grove.h>

#define GREENLETS 10
#define TURNS 3

static char order[GREENLETS * TURNS + 1];
static size_t length;

static void *sign(void *letter)
{
    for (int turn = 0; turn < TURNS; turn++) {
        order[length++] = *(char *)letter;
        grove_yield();
    }
    return NULL;
}

/* The order in which the greenlets took their turns in a runtime of its own. */
static void run(uint64_t seed, char *result)
{
    grove_t *greenlets[GREENLETS];

    length = 0;
    grove_init(&(grove_config_t){.workers = 1, .seed = seed});
    for (int i = 0; i < GREENLETS; i++)
        greenlets[i] = grove_spawn(sign, &"ABCDEFGHIJ"[i]);
    grove_joinall(greenlets, GREENLETS, GROVE_FOREVER);
    for (int i = 0; i < GREENLETS; i++)
        grove_release(greenlets[i]);
    grove_shutdown(GROVE_FOREVER);
    memcpy(result, order, sizeof order);
}

static const char *same(const char *one, const char *other)
{
    return strcmp(one, other) == 0 ? "yes" : "no";
}

int main(void)
{
    char first[sizeof order], second[sizeof order];

    run(0, first);
    run(0, second);
    printf("without a seed: %s\n", first);
    printf("the same again? %s\n", same(first, second));
    run(7, second);
    printf("is seed 7 the same? %s\n", same(first, second));
    run(7, first);
    printf("and seed 7 again? %s\n", same(first, second));
}
