/* SPDX-License-Identifier: MIT */
/*
 * What an idle process costs: twenty greenlets blocked for five seconds, the CPU time
 * and the kernel's context switches of all its threads meanwhile.
 */
#include "bench.h"

#include <dirent.h>
#include <sys/resource.h>

enum { GREENLETS = 20, SECONDS = 5 };

static grove_event_t morning = GROVE_EVENT_INIT;

static void *blocked(void *arg)
{
    grove_event_wait(&morning, GROVE_FOREVER);
    return arg;
}

static double cpu_milliseconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* Voluntary and involuntary switches of one thread. */
static long switches_of(const char *thread)
{
    char path[300], line[256];
    long sum = 0, count;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1 ||
            sscanf(line, "nonvoluntary_ctxt_switches: %ld", &count) == 1)
            sum += count;
    }
    fclose(file);
    return sum;
}

static long switches(void)
{
    DIR *threads = opendir("/proc/self/task");
    struct dirent *entry;
    long sum = 0;

    if (!threads)
        bench_fail("/proc/self/task");
    while ((entry = readdir(threads))) {
        if (entry->d_name[0] != '.')
            sum += switches_of(entry->d_name);
    }
    closedir(threads);
    return sum;
}

int main(void)
{
    grove_t *all[GREENLETS];

    for (int i = 0; i < GREENLETS; i++)
        all[i] =
            bench_check(i % 2 ? grove_go(blocked, NULL) : grove_spawn(blocked, NULL));
    grove_sleep(0.5); /* all started, workers settled */
    long switched = switches();
    double cpu = cpu_milliseconds(); /* innermost: counting switches costs CPU too */
    grove_sleep(SECONDS);
    cpu = cpu_milliseconds() - cpu;
    switched = switches() - switched;
    bench_report("idle_cpu", "ms", cpu);
    bench_report("idle_switches", "count", (double)switched);
    grove_event_set(&morning);
    for (int i = 0; i < GREENLETS; i++)
        grove_await(all[i]);
    return 0;
}
