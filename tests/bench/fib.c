/* SPDX-License-Identifier: MIT */
/* fib(30) with a parallel greenlet for one half of every call: 1.35 M spawns. */
#include "bench.h"

#include <stdint.h>

enum { N = 30, VALUE = 832040, SPAWNS = 1346268 };

static void *fib(void *arg)
{
    intptr_t n = (intptr_t)arg;

    if (n < 2)
        return arg;
    grove_t *left = bench_check(grove_go(fib, (void *)(n - 1)));
    intptr_t right = (intptr_t)fib((void *)(n - 2));
    return (void *)((intptr_t)grove_await(left) + right);
}

static double measure(void)
{
    double start = bench_now();

    if ((intptr_t)fib((void *)(intptr_t)N) != VALUE) {
        errno = EPROTO;
        bench_fail("fib: wrong sum");
    }
    return (bench_now() - start) / SPAWNS;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    bench_report("fib", "ns", bench_median(measure, repetitions));
    return 0;
}
