/* SPDX-License-Identifier: MIT */

/* Settings from the environment and from grove_init(). */
#include "sched/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sched/config_value.h"

extern char **environ;

/* A WORD is an int in struct config and an enum in the public one. */
_Static_assert(sizeof(grove_bind_t) == sizeof(int), "words are ints in both structs");
_Static_assert(sizeof(grove_config_t) == 128, "the public struct keeps its size");

static void store(const struct config_variable *v, const struct config_value *value,
    struct config *to)
{
    void *field = (char *)to + v->offset;
    switch (v->kind) {
    case WHOLE:
    case WORD:
        *(int *)field = (int)value->whole;
        break;
    case NUMBER:
        *(uint64_t *)field = value->whole;
        break;
    case SIZE:
        *(size_t *)field = (size_t)value->whole;
        break;
    case SECONDS:
        *(double *)field = value->seconds;
        break;
    }
}

/* Copies text as it can stand in a log line: cut short, control characters masked. */
static const char *printable(const char *text, size_t length, char *buffer, size_t room)
{
    size_t i;
    for (i = 0; i < length && i < room - 1; i++)
        buffer[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    if (i < length)
        memcpy(buffer + i - 3, "...", 3);
    buffer[i] = '\0';
    return buffer;
}

/* One call of fprintf, so that the line leaves in one piece: stderr is unbuffered. */
static int refuse(const struct config_variable *v, const char *prefix, const char *name,
    const char *value)
{
    char shown[65], allowed[CONFIG_ALLOWED_ROOM];
    fprintf(stderr, "grove: %s%s=%s: must be %s\n", prefix, name,
        printable(value, strlen(value), shown, sizeof(shown)),
        config_value_allowed(v, allowed));
    errno = EINVAL;
    return -1;
}

static int load_variable(const struct config_variable *v, struct config *to)
{
    struct config_value value = {0};
    const char *text = getenv(v->name);
    if (text == NULL || *text == '\0')
        return 0;
    if (!config_value_read(v, text, &value) || !config_value_in_range(v, &value))
        return refuse(v, "", v->name, text);
    store(v, &value, to);
    return 0;
}

/*
 * Takes the caller's field as a value and as text; false: zero, so not given. Where
 * zero is itself a setting the field has another way to say it: SIZE_MAX of a size, any
 * negative number of seconds. A negative whole number becomes one past every range.
 */
static bool take_given(const struct config_variable *v, const grove_config_t *given,
    struct config_value *value, char *text, size_t room)
{
    const void *field = (const char *)given + v->given_offset;
    bool may_be_zero = strcmp(v->least, "0") == 0;
    switch (v->kind) {
    case WHOLE:
    case WORD: {
        int number;
        memcpy(&number, field, sizeof(number)); /* an int, or an enum of that size */
        value->whole = (uint64_t)number;
        snprintf(text, room, "%d", number);
        return number != 0;
    }
    case NUMBER: {
        value->whole = *(const uint64_t *)field;
        snprintf(text, room, "%llu", (unsigned long long)value->whole);
        return value->whole != 0;
    }
    case SIZE: {
        size_t size = *(const size_t *)field;
        value->whole = size == SIZE_MAX && may_be_zero ? 0 : size;
        snprintf(text, room, "%zu", size);
        return size != 0;
    }
    case SECONDS: {
        double seconds = *(const double *)field;
        value->seconds = seconds < 0 && may_be_zero ? 0 : seconds;
        snprintf(text, room, "%.9g", seconds);
        return seconds != 0;
    }
    }
    return false;
}

static int load_given(
    const struct config_variable *v, const grove_config_t *given, struct config *to)
{
    struct config_value value = {0};
    char text[64];
    if (!take_given(v, given, &value, text, sizeof(text)))
        return 0;
    if (!config_value_in_range(v, &value))
        return refuse(v, "grove_config_t.", v->field, text);
    store(v, &value, to);
    return 0;
}

static int check_reserved(const grove_config_t *given)
{
    for (size_t i = 0; i < sizeof(given->reserved) / sizeof(given->reserved[0]); i++) {
        if (given->reserved[i] == 0)
            continue;
        fprintf(stderr,
            "grove: grove_config_t.reserved[%zu]=%llu: must be 0 "
            "(uninitialised, or set by a header newer than the library)\n",
            i, (unsigned long long)given->reserved[i]);
        errno = EINVAL;
        return -1;
    }
    return 0;
}

/* A seed can't repeat what several workers do at once. */
static int settle_seed(struct config *config)
{
    if (config->seed == 0)
        return 0;
    if (config->workers > 1) {
        fprintf(stderr, "grove: GROVE_SEED needs GROVE_WORKERS=1, not %d\n",
            config->workers);
        errno = EINVAL;
        return -1;
    }
    config->workers = 1;
    return 0;
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters to add, drop or change to make one name of the other. */
static size_t edit_distance(const char *a, size_t a_length, const char *b)
{
    size_t row[32], b_length = strlen(b);
    if (b_length >= sizeof(row) / sizeof(row[0]))
        return SIZE_MAX;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least_of(change, least_of(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_length];
}

static bool is_known(const char *name, size_t length)
{
    for (size_t i = 0; i < config_variable_count; i++) {
        if (strlen(config_variables[i].name) == length &&
            memcmp(config_variables[i].name, name, length) == 0)
            return true;
    }
#define X(prefix) \
    if (strncmp(name, prefix, sizeof(prefix) - 1) == 0) \
        return true;
    CONFIG_RESERVED_PREFIXES(X)
#undef X
    return false;
}

static void warn_unknown(const char *name, size_t length)
{
    char shown[65];
    const char *nearest = NULL;
    size_t distance = 3; /* letters: so far away it is another word, not a slip */
    for (size_t i = 0; i < config_variable_count && length < sizeof(shown); i++) {
        size_t d = edit_distance(name, length, config_variables[i].name);
        if (d < distance) {
            distance = d;
            nearest = config_variables[i].name;
        }
    }
    fprintf(stderr, "grove: %s: no such variable, ignored%s%s%s\n",
        printable(name, length, shown, sizeof(shown)), nearest != NULL ? " (is " : "",
        nearest != NULL ? nearest : "", nearest != NULL ? " meant?)" : "");
}

static void warn_of_unknown_variables(void)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t length = strcspn(*entry, "=");
        if (strncmp(*entry, "GROVE_", 6) == 0 && !is_known(*entry, length))
            warn_unknown(*entry, length);
    }
}

static void load_defaults(struct config *to)
{
    for (size_t i = 0; i < config_variable_count; i++) {
        struct config_value value = {0};
        if (*config_variables[i].initial != '\0')
            config_value_read(
                &config_variables[i], config_variables[i].initial, &value);
        store(&config_variables[i], &value, to);
    }
}

int config_load(struct config *out, const grove_config_t *given)
{
    struct config config = {0};
    load_defaults(&config);
    for (size_t i = 0; i < config_variable_count; i++) {
        if (load_variable(&config_variables[i], &config) != 0)
            return -1;
        if (given != NULL && load_given(&config_variables[i], given, &config) != 0)
            return -1;
    }
    if (given != NULL && check_reserved(given) != 0)
        return -1;
    if (settle_seed(&config) != 0)
        return -1;
    warn_of_unknown_variables();

    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    config.stack_size = (config.stack_size + page - 1) / page * page;
    *out = config;
    return 0;
}
