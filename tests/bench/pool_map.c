/* SPDX-License-Identifier: MIT */
/*
 * A pool's map, per item. pool_map: a hundred thousand tasks that do nothing, which
 * share a few members. pool_map_yield: tasks that yield, so that as many as the pool
 * has slots run at a time. pool_map_any: tasks that do nothing, over all workers.
 * pool_spawn: the same number of members spawned one by one into a pool, which is what
 * each task would cost as a greenlet of its own.
 */
#include "bench.h"

enum { TASKS = 100000, SLOTS = 100 };

static void *in[TASKS], *out[TASKS];
static grove_group_t *pool;

static void *nothing(void *arg)
{
    return arg;
}

static void *give_way(void *arg)
{
    grove_yield();
    return arg;
}

static double map(grove_fn fn)
{
    double start = bench_now();

    if (grove_group_map(pool, fn, in, out, TASKS) != 0)
        bench_fail("grove_group_map");
    double elapsed = bench_now() - start;
    for (int i = 0; i < TASKS; i++) {
        if (out[i] == in[i])
            continue;
        errno = EPROTO;
        bench_fail("pool_map: a value is not its item's");
    }
    return elapsed / TASKS;
}

static double measure_empty(void)
{
    return map(nothing);
}

static double measure_yielding(void)
{
    return map(give_way);
}

static double measure_spawns(void)
{
    double start = bench_now();

    for (int i = 0; i < TASKS; i++)
        grove_release(bench_check(grove_group_spawn(pool, nothing, NULL)));
    if (grove_group_join(pool, GROVE_FOREVER) != 0)
        bench_fail("grove_group_join");
    return (bench_now() - start) / TASKS;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 11);

    pool = grove_pool_new(SLOTS);
    if (!pool)
        bench_fail("grove_pool_new");
    for (int i = 0; i < TASKS; i++)
        in[i] = &in[i];
    bench_report("pool_map", "ns", bench_median(measure_empty, repetitions));
    bench_report("pool_map_yield", "ns", bench_median(measure_yielding, repetitions));
    bench_report("pool_spawn", "ns", bench_median(measure_spawns, repetitions));
    if (grove_group_spread(pool, GROVE_ANY) != 0)
        bench_fail("grove_group_spread");
    bench_report("pool_map_any", "ns", bench_median(measure_empty, repetitions));
    grove_group_free(pool);
    return 0;
}
