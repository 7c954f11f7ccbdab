/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_STATS_SEGMENT_H
#define TOOLS_STATS_SEGMENT_H

/* Finds the stats segment of another process and copies it. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sched/stats_layout.h"

/* A copy of the segment. */
struct snapshot {
    pid_t pid; /* as this process sees it; header.pid is as that one does */
    char command[64];
    char process_state; /* the letter of proc(5): R, S, D, T ...; '?' unknown */
    uint64_t taken;     /* CLOCK_MONOTONIC ns */
    struct stats_header header;
    struct stats_worker *blocks; /* block_count of them; the last: ended guests */
    size_t block_count;
};

/* Room for one line that says why there is no snapshot. */
struct snapshot_error {
    char text[256];
};

/* Copies the segment of a process, which need not run for that: it may be stopped or
 * hang. 0, or -1 with the reason. snapshot_free() what it filled. */
int snapshot_take(struct snapshot *snapshot, pid_t pid, struct snapshot_error *error);

void snapshot_free(struct snapshot *snapshot);

#endif
