/* SPDX-License-Identifier: MIT */
#ifndef SYNC_PERMITS_H
#define SYNC_PERMITS_H

/*
 * A number of permits and those who wait for one: what locks and semaphores are.
 *
 * Barging: who asks while a permit is free gets it, whoever waits. So the greenlets of
 * one worker take a lock in long runs without a switch, and its cache line stays there.
 * A release wakes the first waiter, but leaves the permit on the table; the woken one
 * asks anew, and if it was overtaken goes back to the front of the list, from where the
 * next release hands it the permit itself. That bounds how often anybody is overtaken.
 * (Always handing over instead would cost a switch, or a wake of another worker, for
 * each use of a lock that somebody waits for: measured peers that do are 10-50 times
 * slower under contention.)
 *
 * No wake is lost: while [waiters] isn't empty, at least [value] of those once in it
 * have been woken and have neither asked anew nor given up yet: they are counted in
 * [woken]. One that is out of time tries once more; one that is killed, or wants none
 * (permits_await), passes its wake on.
 *
 *   value   written inside the section of waiters; read anywhere
 *   limit   constant; the most that value may be
 *   turns   permits taken so far; written inside, read by those who watch (permits.c)
 *   holder  who took the last one, by number; 0: a thread; written inside, read by
 *           reports
 *   woken   inside
 *   turns of a waiter   who links it, before
 *   impatient, handed   inside
 */

#include "sync/blocking.h"

struct permits {
    struct wait_list waiters;
    _Atomic(uint32_t) value;
    uint32_t limit;
    _Atomic(uint32_t) turns;
    uint32_t woken;
    _Atomic(uint64_t) holder;
};

struct permit_waiter {
    struct waiter waiter;
    uint32_t turns; /* of the permits when it was linked */
    bool impatient; /* the next one is handed to it: it was woken once and found none */
    bool handed;
};

static inline uint32_t permits_value(const struct permits *permits)
{
    return atomic_load_explicit(&permits->value, memory_order_relaxed);
}

static inline void permits_set(struct permits *permits, uint32_t value)
{
    atomic_store_explicit(&permits->value, value, memory_order_relaxed);
}

/* What waits are for. That of a lock knows the holder. */
extern const struct wait_reason permits_of_lock, permits_of_semaphore;

/* Takes one if there is one, for that greenlet (NULL: a thread). Inside the section. */
static inline bool permits_take(struct permits *permits, struct grove *taker)
{
    uint32_t value = permits_value(permits);

    if (value == 0)
        return false;
    permits_set(permits, value - 1);
    atomic_store_explicit(&permits->turns,
        atomic_load_explicit(&permits->turns, memory_order_relaxed) + 1,
        memory_order_relaxed);
    atomic_store_explicit(
        &permits->holder, taker ? taker->id : 0, memory_order_relaxed);
    return true;
}

/* The rest of permits_acquire when none was free, and all of it where the section can't
 * be entered quickly or the call may have to fail. */
int permits_wait(
    struct permits *permits, double timeout, const struct wait_reason *reason);
int permits_acquire_slow(
    struct permits *permits, double timeout, const struct wait_reason *reason);

/* 0, or the error of the wait, which [reason] describes. */
static inline int permits_acquire(
    struct permits *permits, double timeout, const struct wait_reason *reason)
{
    struct worker *worker = worker_self;

    if (LIKELY(timeout < 0 && blocking_free(worker) &&
               section_enter_quickly(&permits->waiters.section, worker))) {
        bool taken = permits_take(permits, worker->current);
        section_leave_as(&permits->waiters.section, worker);
        return LIKELY(taken) ? 0 : permits_wait(permits, timeout, reason);
    }
    return permits_acquire_slow(permits, timeout, reason);
}

/* Takes one, whatever happens: neither a kill nor a grove_timeout ends this wait, they
 * show in the caller's next one. In a call that began with blocking_begin. */
void permits_acquire_surely(struct permits *permits);

/*
 * Makes a waiter that was taken out of another list wait for a permit, as if it had
 * called permits_acquire_surely: it sleeps on, without having been woken, until one is
 * free, and then calls permits_resume. Its detach returns false from then on. For
 * somebody else, outside any section; afterwards the waiter may be gone.
 */
void permits_adopt(struct permits *permits, struct permit_waiter *waiter);

/* The rest of an adopted waiter's wait, after its waiter_park: it has a permit then. */
void permits_resume(struct permits *permits, struct permit_waiter *self);

/* Waits until one is free, and takes none: 0, or the error of the wait. */
int permits_await(struct permits *permits, double timeout);

/*
 * Whom a permit that was just given back goes to: takes that waiter out. NULL if nobody
 * waits, or enough have been woken. Inside the section; the caller leaves it and wakes.
 */
struct waiter *permits_next(struct permits *permits);

/* permits_release from inside the section, which it leaves, and all of it where that
 * can't be entered quickly. */
int permits_release_inside(struct permits *permits, int error);
int permits_release_slow(struct permits *permits, int error);

/* Gives one more: 0, or [error] if that is one too many. */
static inline int permits_release(struct permits *permits, int error)
{
    struct worker *worker = worker_self;

    if (LIKELY(worker && section_enter_quickly(&permits->waiters.section, worker))) {
        uint32_t value = permits_value(permits);
        if (UNLIKELY(value >= permits->limit || permits->waiters.first))
            return permits_release_inside(permits, error);
        permits_set(permits, value + 1);
        section_leave_as(&permits->waiters.section, worker);
        return 0;
    }
    return permits_release_slow(permits, error);
}

#endif
