/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sched/report.h"

#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sched/activation.h"
#include "sched/chance.h"
#include "sched/record.h"
#include "sched/runtime.h"

static void print_frames(FILE *out, void *const *frames, int count)
{
    char **symbols = backtrace_symbols(frames, count);

    for (int i = 0; i < count; i++) {
        if (symbols)
            fprintf(out, "  %s\n", symbols[i]);
        else
            fprintf(out, "  %p\n", frames[i]);
    }
    free(symbols);
}

static void write_all(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        text += written;
        length -= (size_t)written;
    }
}

/* A report is gathered and then written at once. */
struct report {
    FILE *out;
    char *text;
    size_t length;
};

/* False: reports are off, or there is no memory for one. */
static bool report_begin(struct report *report)
{
    *report = (struct report){0};
    if (runtime_config.report == GROVE_REPORT_OFF)
        return false;
    report->out = open_memstream(&report->text, &report->length);
    return report->out != NULL;
}

static void report_end(struct report *report)
{
    if (fclose(report->out) == 0)
        write_all(report->text, report->length);
    free(report->text);
}

void report_misuse(const char *call, const char *what)
{
    char text[256];
    int length = snprintf(text, sizeof text, "grove: %s: %s\n", call, what);

    write_all(text, (size_t)length);
}

/* Once a run is enough to repeat it. */
static void mention_seed(FILE *out)
{
    uint64_t seed = chance_to_report();

    if (seed)
        fprintf(out, "grove: seed %llu\n", (unsigned long long)seed);
}

static void list_waiting(FILE *out)
{
    struct grove *greenlet;

    for (size_t i = 0; (greenlet = record_at(i)); i++) {
        struct activation *activation = greenlet->activation;
        if (!greenlet->function || greenlet_done(greenlet) || !activation ||
            !activation->waiting)
            continue;
        struct worker *owner =
            atomic_load_explicit(&greenlet->owner, memory_order_relaxed);
        fprintf(out, "  %s (id %llu) waits on worker %d\n", grove_name(greenlet),
            (unsigned long long)greenlet->id, owner->index);
    }
}

void report_deadlock(void)
{
    struct report report;

    if (!report_begin(&report))
        return;
    fprintf(
        report.out, "grove: deadlock: nothing can wake the main greenlet any more\n");
    list_waiting(report.out);
    mention_seed(report.out);
    report_end(&report);
}

void report_failure(struct grove *greenlet, int error, const char *text)
{
    struct report report;

    if (!report_begin(&report))
        return;
    void *frames[REPORT_FRAMES];
    int count = backtrace(frames, REPORT_FRAMES);
    const char *name = strerrorname_np(error);
    fprintf(report.out, "greenlet %s failed with %s: %s\n",
        greenlet ? grove_name(greenlet) : "main", name ? name : strerror(error), text);
    if (count > 0)
        print_frames(
            report.out, frames + 1, count - 1); /* the first is this function */
    mention_seed(report.out);
    report_end(&report);
}

void report_blocking(const char *who, int worker, double seconds, void *const *frames,
    int count, const char *remark)
{
    struct report report;

    if (!report_begin(&report))
        return;
    fprintf(report.out, "grove: %s has kept worker %d for %.2f s without a switch\n",
        who, worker, seconds);
    if (remark)
        fprintf(report.out, "  %s\n", remark);
    else
        print_frames(report.out, frames, count);
    report_end(&report);
}
