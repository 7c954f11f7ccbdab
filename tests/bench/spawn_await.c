/* SPDX-License-Identifier: MIT */
/* Spawn one greenlet and wait for it, over and over. */
#include "bench.h"

enum { SPAWNS = 1000000 };

static void *nothing(void *arg)
{
    return arg;
}

static double measure(void)
{
    double start = bench_now();

    for (int i = 0; i < SPAWNS; i++)
        grove_await(bench_check(grove_spawn(nothing, NULL)));
    return (bench_now() - start) / SPAWNS;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    bench_report("spawn_await", "ns", bench_median(measure, repetitions));
    return 0;
}
