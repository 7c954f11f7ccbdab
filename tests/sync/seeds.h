/* SPDX-License-Identifier: MIT */
/*
 * Scenarios run over thousands of seeds (GROVE_SEED) in virtual time. A scenario is a
 * function that starts some greenlets and checks at the end what must hold whatever
 * their order was:
 *
 *     static void nothing_is_lost(void) { ... seeds_finish(g, n); CHECK(...); }
 *     SEEDED(nothing_is_lost)
 *     ...
 *         TEST("nothing is lost", nothing_is_lost),
 *
 * It is called anew for each seed, with a runtime of its own, on the main greenlet.
 * What its greenlets use must be static: those that never end are killed only
 * afterwards. Whatever it decides itself it decides by dice().
 */
#ifndef TESTS_SYNC_SEEDS_H
#define TESTS_SYNC_SEEDS_H

#include <stdio.h>

#include "tests/sched/runtimes.h"

enum { SEEDS = 10000 };

/* Longer than anything takes unless a wake was lost. */
#define SEEDS_HANG 3600.0

static uint64_t seeds_state;

/* A number below [n]. */
static inline uint32_t dice(uint32_t n)
{
    return random_next(&seeds_state) % n;
}

/* Up to a millisecond, mostly much less: the time of some switches. */
static inline double dice_pause(void)
{
    return (double)(1 << dice(20)) / 1e9;
}

/* A timeout that often is short, and otherwise none. */
static inline double dice_timeout(void)
{
    return dice(2) ? dice_pause() : GROVE_FOREVER;
}

/* Makes a greenlet, of either kind. */
static inline grove_t *seeds_go(grove_fn fn, intptr_t arg)
{
    return must(dice(2) ? grove_go(fn, (void *)arg) : grove_spawn(fn, (void *)arg));
}

/* Waits until all have ended, which they must, and lets go of them. */
static inline void seeds_finish(grove_t **g, int n)
{
    CHECK_EQUAL(grove_joinall(g, (size_t)n, SEEDS_HANG), 0);
    for (int i = 0; i < n; i++)
        grove_release(g[i]);
}

static inline bool seeds_run_one(uint64_t seed, void (*scenario)(void))
{
    /* Seed 0 is none. */
    grove_config_t config = {.seed = seed ? seed : 1,
        .clock = GROVE_CLOCK_VIRTUAL,
        .report = GROVE_REPORT_OFF};
    unsigned before = harness_failures();

    seeds_state = seed;
    random_next(&seeds_state);
    if (!CHECK_EQUAL(grove_init(&config), 0))
        return false;
    scenario();
    if (!CHECK_EQUAL(grove_shutdown(SEEDS_HANG), 0)) {
        printf("not ok - seed %llu: greenlets that no kill ends\n",
            (unsigned long long)seed);
        exit(1);
    }
    return harness_failures() == before;
}

/* Up to the first seed that fails: the replay printed for it runs that one at once. */
static inline void seeds_run(void (*scenario)(void))
{
    uint64_t first = harness_seed();

    for (uint64_t seed = first; seed < first + harness_rounds(SEEDS); seed++) {
        if (seeds_run_one(seed, scenario))
            continue;
        harness_failed_with(seed);
        return;
    }
}

#define SEEDED(scenario) \
    static void scenario##_test(void) \
    { \
        seeds_run(scenario); \
    }

#endif
