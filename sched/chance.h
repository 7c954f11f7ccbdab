/* SPDX-License-Identifier: MIT */
#ifndef SCHED_CHANCE_H
#define SCHED_CHANCE_H

/*
 * Seeded runs (GROVE_SEED): everything that may run in one order or another is drawn
 * from one number, by the one worker there is. So a test can try ten thousand orders,
 * and repeat the one that failed.
 *
 * What is drawn: which of the ready and the unstarted greenlets runs next, and, at the
 * beginning of a call that may wait, whether others run first, even if it needn't wait.
 * What wait objects promise, like the order in which waiters are served, isn't touched:
 * only when those run who were served.
 *
 * What it costs others: nothing where it matters. A seeded run keeps the worker's
 * budget at 1. So every switch passes scheduler_tick, which comes here, and all the
 * short ways that skip the run queue, which ask for a budget above 1, are closed
 * (end() in greenlet.c, await_here, grove_yield). Whom chance_turn lets run it marks
 * with ATTENTION_CHANCE in the very word that blocking calls look at for fired
 * timeouts, so that its next one takes the slow way and comes to chance_at_wait.
 *
 * Rejected: drawing the order of the messages in an inbox. With one worker only other
 * threads send any, and no seed repeats what those do.
 *
 *   chance_on    written when the runtime starts; read by any thread, relaxed
 *   the rest     worker 0's thread alone
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sched/worker.h"

extern _Atomic(bool) chance_on;

/* Whether this worker's choices are drawn: not those of guests and their like. */
static inline bool chance_for(const struct worker *worker)
{
    return __builtin_expect(
               atomic_load_explicit(&chance_on, memory_order_relaxed), 0) &&
           worker->index == 0;
}

/* Of a runtime that starts. 0: nothing is drawn. */
void chance_start(uint64_t seed);

/* A number below [n], which isn't 0. */
uint32_t chance_draw(uint32_t n);

/* Puts a drawn one of the greenlets that could run now in front of the run queue. */
void chance_turn(struct worker *worker);

/* In a call that may wait, for a greenlet marked with ATTENTION_CHANCE: lets others run
 * first, or doesn't. */
void chance_at_wait(struct grove *me);

/* The seed, if this is the first report of a seeded run; else 0. Any thread. */
uint64_t chance_to_report(void);

#endif
