/* SPDX-License-Identifier: MIT */
#ifndef SCHED_IDLE_H
#define SCHED_IDLE_H

/*
 * Idle workers: who searches, who sleeps, and who wakes whom. The protocol is that of
 * tests/models/park.pml, which states it in full and is checked by spin; the names of
 * the transitions are the same. Guests take no part: they only run what is their own.
 *
 *   idle_word           searching << 16 | sleeping; read-modify-writes, sleeping under
 *                       idle_lock only
 *   listed, sleepers    under idle_lock
 *   worker's sleeping   set by the worker, taken back by exchange by whoever wakes it
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sched/barrier.h"
#include "sched/worker.h"

#define IDLE_SEARCHING ((uint32_t)1 << 16)
#define IDLE_SLEEPING ((uint32_t)1)

extern _Atomic(uint32_t) idle_word;

/* Somebody sleeps and nobody searches. */
static inline bool idle_calls_for_wake(uint32_t word)
{
    return word - 1 < IDLE_SEARCHING - 1;
}

void idle_wake_one(struct worker *worker);

/* After work was made public: wakes a sleeper if that is called for. [worker] is the
 * caller's, NULL on a plain thread. The push was on the caller's own deque (or ended in
 * a full barrier). */
static inline void idle_submitted(struct worker *worker)
{
    barrier_light(); /* pairs with barrier_heavy in idle_park and idle_stop_search */
    if (__builtin_expect(
            idle_calls_for_wake(atomic_load_explicit(&idle_word, memory_order_relaxed)),
            0))
        idle_wake_one(worker);
}

/* False: enough others search already. */
bool idle_start_search(void);

/* The caller was counted as searching and has found something to run. */
void idle_stop_search(struct worker *worker);

/*
 * Sleeps in the hub until [deadline], a message, I/O or a wake, unless there is work
 * after all. [searching] says whether the caller is counted as searching; returns
 * whether it is on return.
 */
bool idle_park(struct worker *worker, bool searching, nanoseconds deadline);

/* Forgets everything: between two runs of the runtime. */
void idle_reset(void);

/* Whether any deque or the queue of injected work holds something. */
bool idle_work_exists(void);

#endif
