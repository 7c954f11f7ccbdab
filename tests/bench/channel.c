/* SPDX-License-Identifier: MIT */
/*
 * Round trip over two rendezvous channels: both greenlets on one worker, then, where
 * there are two workers, one greenlet on each.
 */
#include "bench.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { TRIPS = 500000, TRIPS_ACROSS = 100000 };

static grove_queue_t *ping, *pong;
static int trips;

/* Greenlets running at this moment without having switched since they started: two can
 * only be two workers. */
static atomic_int started;
static bool across;
static int worker_of[2];

static void meet(int side)
{
    worker_of[side] = grove_worker_self();
    if (!across)
        return;
    atomic_fetch_add_explicit(&started, 1, memory_order_relaxed);
    while (atomic_load_explicit(&started, memory_order_relaxed) < 2)
        ;
}

static void *player(void *arg)
{
    void *ball = arg;

    meet(0);
    for (int i = 0; i < trips; i++) {
        if (grove_queue_put(ping, ball, GROVE_FOREVER) != 0 ||
            grove_queue_get(pong, GROVE_FOREVER, &ball) != 0)
            bench_fail("channel");
    }
    return NULL;
}

static void *returner(void *arg)
{
    void *ball = arg;

    meet(1);
    for (int i = 0; i < trips; i++) {
        if (grove_queue_get(ping, GROVE_FOREVER, &ball) != 0 ||
            grove_queue_put(pong, ball, GROVE_FOREVER) != 0)
            bench_fail("channel");
    }
    return NULL;
}

static double measure_same(void)
{
    double start = bench_now();

    across = false;
    trips = TRIPS;
    grove_t *a = bench_check(grove_spawn(player, NULL));
    grove_t *b = bench_check(grove_spawn(returner, NULL));
    grove_await(a);
    grove_await(b);
    return (bench_now() - start) / trips;
}

static double measure_across(void)
{
    across = true;
    trips = TRIPS_ACROSS;
    atomic_store_explicit(&started, 0, memory_order_relaxed);
    double start = bench_now();
    grove_t *a = bench_check(grove_go(player, NULL));
    grove_t *b = bench_check(grove_go(returner, NULL));
    grove_await(a);
    grove_await(b);
    if (worker_of[0] == worker_of[1]) {
        errno = EPROTO;
        bench_fail("channel_across: both greenlets ran on one worker");
    }
    return (bench_now() - start) / trips;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    ping = grove_queue_new(GROVE_CHANNEL, 0);
    pong = grove_queue_new(GROVE_CHANNEL, 0);
    if (!ping || !pong)
        bench_fail("grove_queue_new");
    if (grove_worker_count() == 1)
        bench_report("channel_same", "ns", bench_median(measure_same, repetitions));
    else
        bench_report("channel_across", "ns", bench_median(measure_across, repetitions));
    grove_queue_free(pong);
    grove_queue_free(ping);
    return 0;
}
