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
#include "sched/lock_cycle.h"
#include "sched/record.h"
#include "sched/runtime.h"
#include "sched/waiter.h"

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

/* Where somebody was spawned. */
static void print_site(FILE *out, const char *before, void *site)
{
    char **symbol = site ? backtrace_symbols(&site, 1) : NULL;

    if (site)
        fprintf(out, "%sspawned at ", before);
    if (symbol)
        fputs(symbol[0], out);
    else if (site)
        fprintf(out, "%p", site);
    free(symbol);
}

/* Neither a free record nor one that has ended. */
static bool exists(const struct grove *greenlet)
{
    uint32_t state = atomic_load_explicit(&greenlet->state, memory_order_acquire);
    bool is_main = state & GREENLET_MAIN && state >= GREENLET_REFERENCE;

    return (greenlet->function || is_main) && !(state & GREENLET_DONE);
}

static struct waiter *waiting(const struct grove *greenlet)
{
    return exists(greenlet) && greenlet->activation ? greenlet->activation->waiting
                                                    : NULL;
}

/* Those that live, by number. */
struct living {
    struct grove **greenlets;
    size_t count;
};

static int by_id(const void *a, const void *b)
{
    uint64_t first = (*(struct grove *const *)a)->id;
    uint64_t second = (*(struct grove *const *)b)->id;

    return (first > second) - (first < second);
}

/* Without memory it is as if none did. */
static struct living all_living(void)
{
    struct living living = {.count = 0};
    size_t records = 0;

    while (record_at(records))
        records++;
    living.greenlets = malloc(records * sizeof *living.greenlets);
    for (size_t i = 0; living.greenlets && i < records; i++)
        if (exists(record_at(i)))
            living.greenlets[living.count++] = record_at(i);
    if (living.count > 0)
        qsort(living.greenlets, living.count, sizeof *living.greenlets, by_id);
    return living;
}

static void print_holder(
    FILE *out, const char *relation, uint64_t id, const struct living *living)
{
    struct grove sought = {.id = id}, *key = &sought;
    struct grove **holder = living->count > 0
                                ? bsearch(&key, living->greenlets, living->count,
                                      sizeof *living->greenlets, by_id)
                                : NULL;

    fprintf(out, " %s ", relation ? relation : "held by");
    if (holder)
        fprintf(out, "greenlet %s", grove_name(*holder));
    else
        fputs("a greenlet that has ended", out);
    fprintf(out, " (id %llu)", (unsigned long long)id);
}

/* "a lock 0x55d0c8a3b0a0 held by greenlet worker-3 (id 12)" */
static void print_object(
    FILE *out, const struct waiter *waiter, const struct living *living)
{
    const struct wait_reason *reason = waiter->reason;

    if (!reason) {
        fputs("something", out);
        return;
    }
    fputs(reason->text, out);
    if (reason->list_offset >= 0) {
        char *list = (char *)atomic_load_explicit(&waiter->list, memory_order_relaxed);
        if (list)
            fprintf(out, " %p", (void *)(list - reason->list_offset));
    }
    uint64_t holder = reason->holder ? reason->holder(waiter) : 0;
    if (holder)
        print_holder(out, reason->relation, holder, living);
}

/* How the line of one who waits begins. Threads without a number are the lane's. */
static void print_wait(
    FILE *out, const char *name, uint64_t id, double seconds, int worker)
{
    fprintf(out, "  greenlet %s (id %llu) has waited %.2f s on ", name,
        (unsigned long long)id, seconds);
    if (worker >= 0)
        fprintf(out, "worker %d for ", worker);
    else
        fputs("a lane thread for ", out);
}

static void print_waiting(
    FILE *out, struct grove *greenlet, nanoseconds now, const struct living *living)
{
    const struct waiter *waiter = waiting(greenlet);

    if (!waiter)
        return;
    print_wait(out, grove_name(greenlet), greenlet->id,
        (double)(now - waiter->since) / 1e9, waiter->home->index);
    print_object(out, waiter, living);
    print_site(out, ", ", greenlet->spawned_at);
    fputc('\n', out);
}

void report_deadlock(void)
{
    nanoseconds now = timers_clock();
    struct report report;

    if (!report_begin(&report))
        return;
    struct living living = all_living();
    fprintf(
        report.out, "grove: deadlock: nothing can wake the main greenlet any more\n");
    for (size_t i = 0; i < living.count; i++)
        print_waiting(report.out, living.greenlets[i], now, &living);
    free(living.greenlets);
    mention_seed(report.out);
    report_end(&report);
}

static const char *edge_name(const struct lock_edge *edge, char *space, size_t size)
{
    if (edge->name[0])
        return edge->name;
    snprintf(space, size, "greenlet-%llu", (unsigned long long)edge->id);
    return space;
}

static void print_edge(FILE *out, const struct lock_edge *edge)
{
    char space[40];

    print_wait(out, edge_name(edge, space, sizeof space), edge->id, edge->seconds,
        edge->worker);
    fprintf(out, "%s %p held by greenlet %s (id %llu)", edge->text, edge->lock,
        edge_name(edge->next, space, sizeof space), (unsigned long long)edge->next->id);
    print_site(out, ", ", edge->spawned_at);
    fputc('\n', out);
}

void report_lock_cycle(const struct lock_edge *cycle)
{
    const struct lock_edge *edge = cycle;
    struct report report;

    if (!report_begin(&report))
        return;
    fputs(cycle->next == cycle ? "grove: deadlock: a greenlet waits for its own lock\n"
                               : "grove: deadlock: greenlets wait for locks of each "
                                 "other in a cycle\n",
        report.out);
    do {
        print_edge(report.out, edge);
    } while ((edge = edge->next) != cycle);
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
    if (greenlet && greenlet->spawned_at) {
        print_site(report.out, "  ", greenlet->spawned_at);
        fputc('\n', report.out);
    }
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
