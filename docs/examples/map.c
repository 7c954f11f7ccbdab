/* SPDX-License-Identifier: MIT */
/* One function over many items, by the members of a pool. */
#include <stdio.h>

#include <grove.h>

#define ITEMS 6

/* Odd numbers are quick. */
static void *square(void *arg)
{
    long n = (long)arg;

    grove_sleep(n % 2 ? 0.02 : 0.05);
    return (void *)(n * n);
}

static void show(const char *title, grove_iter_t *iter)
{
    void *value;

    printf("%s:", title);
    while (grove_iter_next(iter, GROVE_FOREVER, &value) == 1)
        printf(" %ld", (long)value);
    putchar('\n');
    grove_iter_free(iter);
}

int main(void)
{
    grove_group_t *pool = grove_pool_new(3);
    void *in[ITEMS], *out[ITEMS];

    if (!pool)
        return 1;
    for (long i = 0; i < ITEMS; i++)
        in[i] = (void *)i;
    if (grove_group_map(pool, square, in, out, ITEMS) < 0)
        return 1;
    printf("map:");
    for (int i = 0; i < ITEMS; i++)
        printf(" %ld", (long)out[i]);
    putchar('\n');
    show("imap", grove_group_imap(pool, square, in, ITEMS));
    show("unordered", grove_group_imap_unordered(pool, square, in, ITEMS));
    grove_group_free(pool);
}
