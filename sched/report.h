/* SPDX-License-Identifier: MIT */
#ifndef SCHED_REPORT_H
#define SCHED_REPORT_H

/* What the library says on stderr, each report in one write so that reports of several
 * threads don't mix. GROVE_REPORT=off silences them. */

#include "sched/greenlet.h"

/* "greenlet NAME failed with ERROR: TEXT" and the backtrace of the caller. NULL
 * greenlet: a plain thread or a main greenlet. */
void report_failure(struct grove *greenlet, int error, const char *text);

/* "grove: CALL: WHAT". Not silenced: the process ends of it. */
void report_misuse(const char *call, const char *what);

/* Lists all greenlets that wait. While every worker sleeps. */
void report_deadlock(void);

#endif
