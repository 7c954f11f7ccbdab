/* SPDX-License-Identifier: MIT */
/* A queue of 128 between four producers and four consumers. */
#include "bench.h"

#include <stdint.h>

enum { CAPACITY = 128, SIDES = 4, ITEMS_EACH = 250000 };

static grove_queue_t *queue;

static void *produce(void *arg)
{
    for (intptr_t i = 1; i <= ITEMS_EACH; i++) {
        if (grove_queue_put(queue, (void *)i, GROVE_FOREVER) != 0)
            bench_fail("grove_queue_put");
    }
    return arg;
}

/* The sum taken: every item must come out once. */
static void *consume(void *arg)
{
    intptr_t sum = 0;

    (void)arg;
    for (int i = 0; i < ITEMS_EACH; i++) {
        void *item;
        if (grove_queue_get(queue, GROVE_FOREVER, &item) != 0)
            bench_fail("grove_queue_get");
        sum += (intptr_t)item;
    }
    return (void *)sum;
}

static double measure(void)
{
    grove_t *producer[SIDES], *consumer[SIDES];
    intptr_t sum = 0;
    double start = bench_now();

    for (int i = 0; i < SIDES; i++) {
        producer[i] = bench_check(grove_go(produce, NULL));
        consumer[i] = bench_check(grove_go(consume, NULL));
    }
    for (int i = 0; i < SIDES; i++) {
        grove_await(producer[i]);
        sum += (intptr_t)grove_await(consumer[i]);
    }
    double elapsed = bench_now() - start;
    if (sum != (intptr_t)SIDES * ITEMS_EACH * (ITEMS_EACH + 1) / 2) {
        errno = EPROTO;
        bench_fail("mpmc: wrong sum");
    }
    return elapsed / (SIDES * ITEMS_EACH);
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    queue = grove_queue_new(GROVE_FIFO, CAPACITY);
    if (!queue)
        bench_fail("grove_queue_new");
    bench_report("mpmc", "ns", bench_median(measure, repetitions));
    grove_queue_free(queue);
    return 0;
}
