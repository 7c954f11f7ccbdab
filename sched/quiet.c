/* SPDX-License-Identifier: MIT */
#include "sched/quiet.h"

#include "sched/helpers.h"
#include "sched/idle.h"
#include "sched/lane.h"

static uint32_t counter(struct worker *worker)
{
    return atomic_load_explicit(&worker->quiet, memory_order_relaxed);
}

void quiet_begin(struct worker *worker, nanoseconds until, uint64_t looked)
{
    atomic_store_explicit(&worker->sleeps_until, until, memory_order_relaxed);
    atomic_store_explicit(&worker->looked, looked, memory_order_relaxed);
    if (counter(worker) % 2 == 0)
        atomic_fetch_add_explicit(&worker->quiet, 1, memory_order_seq_cst);
}

void quiet_end(struct worker *worker)
{
    if (counter(worker) % 2 == 1)
        atomic_fetch_add_explicit(&worker->quiet, 1, memory_order_seq_cst);
}

/* Adds what the worker says to *others, and its counter to *sum; false if it is awake
 * or has a message. */
static bool add(const struct worker *self, struct worker *worker, struct quiet *others,
    uint64_t *sum)
{
    if (worker == self)
        return true;
    uint32_t quiet = atomic_load_explicit(&worker->quiet, memory_order_seq_cst);
    nanoseconds until =
        atomic_load_explicit(&worker->sleeps_until, memory_order_relaxed);
    uint64_t looked = atomic_load_explicit(&worker->looked, memory_order_acquire);

    *sum += quiet;
    if (until < others->until)
        others->until = until;
    if (looked < others->looked)
        others->looked = looked;
    return quiet % 2 == 1 && inbox_empty(&worker->inbox);
}

/* Adds up the counters of all but [self]; 0 if one is awake or has a message. */
static uint64_t add_all(const struct worker *self, struct quiet *others)
{
    uint64_t sum = 1;

    *others = (struct quiet){TIMERS_NEVER, QUIET_NOTHING_WATCHED};
    for (int i = 0; i < worker_count; i++)
        if (!add(self, workers[i], others, &sum))
            return 0;
    for (int i = 0; i < lane_count(); i++)
        if (!add(self, lane_at(i), others, &sum))
            return 0;
    return sum;
}

bool quiet_others(struct worker *self, struct quiet *others)
{
    struct quiet ignored;
    uint64_t before = add_all(self, others);

    return before != 0 && !idle_work_exists() && lane_empty() && !helpers_at_work() &&
           add_all(self, &ignored) == before && inbox_empty(&self->inbox);
}

bool quiet_now(void)
{
    struct quiet others;

    return add_all(NULL, &others) != 0;
}
