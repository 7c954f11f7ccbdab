/* SPDX-License-Identifier: MIT */
#ifndef SCHED_CONFIG_VALUE_H
#define SCHED_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The rows of sched/config_table.h as constant data, and the reading of one value. Used
 * by the files of the configuration alone.
 */

enum config_kind { WHOLE, NUMBER, SIZE, SECONDS, WORD };

struct config_variable {
    enum config_kind kind;
    const char *name;    /* with GROVE_ */
    const char *field;   /* in grove_config_t */
    const char *initial; /* default; "" when the machine decides */
    const char *least;   /* of a WORD: the words, split by '|' */
    const char *most;
    const char *meaning;
    size_t offset;       /* in struct config */
    size_t given_offset; /* in grove_config_t */
};

extern const struct config_variable config_variables[];
extern const size_t config_variable_count;

/* A setting while it is being read: `seconds` of a SECONDS, else `whole`. */
struct config_value {
    uint64_t whole;
    double seconds;
};

/* Reads the whole of `text` as a value of this kind; false: it is not one. */
bool config_value_read(
    const struct config_variable *v, const char *text, struct config_value *out);

bool config_value_in_range(
    const struct config_variable *v, const struct config_value *value);

/* What the two above accept, in words. Returns `text`. */
#define CONFIG_ALLOWED_ROOM 128
const char *config_value_allowed(
    const struct config_variable *v, char text[CONFIG_ALLOWED_ROOM]);

#endif
