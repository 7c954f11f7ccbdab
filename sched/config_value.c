/* SPDX-License-Identifier: MIT */

/*
 * Numbers are read by hand: strtol() and strtod() skip blanks, take signs, stop at the
 * first stranger, and strtod() follows the locale, where 0.001 may read as 0.
 */
#include "sched/config_value.h"

#include <stdio.h>
#include <string.h>

#include "sched/config.h"

const struct config_variable config_variables[] = {
#define X(KIND, field, NAME, initial, least, most, meaning) \
    {KIND, "GROVE_" #NAME, #field, initial, least, most, meaning, \
        offsetof(struct config, field), offsetof(grove_config_t, field)},
    CONFIG_TABLE(X)
#undef X
};

const size_t config_variable_count =
    sizeof(config_variables) / sizeof(config_variables[0]);

/* Reads decimal digits up to the first other character; false: none, or overflow. */
static bool read_digits(const char **text, uint64_t *out)
{
    const char *at = *text;
    uint64_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return false;
    }
    if (at == *text)
        return false;
    *text = at;
    *out = value;
    return true;
}

static bool read_whole(const char *text, struct config_value *out)
{
    return read_digits(&text, &out->whole) && *text == '\0';
}

static bool read_size(const char *text, struct config_value *out)
{
    static const char suffixes[] = "KMGT";
    if (!read_digits(&text, &out->whole))
        return false;
    if (*text == '\0')
        return true;
    /* The lower case too: clearing bit 5 maps k to K and no other text to a suffix
     * that does not mean it. */
    const char *suffix = strchr(suffixes, *text & ~0x20);
    if (suffix == NULL || *suffix == '\0' || text[1] != '\0')
        return false;
    uint64_t unit = UINT64_C(1) << (10 * (suffix - suffixes + 1));
    return !__builtin_mul_overflow(out->whole, unit, &out->whole);
}

static bool read_seconds(const char *text, struct config_value *out)
{
    uint64_t whole, fraction = 0, unit = 1;
    if (!read_digits(&text, &whole))
        return false;
    if (*text == '.') {
        const char *digits = ++text;
        if (!read_digits(&text, &fraction) || text - digits > 9)
            return false;
        for (; digits < text; digits++)
            unit *= 10;
    }
    out->seconds = (double)whole + (double)fraction / (double)unit;
    return *text == '\0';
}

static bool read_word(const char *text, const char *words, struct config_value *out)
{
    size_t length = strlen(text);
    for (uint64_t index = 1;; index++) {
        size_t width = strcspn(words, "|");
        if (width == length && memcmp(words, text, length) == 0) {
            out->whole = index;
            return true;
        }
        if (words[width] == '\0')
            return false;
        words += width + 1;
    }
}

bool config_value_read(
    const struct config_variable *v, const char *text, struct config_value *out)
{
    switch (v->kind) {
    case WHOLE:
    case NUMBER:
        return read_whole(text, out);
    case SIZE:
        return read_size(text, out);
    case SECONDS:
        return read_seconds(text, out);
    case WORD:
        return read_word(text, v->least, out);
    }
    return false;
}

bool config_value_in_range(
    const struct config_variable *v, const struct config_value *value)
{
    struct config_value least = {0}, most = {0};
    if (v->kind == WORD) {
        const char *words = v->least;
        uint64_t count = 1;
        while ((words = strchr(words, '|')) != NULL)
            words++, count++;
        return value->whole >= 1 && value->whole <= count;
    }
    config_value_read(v, v->least, &least);
    config_value_read(v, v->most, &most);
    if (v->kind == SECONDS)
        return value->seconds >= least.seconds && value->seconds <= most.seconds;
    return value->whole >= least.whole && value->whole <= most.whole;
}

const char *config_value_allowed(
    const struct config_variable *v, char text[CONFIG_ALLOWED_ROOM])
{
    static const char *const forms[] = {
        [WHOLE] = "a whole number from %s to %s",
        [NUMBER] = "a whole number from %s to %s",
        [SIZE] = "bytes, or a number with K, M, G or T, from %s to %s",
        [SECONDS] = "seconds as a decimal number from %s to %s",
    };
    if (v->kind != WORD) {
        snprintf(text, CONFIG_ALLOWED_ROOM, forms[v->kind], v->least, v->most);
        return text;
    }
    size_t at = (size_t)snprintf(text, CONFIG_ALLOWED_ROOM, "one of ");
    for (const char *c = v->least; *c != '\0' && at < CONFIG_ALLOWED_ROOM - 2; c++) {
        text[at++] = *c == '|' ? ',' : *c;
        if (*c == '|')
            text[at++] = ' ';
    }
    text[at] = '\0';
    return text;
}
