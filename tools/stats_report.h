/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_STATS_REPORT_H
#define TOOLS_STATS_REPORT_H

/* Prints samples to standard output. */

#include "tools/stats_rows.h"

/* A table: counters since the start, or per second since the sample before. */
void report_table(const struct sample *sample);

/* One JSON object on one line: counters since the start, and per second too when there
 * was a sample before. */
void report_json(const struct sample *sample);

/* What the columns mean. */
void report_columns(void);

/* One line for a list of processes. */
void report_list_title(void);
void report_list_line(const struct sample *sample);

#endif
