/* SPDX-License-Identifier: MIT */
/*
 * Skynet: a tree of greenlets, ten children at each node, a million leaves, each leaf
 * giving its number and each node the sum of its children.
 */
#include "bench.h"
#include "memory.h"

#include <stdint.h>

enum { LEAVES = 1000000, CHILDREN = 10 };

struct node {
    intptr_t first; /* number of the leftmost leaf below */
    intptr_t size;  /* leaves below */
};

static void *skynet(void *arg)
{
    const struct node *node = arg;
    struct node child[CHILDREN];
    grove_t *greenlet[CHILDREN];
    intptr_t sum = 0;

    if (node->size == 1)
        return (void *)node->first;
    for (int i = 0; i < CHILDREN; i++) {
        child[i].size = node->size / CHILDREN;
        child[i].first = node->first + i * child[i].size;
        greenlet[i] = bench_check(grove_go(skynet, &child[i]));
    }
    for (int i = 0; i < CHILDREN; i++)
        sum += (intptr_t)grove_await(greenlet[i]);
    return (void *)sum;
}

static double measure(void)
{
    struct node root = {.first = 0, .size = LEAVES};
    double start = bench_now();
    grove_t *top = bench_check(grove_go(skynet, &root));

    if ((intptr_t)grove_await(top) != (intptr_t)LEAVES * (LEAVES - 1) / 2) {
        errno = EPROTO;
        bench_fail("skynet: wrong sum");
    }
    return (bench_now() - start) / 1e6;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    if (grove_init(NULL) != 0)
        return 1;
    double before = memory_resident();
    bench_report("skynet", "ms", bench_median(measure, repetitions));
    bench_report("skynet_memory", "MB", (memory_peak() - before) / 1e6);
    return 0;
}
