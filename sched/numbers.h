/* SPDX-License-Identifier: MIT */
#ifndef SCHED_NUMBERS_H
#define SCHED_NUMBERS_H

/*
 * The numbers of greenlets, unique in the process and small, as people read them in
 * reports. Each worker takes them from a block of its own; blocks come from one
 * counter.
 *
 *   next_id, ids_before   of a worker: its thread alone
 */

#include "sched/worker.h"

#define NUMBERS_BLOCK 256 /* of which the first number isn't used */

/* The first number of a block that nobody else has. Any thread. */
uint64_t numbers_take_block(void);

/* Begins anew, when the runtime does and no worker runs. */
void numbers_reset(void);

static inline uint64_t numbers_next(struct worker *worker)
{
    if (__builtin_expect(++worker->next_id % NUMBERS_BLOCK == 0, 0)) {
        worker->ids_before += NUMBERS_BLOCK - 1;
        worker->next_id = numbers_take_block() + 1;
    }
    return worker->next_id;
}

/* How many a worker has given out. */
static inline uint64_t numbers_given(const struct worker *worker)
{
    return worker->ids_before + worker->next_id % NUMBERS_BLOCK;
}

#endif
