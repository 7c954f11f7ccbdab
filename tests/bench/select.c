/* SPDX-License-Identifier: MIT */
/*
 * A select over eight channels: with an item in one of them, and with none, so that it
 * waits for another greenlet to put one.
 */
#include "bench.h"

enum { CHANNELS = 8, SELECTS = 500000 };

static grove_queue_t *channel[CHANNELS];
static grove_case_t cases[CHANNELS];

static void put(int i)
{
    if (grove_queue_put(channel[i % CHANNELS], &cases[0], GROVE_FOREVER) != 0)
        bench_fail("grove_queue_put");
}

static void select_one(int i)
{
    if (grove_select(cases, CHANNELS, GROVE_FOREVER) != i % CHANNELS)
        bench_fail("grove_select");
}

static double measure_ready(void)
{
    double start = bench_now();

    for (int i = 0; i < SELECTS; i++) {
        put(i);
        select_one(i);
    }
    return (bench_now() - start) / SELECTS;
}

static void *put_all(void *arg)
{
    for (int i = 0; i < SELECTS; i++)
        put(i);
    return arg;
}

static double measure_waiting(void)
{
    double start = bench_now();
    grove_t *putter = bench_check(grove_spawn(put_all, NULL));

    for (int i = 0; i < SELECTS; i++)
        select_one(i);
    grove_await(putter);
    return (bench_now() - start) / SELECTS;
}

static void make_channels(grove_queue_kind kind, size_t size)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (!(channel[i] = grove_queue_new(kind, size)))
            bench_fail("grove_queue_new");
        cases[i] = grove_case_get(channel[i]);
    }
}

static void free_channels(void)
{
    for (int i = 0; i < CHANNELS; i++)
        grove_queue_free(channel[i]);
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    make_channels(GROVE_FIFO, 1);
    bench_report("select_ready", "ns", bench_median(measure_ready, repetitions));
    free_channels();
    make_channels(GROVE_CHANNEL, 0);
    bench_report("select_waiting", "ns", bench_median(measure_waiting, repetitions));
    free_channels();
    return 0;
}
