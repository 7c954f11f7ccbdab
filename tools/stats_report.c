/* SPDX-License-Identifier: MIT */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/stats_report.h"

struct text {
    char bytes[32];
};

static const char *const state_names[] = {
    [STATS_ABSENT] = "-",
    [STATS_RUNNING] = "running",
    [STATS_SEARCHING] = "searching",
    [STATS_PARKED] = "parked",
};

static const char *const kind_names[] = {
    [ROW_WORKER] = "worker",
    [ROW_GUEST] = "guest",
    [ROW_ENDED_GUESTS] = "ended guests",
    [ROW_TOTAL] = "total",
};

static const char *state_name(const struct row *row)
{
    return row->state <= STATS_PARKED ? state_names[row->state] : "?";
}

static struct text row_name(const struct row *row)
{
    struct text name;

    switch (row->kind) {
    case ROW_WORKER:
        snprintf(name.bytes, sizeof(name.bytes), "%zu", row->index);
        break;
    case ROW_GUEST:
        snprintf(name.bytes, sizeof(name.bytes), "g%zu", row->index);
        break;
    case ROW_ENDED_GUESTS:
        strcpy(name.bytes, "ended");
        break;
    case ROW_TOTAL:
        strcpy(name.bytes, "total");
        break;
    }
    return name;
}

/* What proc(5) says of a process, where it explains why counters stand still. */
static const char *process_state_name(char state)
{
    switch (state) {
    case 'R':
        return "running";
    case 'S':
        return "sleeping";
    case 'D':
        return "blocked";
    case 'T':
    case 't':
        return "stopped";
    case 'Z':
    case 'X':
        return "dead";
    default:
        return "unknown";
    }
}

/* -- Table ------------------------------------------------------------------------- */

/* Three significant digits, but none behind the point for a whole number. */
static int decimals(double value)
{
    if (value == floor(value))
        return 0;
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

/* At most five characters. */
static struct text number(double value)
{
    const char *unit = "";
    struct text text;

    if (value >= 99999.5) {
        unit = "kMGTPE";
        while ((value /= 1000) >= 999.5)
            unit++;
    }
    snprintf(text.bytes, sizeof(text.bytes), "%.*f%.1s", decimals(value), value, unit);
    return text;
}

static struct text duration(double seconds)
{
    unsigned long all = (unsigned long)seconds;
    unsigned long days = all / 86400, hours = all / 3600 % 24, minutes = all / 60 % 60;
    struct text text;

    if (days)
        snprintf(text.bytes, sizeof(text.bytes), "%lud%02luh", days, hours);
    else if (hours)
        snprintf(text.bytes, sizeof(text.bytes), "%luh%02lum", hours, minutes);
    else if (minutes)
        snprintf(text.bytes, sizeof(text.bytes), "%lum%02lus", minutes, all % 60);
    else
        snprintf(text.bytes, sizeof(text.bytes), "%.1fs", seconds);
    return text;
}

/* Names come from another process: nothing in them may drive the terminal. */
static void print_plain(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

static int column_width(const struct field_info *field)
{
    int width = (int)strlen(field->title);

    return width < 5 ? 5 : width;
}

static void print_summary(const struct sample *sample)
{
    const struct snapshot *snapshot = &sample->snapshot;
    const struct stats_header *header = &snapshot->header;

    printf("%d (", (int)snapshot->pid);
    print_plain(snapshot->command);
    printf(", %s): libgrove ", process_state_name(snapshot->process_state));
    print_plain(header->library_version);
    printf(", up %s, %" PRIu64 " workers, bind ", duration(sample_uptime(sample)).bytes,
        header->workers);
    print_plain(header->bind);
    fputs(", backend ", stdout);
    print_plain(header->backend);
    printf(", stacks of %" PRIu64 " KiB\n", header->stack_size / 1024);
}

static void print_titles(void)
{
    printf("%-6s %3s %-9s %5s", "WORKER", "PU", "STATE", "BUSY%");
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        if (*field_infos[i].title)
            printf(" %*s", column_width(&field_infos[i]), field_infos[i].title);
    }
    putchar('\n');
}

static void print_row(const struct row *row, bool rates)
{
    struct text pu = {"-"};

    if (row->thread && row->pu >= 0)
        snprintf(pu.bytes, sizeof(pu.bytes), "%" PRId64, row->pu);
    printf("%-6s %3s %-9s %5.1f", row_name(row).bytes, pu.bytes, state_name(row),
        row->busy_percent);
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        bool rate = rates && field_infos[i].kind != STATS_GAUGE;

        if (*field_infos[i].title)
            printf(" %*s", column_width(&field_infos[i]),
                number(rate ? row->rates[i] : (double)row->values[i]).bytes);
    }
    putchar('\n');
}

void report_table(const struct sample *sample)
{
    uint64_t unlisted = sample->snapshot.header.guests_unlisted;

    print_summary(sample);
    if (sample->seconds > 0)
        printf("per second, over the last %.2f s\n", sample->seconds);
    else
        puts("totals since its start");
    print_titles();
    for (size_t i = 0; i < sample->row_count; i++) {
        if (sample->rows[i].shown)
            print_row(&sample->rows[i], sample->seconds > 0);
    }
    if (unlisted)
        printf("%" PRIu64 " more guest threads are not counted\n", unlisted);
}

/* -- JSON -------------------------------------------------------------------------- */

/* Bytes above 127 go out as they are: names are UTF-8 in practice. */
static void json_string(const char *name, const char *text)
{
    printf("\"%s\":\"", name);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < ' ')
            printf("\\u%04x", (unsigned)*text);
        else
            putchar(*text);
    }
    fputs("\",", stdout);
}

static void json_number(const char *name, uint64_t value)
{
    printf("\"%s\":%" PRIu64 ",", name, value);
}

static void json_rates(const struct row *row)
{
    const char *comma = "";

    fputs(",\"per_second\":{", stdout);
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        if (field_infos[i].kind != STATS_COUNTER)
            continue;
        printf("%s\"%s\":%.3f", comma, field_infos[i].name, row->rates[i]);
        comma = ",";
    }
    putchar('}');
}

static void json_row(const struct row *row, bool rates)
{
    putchar('{');
    if (row->kind != ROW_TOTAL) {
        json_string("name", row_name(row).bytes);
        json_string("kind", kind_names[row->kind]);
        json_string("state", row->state == STATS_ABSENT ? "absent" : state_name(row));
        json_number("thread_id", row->thread);
        printf("\"pu\":%" PRId64 ",", row->thread ? row->pu : -1);
    }
    printf("\"busy_percent\":%.2f", row->busy_percent);
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++)
        printf(",\"%s\":%" PRIu64, field_infos[i].name, row->values[i]);
    if (rates)
        json_rates(row);
    putchar('}');
}

static void json_header(const struct sample *sample)
{
    const struct snapshot *snapshot = &sample->snapshot;
    const struct stats_header *header = &snapshot->header;

    json_number("pid", (uint64_t)snapshot->pid);
    json_string("command", snapshot->command);
    json_string("process_state", process_state_name(snapshot->process_state));
    json_number("layout_version", header->layout_version);
    json_string("library_version", header->library_version);
    printf("\"started\":%.3f,", (double)header->start_realtime / 1e9);
    printf("\"uptime_seconds\":%.3f,", sample_uptime(sample));
    json_string("bind", header->bind);
    json_string("backend", header->backend);
    json_number("stack_size", header->stack_size);
    json_number("guests_unlisted", header->guests_unlisted);
    if (sample->seconds > 0)
        printf("\"interval_seconds\":%.6f,", sample->seconds);
}

void report_json(const struct sample *sample)
{
    bool rates = sample->seconds > 0;
    const char *comma = "";

    putchar('{');
    json_header(sample);
    fputs("\"workers\":[", stdout);
    for (size_t i = 0; i + 1 < sample->row_count; i++) {
        if (!sample->rows[i].shown)
            continue;
        fputs(comma, stdout);
        json_row(&sample->rows[i], rates);
        comma = ",";
    }
    fputs("],\"total\":", stdout);
    json_row(&sample->rows[sample->row_count - 1], rates);
    puts("}");
}

/* -- Lists ------------------------------------------------------------------------- */

void report_columns(void)
{
    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        const struct field_info *field = &field_infos[i];

        printf("  %-6s %-16s %s (%s%s)\n", field->title, field->name, field->meaning,
            field->unit, field->kind == STATS_GAUGE ? " now" : "");
    }
}

void report_list_title(void)
{
    printf("%7s %7s %7s %s\n", "PID", "WORKERS", "UP", "COMMAND");
}

void report_list_line(const struct sample *sample)
{
    printf("%7d %7" PRIu64 " %7s ", (int)sample->snapshot.pid,
        sample->snapshot.header.workers, duration(sample_uptime(sample)).bytes);
    print_plain(sample->snapshot.command);
    putchar('\n');
}
