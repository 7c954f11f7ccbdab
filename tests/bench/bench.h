/* SPDX-License-Identifier: MIT */
/*
 * What every benchmark shares: a clock, repetition, and checks that end the program.
 * A benchmark prints one line per figure, `NAME workers=N KEY=VALUE...`, which
 * tests/bench/run reads; everything else goes to stderr.
 */
#ifndef GROVE_TESTS_BENCH_H
#define GROVE_TESTS_BENCH_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <grove.h>

/* Nanoseconds of the monotonic clock. */
static inline double bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

_Noreturn static inline void bench_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* A failed spawn would otherwise be measured as a very fast one. */
static inline grove_t *bench_check(grove_t *greenlet)
{
    if (!greenlet)
        bench_fail("spawn");
    return greenlet;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Repetitions asked for on the command line; [otherwise] when none were. */
static inline int bench_repetitions(int argc, char **argv, int otherwise)
{
    int repetitions = argc > 1 ? atoi(argv[1]) : otherwise;

    if (repetitions < 1 || repetitions > 1000) {
        fprintf(stderr, "usage: %s [REPETITIONS], 1 to 1000\n", argv[0]);
        exit(2);
    }
    return repetitions;
}

/* Median of [repetitions] measurements, after one that only warms up. */
static inline double bench_median(double (*measure)(void), int repetitions)
{
    double *sample = calloc((size_t)repetitions, sizeof *sample);

    if (!sample)
        bench_fail("calloc");
    measure();
    for (int i = 0; i < repetitions; i++)
        sample[i] = measure();
    qsort(sample, (size_t)repetitions, sizeof *sample, bench_compare);
    double median = sample[repetitions / 2];
    free(sample);
    return median;
}

static inline void bench_report(const char *name, const char *unit, double value)
{
    printf("%s workers=%d %s=%.6g\n", name, grove_worker_count(), unit, value);
    fflush(stdout);
}

#endif
