/* SPDX-License-Identifier: MIT */
/*
 * A million greenlets asleep for a second: wall time from the first spawn to the last
 * await, and resident memory for each while all of them sleep.
 */
#include "bench.h"
#include "memory.h"

#include <stdatomic.h>

enum { GREENLETS = 1000000 };

static double seconds;
static atomic_int asleep, awake;
static double resident; /* when the last fell asleep; 0 when some had woken before */

static void *sleeper(void *arg)
{
    if (atomic_fetch_add_explicit(&asleep, 1, memory_order_relaxed) == GREENLETS - 1)
        resident = atomic_load_explicit(&awake, memory_order_relaxed) == 0
                       ? memory_resident()
                       : 0;
    if (grove_sleep(seconds) != 0)
        bench_fail("grove_sleep");
    atomic_fetch_add_explicit(&awake, 1, memory_order_relaxed);
    return arg;
}

static double measure(grove_t **all)
{
    double start = bench_now();

    atomic_store_explicit(&asleep, 0, memory_order_relaxed);
    atomic_store_explicit(&awake, 0, memory_order_relaxed);
    for (int i = 0; i < GREENLETS; i++)
        all[i] = bench_check(grove_go(sleeper, NULL));
    for (int i = 0; i < GREENLETS; i++)
        grove_await(all[i]);
    return (bench_now() - start) / 1e9;
}

int main(void)
{
    grove_t **all = malloc(GREENLETS * sizeof *all);

    if (!all)
        bench_fail("malloc");
    memset(all, 1, GREENLETS * sizeof *all); /* resident before the count begins */
    if (grove_init(NULL) != 0)
        return 1;
    double before = memory_resident();
    seconds = 1;
    bench_report("asleep", "s", measure(all));
    /* Memory counts only when all slept at once: longer naps until they do. */
    for (seconds = 2; resident == 0 && seconds <= 16; seconds *= 2)
        measure(all);
    if (resident > 0)
        bench_report("asleep_memory", "bytes", (resident - before) / GREENLETS);
    free(all);
    return 0;
}
