/* SPDX-License-Identifier: MIT */
/* The process's memory as the kernel counts it, in bytes. */
#ifndef GROVE_TESTS_BENCH_MEMORY_H
#define GROVE_TESTS_BENCH_MEMORY_H

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Resident now; 0 when /proc is not there. */
static inline double memory_resident(void)
{
    long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* The most that was ever resident. */
static inline double memory_peak(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024;
}

#endif
