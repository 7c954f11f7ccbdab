/* SPDX-License-Identifier: MIT */
#ifndef SCHED_CONFIG_H
#define SCHED_CONFIG_H

#include <stddef.h>
#include <stdio.h>

#include <grove/config.h>

#include "sched/config_table.h"

#define CONFIG_TYPE_WHOLE int
#define CONFIG_TYPE_NUMBER uint64_t
#define CONFIG_TYPE_SIZE size_t
#define CONFIG_TYPE_SECONDS double
#define CONFIG_TYPE_WORD int

/*
 * The settings in force: one field for each row of the table, in its units. Words hold
 * the enumerators of <grove/config.h>, never a _DEFAULT one. workers is 0 when nobody
 * asked for a number: the topology decides. Written once by config_load before there
 * are workers, read-only afterwards.
 */
struct config {
#define X(KIND, field, NAME, initial, least, most, meaning) CONFIG_TYPE_##KIND field;
    CONFIG_TABLE(X)
#undef X
};

/*
 * Fills *out from the environment, then from the non-zero fields of `given` (NULL: the
 * environment alone), then from the defaults.
 *
 * A bad value gives one line on stderr naming the variable or field, the value and what
 * is allowed, and -1 with EINVAL; *out is then untouched. A value is read whole or not
 * at all: no signs, blanks, exponents or trailing text, in any locale. An empty
 * variable counts as unset. A value that a field of `given` overrides is checked all
 * the same. An unknown GROVE_* variable gives a warning line and changes nothing. Reads
 * the environment, so must not race with setenv(); allocates nothing.
 */
int config_load(struct config *out, const grove_config_t *given);

/* The settings for a reader at a terminal. */
void config_print_help(FILE *stream);

/* The settings as the table in docs/tuning.md. */
void config_print_markdown(FILE *stream);

#endif
