/* SPDX-License-Identifier: MIT */
/* A hundred thousand parallel greenlets spawned, then all of them awaited. */
#include "bench.h"

enum { SPAWNS = 100000 };

static void *nothing(void *arg)
{
    return arg;
}

static double measure(void)
{
    static grove_t *all[SPAWNS];
    double start = bench_now();

    for (int i = 0; i < SPAWNS; i++)
        all[i] = bench_check(grove_go(nothing, NULL));
    for (int i = 0; i < SPAWNS; i++)
        grove_await(all[i]);
    return (bench_now() - start) / SPAWNS;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 11);

    bench_report("spawn_many", "ns", bench_median(measure, repetitions));
    return 0;
}
