/* SPDX-License-Identifier: MIT */
#ifndef SCHED_REPORT_H
#define SCHED_REPORT_H

/* What the library says on stderr, each report in one write so that reports of several
 * threads don't mix. GROVE_REPORT=off silences them. */

#include "sched/greenlet.h"

/* "greenlet NAME failed with ERROR: TEXT", the backtrace of the caller, and where the
 * greenlet was spawned. NULL greenlet: a plain thread or a main greenlet. */
void report_failure(struct grove *greenlet, int error, const char *text);

/* "grove: CALL: WHAT". Not silenced: the process ends of it. */
void report_misuse(const char *call, const char *what);

/* How much of a backtrace is reported. */
#define REPORT_FRAMES 32

/* "grove: WHO has kept worker N for S s without a switch", and the backtrace of its
 * thread, or [remark] in its place. */
void report_blocking(const char *who, int worker, double seconds, void *const *frames,
    int count, const char *remark);

struct lock_edge;

/* The greenlets of a cycle of locks (lock_cycle.h), as report_deadlock does. */
void report_lock_cycle(const struct lock_edge *cycle);

/* Lists all greenlets that wait: for what, since when, on which worker, and where each
 * was spawned. While every worker sleeps. */
void report_deadlock(void);

#endif
