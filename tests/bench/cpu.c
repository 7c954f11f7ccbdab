/* SPDX-License-Identifier: MIT */
/* CPU-bound work of uneven size: 64 tasks, then the twelve queens. */
#include "bench.h"

#include <stdint.h>

enum { TASKS = 64, UNIT = 60000, QUEENS = 12, SOLUTIONS = 14200, PARALLEL_ROWS = 3 };

/* 1 to 64 units: sizes scattered, the largest a thirtieth of the whole. */
static void *task(void *arg)
{
    intptr_t units = (intptr_t)arg * 37 % TASKS + 1;
    uint64_t x = 88172645463325252;

    for (intptr_t i = units * UNIT; i > 0; i--) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return (void *)(intptr_t)(x | 1);
}

static double measure_unbalanced(void)
{
    grove_t *all[TASKS];
    double start = bench_now();

    for (intptr_t i = 0; i < TASKS; i++)
        all[i] = bench_check(grove_go(task, (void *)i));
    for (int i = 0; i < TASKS; i++) {
        if (!grove_await(all[i]))
            bench_fail("task");
    }
    return (bench_now() - start) / 1e6;
}

/* A board with a queen on each of its first [row] rows, at column[]. */
struct board {
    int row;
    signed char column[QUEENS];
};

/* Puts a queen at [column] of the next row; false when another attacks it. */
static bool place(const struct board *b, int column, struct board *next)
{
    for (int row = 0; row < b->row; row++) {
        int apart = b->column[row] - column;
        if (apart == 0 || apart == b->row - row || apart == row - b->row)
            return false;
    }
    *next = *b;
    next->column[next->row++] = (signed char)column;
    return true;
}

static intptr_t solve(const struct board *b)
{
    struct board next;
    intptr_t found = 0;

    if (b->row == QUEENS)
        return 1;
    for (int column = 0; column < QUEENS; column++) {
        if (place(b, column, &next))
            found += solve(&next);
    }
    return found;
}

static void *solve_parallel(void *arg)
{
    const struct board *b = arg;
    struct board next[QUEENS];
    grove_t *greenlet[QUEENS];
    intptr_t found = 0;
    int n = 0;

    if (b->row == PARALLEL_ROWS)
        return (void *)solve(b);
    for (int column = 0; column < QUEENS; column++) {
        if (!place(b, column, &next[n]))
            continue;
        greenlet[n] = bench_check(grove_go(solve_parallel, &next[n]));
        n++;
    }
    for (int i = 0; i < n; i++)
        found += (intptr_t)grove_await(greenlet[i]);
    return (void *)found;
}

static double measure_queens(void)
{
    struct board empty = {0};
    double start = bench_now();

    if ((intptr_t)solve_parallel(&empty) != SOLUTIONS) {
        errno = EPROTO;
        bench_fail("nqueens: wrong count");
    }
    return (bench_now() - start) / 1e6;
}

int main(int argc, char **argv)
{
    int repetitions = bench_repetitions(argc, argv, 5);

    bench_report("unbalanced", "ms", bench_median(measure_unbalanced, repetitions));
    bench_report("nqueens", "ms", bench_median(measure_queens, repetitions));
    return 0;
}
