/* SPDX-License-Identifier: MIT */
/* The process's memory as the kernel counts it, in bytes. */
#ifndef GROVE_TESTS_BENCH_MEMORY_H
#define GROVE_TESTS_BENCH_MEMORY_H

#include <stdio.h>
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

/* The most that was ever resident. Not from getrusage: there the process that started
 * this one counts, too. */
static inline double memory_peak(void)
{
    char line[128];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");

    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf", &kilobytes) == 1)
            break;
    fclose(file);
    return kilobytes * 1024;
}

#endif
