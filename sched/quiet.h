/* SPDX-License-Identifier: MIT */
#ifndef SCHED_QUIET_H
#define SCHED_QUIET_H

/*
 * Finding a moment at which all workers and lane threads slept and nothing was under
 * way to them: then nothing but timers and descriptors can wake any. On that rest the
 * detection of deadlocks and the virtual clock.
 *
 * Each worker says for itself that it sleeps, by making its counter odd; awake again,
 * it makes it even. If all counters were odd, and the same at a second look, then there
 * was a moment at which all slept; what was found empty between the two looks was empty
 * at that moment, and nobody was there to change it. seq_cst throughout, so that the
 * last to fall asleep sees all others.
 *
 *   quiet          counted up by its worker, read by others
 *   sleeps_until   written by its worker before its counter becomes odd, read after
 *   looked         the same, and once more by the worker while it is odd (clock.c)
 */

#include "sched/worker.h"

/* worker's looked when its hub watches nothing: there is nothing to look at. */
#define QUIET_NOTHING_WATCHED UINT64_MAX

/* How the others sleep. */
struct quiet {
    nanoseconds until; /* the first of their timers */
    uint64_t looked;   /* the least of theirs */
};

/* The caller's worker falls asleep. */
void quiet_begin(struct worker *worker, nanoseconds until, uint64_t looked);

/* It is awake again; harmless if it was all the time. */
void quiet_end(struct worker *worker);

/* Whether there was such a moment, [self] aside, of which only the inbox counts. Never
 * while a helper is at work (helpers.h). */
bool quiet_others(struct worker *self, struct quiet *others);

/* Whether all sleep just now, whatever may be under way. */
bool quiet_now(void);

#endif
