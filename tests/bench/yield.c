/* SPDX-License-Identifier: MIT */
/* The switch: two greenlets, then ten thousand, that do nothing but yield. */
#include "bench.h"

enum { MANY = 10000, SWITCHES = 4000000 };

static int greenlets;

static void *yielder(void *arg)
{
    (void)arg;
    for (int i = SWITCHES / greenlets; i > 0; i--)
        grove_yield();
    return NULL;
}

static double measure(void)
{
    static grove_t *all[MANY];
    double start = bench_now();

    for (int i = 0; i < greenlets; i++)
        all[i] = bench_check(grove_spawn(yielder, NULL));
    for (int i = 0; i < greenlets; i++)
        grove_await(all[i]);
    return (bench_now() - start) / SWITCHES;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    greenlets = 2;
    bench_report("yield2", "ns", bench_median(measure, repetitions));
    greenlets = MANY;
    bench_report("yield10000", "ns", bench_median(measure, repetitions));
    return 0;
}
