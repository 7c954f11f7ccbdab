/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_STATS_ROWS_H
#define TOOLS_STATS_ROWS_H

/* What a report shows, one row per worker: values and what became of them since the
 * sample before. The same rows are printed as a table or as JSON. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/stats_segment.h"

struct field_info {
    const char *name;
    enum stats_kind kind;
    const char *unit;
    const char *title; /* "": no column */
    const char *meaning;
};

extern const struct field_info field_infos[STATS_FIELD_COUNT];

enum row_kind { ROW_WORKER, ROW_GUEST, ROW_ENDED_GUESTS, ROW_TOTAL };

struct row {
    enum row_kind kind;
    size_t index;    /* among those of its kind */
    bool shown;      /* guests: a thread is attached; ended ones: there were any */
    uint64_t state;  /* enum stats_state */
    uint64_t thread; /* 0: none */
    int64_t pu;      /* -1: not bound */
    uint64_t values[STATS_FIELD_COUNT]; /* since the start; spans up to the sample */
    double rates[STATS_FIELD_COUNT];    /* counters per second since the last sample */
    double busy_percent;                /* since the last sample, or since the start */
};

struct sample {
    struct snapshot snapshot;
    struct row *rows; /* one per block, then the total */
    size_t row_count;
    double seconds; /* since the last sample; 0: there is none to compare with */
};

/* Takes a sample. previous: the one before, or NULL; another start of the library
 * counts as none. 0, or -1 with the reason. sample_free() what it filled. */
int sample_take(struct sample *sample, pid_t pid, const struct sample *previous,
    struct snapshot_error *error);

void sample_free(struct sample *sample);

/* Seconds since the library was started. */
double sample_uptime(const struct sample *sample);

#endif
