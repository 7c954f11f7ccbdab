/* SPDX-License-Identifier: MIT */

/* The settings as text: for a terminal, and for docs/tuning.md. */
#include <string.h>

#include "sched/config.h"
#include "sched/config_value.h"

static const char *initial_text(const struct config_variable *v)
{
    return *v->initial != '\0' ? v->initial : "from the machine";
}

/* Fills lines of about 80 columns, each after the same indentation. */
static void print_wrapped(FILE *stream, const char *text)
{
    const size_t width = 72;
    while (*text != '\0') {
        size_t length = strlen(text);
        if (length > width) {
            for (length = width; length > 0 && text[length] != ' '; length--)
                ;
            if (length == 0)
                length = width;
        }
        fprintf(stream, "        %.*s\n", (int)length, text);
        text += length;
        text += *text == ' ';
    }
}

void config_print_help(FILE *stream)
{
    char allowed[CONFIG_ALLOWED_ROOM];
    fputs("libgrove is tuned by environment variables; an empty one counts as unset.\n",
        stream);
    for (size_t i = 0; i < config_variable_count; i++) {
        const struct config_variable *v = &config_variables[i];
        fprintf(stream, "\n    %s  (default: %s)\n        %s\n", v->name,
            initial_text(v), config_value_allowed(v, allowed));
        print_wrapped(stream, v->meaning);
    }
}

void config_print_markdown(FILE *stream)
{
    char allowed[CONFIG_ALLOWED_ROOM];
    fputs("| variable | `grove_config_t` | default | allowed | meaning |\n"
          "|---|---|---|---|---|\n",
        stream);
    for (size_t i = 0; i < config_variable_count; i++) {
        const struct config_variable *v = &config_variables[i];
        fprintf(stream, "| `%s` | `.%s` | %s | %s | %s |\n", v->name, v->field,
            initial_text(v), config_value_allowed(v, allowed), v->meaning);
    }
}
