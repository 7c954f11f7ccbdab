/* SPDX-License-Identifier: MIT */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/stats_rows.h"

const struct field_info field_infos[STATS_FIELD_COUNT] = {
#define FIELD_INFO(field, kind, unit, title, meaning) \
    {#field, STATS_##kind, unit, title, meaning},
    STATS_FIELDS(FIELD_INFO)
#undef FIELD_INFO
};

/* Words of one sample are of slightly different age, so a difference that cannot be
 * negative can seem so. */
static uint64_t difference(uint64_t later, uint64_t earlier)
{
    return later > earlier ? later - earlier : 0;
}

static void row_place(struct row *row, const struct snapshot *snapshot, size_t block)
{
    size_t workers = snapshot->header.workers;

    if (block < workers) {
        row->kind = ROW_WORKER;
        row->index = block;
        row->shown = true;
    } else if (block + 1 < snapshot->block_count) {
        row->kind = ROW_GUEST;
        row->index = block - workers;
        row->shown = snapshot->blocks[block].thread_id != 0;
    } else {
        row->kind = ROW_ENDED_GUESTS;
        row->shown = snapshot->blocks[block].busy_ns != 0;
    }
}

/* The worker writes its spans only when it falls asleep or wakes up. */
static void row_add_running_span(struct row *row, uint64_t since, uint64_t now)
{
    enum stats_field span =
        row->state == STATS_PARKED ? STATS_FIELD_idle_ns : STATS_FIELD_busy_ns;

    if (row->state != STATS_ABSENT)
        row->values[span] += difference(now, since);
}

static void row_fill(struct row *row, const struct snapshot *snapshot, size_t block)
{
    const struct stats_worker *from = &snapshot->blocks[block];

    row_place(row, snapshot, block);
    row->state = from->state;
    row->thread = from->thread_id;
    row->pu = from->pu;
    memcpy(row->values, from, sizeof(row->values));
    row_add_running_span(row, from->state_since, snapshot->taken);
}

static void row_compare(struct row *row, const struct row *previous, double seconds)
{
    static const struct row zero;
    const uint64_t *before = previous ? previous->values : zero.values;
    uint64_t busy =
        difference(row->values[STATS_FIELD_busy_ns], before[STATS_FIELD_busy_ns]);
    uint64_t idle =
        difference(row->values[STATS_FIELD_idle_ns], before[STATS_FIELD_idle_ns]);

    row->busy_percent = busy ? 100.0 * (double)busy / (double)(busy + idle) : 0;
    for (size_t i = 0; seconds > 0 && i < STATS_FIELD_COUNT; i++)
        row->rates[i] = (double)difference(row->values[i], before[i]) / seconds;
}

/* The row of the same thread before: a guest's block may have passed to another. */
static const struct row *row_before(
    const struct sample *previous, const struct row *row, size_t block)
{
    const struct row *before = previous ? &previous->rows[block] : NULL;

    if (before && row->kind == ROW_GUEST && before->thread != row->thread)
        return NULL;
    return before;
}

static void rows_fill(struct sample *sample, const struct sample *previous)
{
    size_t blocks = sample->snapshot.block_count;
    struct row *total = &sample->rows[blocks];

    total->kind = ROW_TOTAL;
    total->shown = true;
    total->pu = -1;
    for (size_t block = 0; block < blocks; block++) {
        struct row *row = &sample->rows[block];

        row_fill(row, &sample->snapshot, block);
        row_compare(row, row_before(previous, row, block), sample->seconds);
        for (size_t i = 0; i < STATS_FIELD_COUNT; i++)
            total->values[i] += row->values[i];
    }
    row_compare(total, row_before(previous, total, blocks), sample->seconds);
}

static bool is_same_start(const struct sample *sample, const struct sample *other)
{
    const struct stats_header *a = &sample->snapshot.header;
    const struct stats_header *b = &other->snapshot.header;

    return a->start_monotonic == b->start_monotonic && a->pid == b->pid &&
           a->workers == b->workers;
}

int sample_take(struct sample *sample, pid_t pid, const struct sample *previous,
    struct snapshot_error *error)
{
    struct sample new = {0};

    if (snapshot_take(&new.snapshot, pid, error))
        return -1;
    new.row_count = new.snapshot.block_count + 1;
    new.rows = calloc(new.row_count, sizeof(*new.rows));
    if (!new.rows) {
        snprintf(error->text, sizeof(error->text), "out of memory");
        snapshot_free(&new.snapshot);
        return -1;
    }
    if (previous && !is_same_start(&new, previous))
        previous = NULL;
    if (previous)
        new.seconds =
            (double)difference(new.snapshot.taken, previous->snapshot.taken) / 1e9;
    rows_fill(&new, previous);
    *sample = new;
    return 0;
}

void sample_free(struct sample *sample)
{
    free(sample->rows);
    sample->rows = NULL;
    snapshot_free(&sample->snapshot);
}

double sample_uptime(const struct sample *sample)
{
    const struct snapshot *snapshot = &sample->snapshot;

    return (double)difference(snapshot->taken, snapshot->header.start_monotonic) / 1e9;
}
