/* SPDX-License-Identifier: MIT */

/* grove-stat: shows what the workers of a process that uses libgrove are doing. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <grove/base.h>

#include "tools/stats_report.h"

enum { STATUS_TROUBLE = 1, STATUS_MISUSE = 2 };

#define INTERVAL_MIN 0.01
#define INTERVAL_MAX 86400.0
#define COUNT_MAX 1000000000L

struct options {
    bool json;
    bool list;
    pid_t pid;       /* 0: not given */
    double interval; /* seconds; 0: one sample */
    long count;      /* samples; 0: no limit */
};

static const char usage[] = "usage: grove-stat [--json] [PID [INTERVAL [COUNT]]]\n"
                            "       grove-stat [--json] --list\n";

static void print_help(void)
{
    fputs(usage, stdout);
    fputs(
        "Shows what the workers of a process that uses libgrove are doing. The "
        "process\n"
        "is not disturbed, and may be stopped or hang.\n"
        "\n"
        "  PID        the process; without it, the only one there is, or a list\n"
        "  INTERVAL   seconds between samples; the first shows totals since the start\n"
        "             of the library, the others what happened per second\n"
        "  COUNT      samples to take; without it, until the process ends\n"
        "  -j, --json     one JSON object per sample, on one line\n"
        "  -l, --list     list the processes that can be shown\n"
        "  -h, --help     print this and exit\n"
        "  -V, --version  print the version and exit\n"
        "\n"
        "Columns, and names in JSON:\n",
        stdout);
    report_columns();
    fputs("\nExit status: 0; 1 no such process, no permission or no counters to read;\n"
          "2 wrong arguments.\n",
        stdout);
}

/* The exit status, once what was printed has got out. */
static int output_finish(bool failed)
{
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "grove-stat: cannot write: %s\n", strerror(errno));
        return STATUS_TROUBLE;
    }
    return failed ? STATUS_TROUBLE : EXIT_SUCCESS;
}

__attribute__((noreturn)) static void misuse(const char *what, const char *given)
{
    fprintf(stderr, "grove-stat: %s, not '%s'\n%s", what, given, usage);
    exit(STATUS_MISUSE);
}

/* -- Arguments ----------------------------------------------------------------------
 */

static long whole_number(const char *text, long limit, const char *what)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > limit)
        misuse(what, text);
    return value;
}

static double interval_parse(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= INTERVAL_MIN && value <= INTERVAL_MAX))
        misuse("INTERVAL must be seconds from 0.01 to 86400", text);
    return value;
}

static void operands_parse(struct options *options, int count, char **operands)
{
    options->count = 1;
    if (count > 0)
        options->pid = (pid_t)whole_number(
            operands[0], INT32_MAX, "PID must be a whole number above 0");
    if (count > 1) {
        options->interval = interval_parse(operands[1]);
        options->count = 0;
    }
    if (count > 2)
        options->count = whole_number(
            operands[2], COUNT_MAX, "COUNT must be a whole number above 0");
    if (count > 3)
        misuse("at most PID, INTERVAL and COUNT are allowed", operands[3]);
    if (count > 0 && options->list)
        misuse("--list takes no PID", operands[0]);
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"json", no_argument, NULL, 'j'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "jlhV", names, NULL)) != -1) {
        switch (option) {
        case 'j':
            options->json = true;
            break;
        case 'l':
            options->list = true;
            break;
        case 'h':
            print_help();
            exit(output_finish(false));
        case 'V':
            printf("grove-stat %d.%d.%d\n", GROVE_VERSION_MAJOR, GROVE_VERSION_MINOR,
                GROVE_VERSION_PATCH);
            exit(output_finish(false));
        default: /* getopt_long has named it */
            fputs(usage, stderr);
            exit(STATUS_MISUSE);
        }
    }
    operands_parse(options, argc - optind, argv + optind);
}

/* -- Processes ----------------------------------------------------------------------
 */

/* Samples of all processes that can be read; the others are passed over in silence,
 * as they are mostly not ours to ask about. Number of samples, or -1. */
static ssize_t samples_take_all(struct sample **samples)
{
    struct sample *found = NULL, *larger;
    struct snapshot_error ignored;
    struct dirent *entry;
    ssize_t count = 0;
    DIR *directory = opendir("/proc");

    while (directory && (entry = readdir(directory))) {
        pid_t pid = (pid_t)atol(entry->d_name);
        struct sample sample;

        if (pid <= 0 || sample_take(&sample, pid, NULL, &ignored))
            continue;
        larger = realloc(found, (size_t)(count + 1) * sizeof(*found));
        if (!larger) {
            sample_free(&sample);
            break;
        }
        found = larger;
        found[count++] = sample;
    }
    if (directory)
        closedir(directory);
    *samples = found;
    return count;
}

static void list_print(const struct options *options, struct sample *samples, ssize_t n)
{
    if (!options->json)
        report_list_title();
    for (ssize_t i = 0; i < n; i++) {
        if (options->json)
            report_json(&samples[i]);
        else
            report_list_line(&samples[i]);
    }
}

/* Without a PID: 0 with the only process in options->pid, or after printing the list;
 * -1 when there is none. */
static int process_choose(struct options *options)
{
    struct sample *samples;
    ssize_t count = samples_take_all(&samples);

    if (count == 1 && !options->list)
        options->pid = samples[0].snapshot.pid;
    else if (count > 0)
        list_print(options, samples, count);
    for (ssize_t i = 0; i < count; i++)
        sample_free(&samples[i]);
    free(samples);
    if (count > 0)
        return 0;
    fputs("grove-stat: no process with a stats segment that you may read\n", stderr);
    return -1;
}

/* -- Samples ------------------------------------------------------------------------
 */

static void moment_advance(struct timespec *moment, double seconds)
{
    double whole = floor(seconds);

    moment->tv_sec += (time_t)whole;
    moment->tv_nsec += (long)((seconds - whole) * 1e9);
    if (moment->tv_nsec >= 1000000000) {
        moment->tv_nsec -= 1000000000;
        moment->tv_sec++;
    }
}

static int watch(const struct options *options)
{
    struct sample samples[2] = {{.rows = NULL}};
    struct snapshot_error error;
    struct timespec moment;
    long taken = 0;

    clock_gettime(CLOCK_MONOTONIC, &moment);
    for (;;) {
        struct sample *sample = &samples[taken % 2],
                      *previous = &samples[(taken + 1) % 2];

        if (sample_take(sample, options->pid, taken ? previous : NULL, &error)) {
            fprintf(stderr, "grove-stat: %s\n", error.text);
            sample_free(previous);
            return -1;
        }
        if (options->json)
            report_json(sample);
        else
            report_table(sample);
        sample_free(previous);
        taken++;
        if (fflush(stdout) || taken == options->count) {
            sample_free(sample);
            return 0; /* main() finds out about the output */
        }
        moment_advance(&moment, options->interval);
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL) == EINTR)
            ;
    }
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int failed = 0;

    options_parse(&options, argc, argv);
    if (!options.pid)
        failed = process_choose(&options);
    if (!failed && options.pid)
        failed = watch(&options);
    return output_finish(failed);
}
