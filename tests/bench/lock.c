/* SPDX-License-Identifier: MIT */
/* One lock around one counter: eight greenlets over all workers, then one alone. */
#include "bench.h"

enum { GREENLETS = 8, TURNS = 2000000 };

static grove_lock_t lock = GROVE_LOCK_INIT;
static int greenlets;
static long counter; /* only under [lock] */

static void *count(void *arg)
{
    for (int i = TURNS / greenlets; i > 0; i--) {
        if (grove_lock_acquire(&lock, GROVE_FOREVER) != 0)
            bench_fail("grove_lock_acquire");
        counter++;
        grove_lock_release(&lock);
    }
    return arg;
}

static double measure(void)
{
    grove_t *all[GREENLETS];
    double start = bench_now();

    counter = 0;
    for (int i = 0; i < greenlets; i++)
        all[i] = bench_check(grove_go(count, NULL));
    for (int i = 0; i < greenlets; i++)
        grove_await(all[i]);
    double elapsed = bench_now() - start;
    if (counter != TURNS) {
        errno = EPROTO;
        bench_fail("lock: counts were lost");
    }
    return elapsed / TURNS;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    greenlets = GREENLETS;
    bench_report("lock8", "ns", bench_median(measure, repetitions));
    greenlets = 1;
    bench_report("lock1", "ns", bench_median(measure, repetitions));
    return 0;
}
