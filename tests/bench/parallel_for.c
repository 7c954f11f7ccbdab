/* SPDX-License-Identifier: MIT */
/* A loop over 10 M elements that computes some 7 ns for each and hardly uses memory,
 * cut up as the library likes. Each step waits for the one before, so that two hardware
 * threads of one core don't compete for its multiplier. */
#include "bench.h"

#include <stdatomic.h>

enum { ELEMENTS = 10000000, ROUNDS = 4 };

static _Atomic(uint64_t) sum;

static uint64_t mix(uint64_t x)
{
    /* Straight code: a short loop is as fast as its address is lucky. */
#pragma GCC unroll 4
    for (int i = 0; i < ROUNDS; i++) {
        x ^= x >> 31;
        x *= 0x9e3779b97f4a7c15u;
    }
    return x;
}

static void body(size_t begin, size_t end, void *arg)
{
    uint64_t own = 0;

    (void)arg;
    for (size_t i = begin; i < end; i++)
        own = mix(own + i);
    atomic_fetch_add_explicit(&sum, own, memory_order_relaxed);
}

static double measure(void)
{
    double start = bench_now();

    if (grove_parallel_for(0, ELEMENTS, 0, body, NULL) < 0)
        bench_fail("parallel_for");
    return (bench_now() - start) / 1e6;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    bench_report("parallel_for", "ms", bench_median(measure, repetitions));
    return sum == 0;
}
