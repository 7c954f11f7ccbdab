/* SPDX-License-Identifier: MIT */
#ifndef SCHED_RECORD_H
#define SCHED_RECORD_H

/*
 * Where greenlet records come from. Slabs of them are never unmapped, not even by
 * grove_shutdown: a stale handle then reads a record, not a hole, and reports can walk
 * every record at any time. Each worker keeps a list of free ones; batches move through
 * a depot, so that spawning on one worker and ending on another doesn't pile them up.
 */

#include <stddef.h>

#include "sched/greenlet.h"
#include "sched/worker.h"

#define RECORD_BATCH 256

/* Fills the worker's empty list. False: ENOMEM, errno set. */
bool record_refill(struct worker *worker);

/* Gives a batch of the worker's list to the depot. */
void record_spill(struct worker *worker);

/* Gives the whole list to the depot. */
void record_drain(struct worker *worker);

/* For threads without a worker. NULL with errno ENOMEM. */
struct grove *record_new_plain(void);
void record_free_plain(struct grove *record);

/* The record numbered [index] of all there are, NULL beyond the last. Any thread. */
struct grove *record_at(size_t index);

static inline struct grove *record_new(struct worker *worker)
{
    struct grove *record = worker->free_records;

    if (__builtin_expect(record == NULL, 0)) {
        if (!record_refill(worker))
            return NULL;
        record = worker->free_records;
    }
    worker->free_records = record->next;
    worker->free_record_count--;
    return record;
}

static inline void record_free(struct worker *worker, struct grove *record)
{
    record->function = NULL;
    record->next = worker->free_records;
    worker->free_records = record;
    if (__builtin_expect(++worker->free_record_count > 64 * RECORD_BATCH, 0))
        record_spill(worker);
}

#endif
