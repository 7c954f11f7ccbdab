/* SPDX-License-Identifier: MIT */
/*
 * Who falls asleep last makes time jump. With descriptors that isn't enough: A may have
 * written to what B, asleep, reads from, and B's thread is only about to be told by the
 * kernel. So each worker that watches descriptors looks at them once more when it falls
 * asleep, and says how much had been done by all when it looked (looked). Somebody who
 * finds all asleep, but one that has not looked since the last thing was done, rings
 * that one's hub: it wakes, looks, and, asleep again, is the one who decides. As its
 * look alone counts for nothing done, this ends.
 *
 *   now        changed under jump_lock, read by anybody
 *   activity   counted up by workers that fall asleep after having run something.
 *              seq_cst, before the worker's quiet counter and before its look: who sees
 *              it asleep sees this, and who has counted it has seen what was done
 */
#include "sched/clock.h"

#include <time.h>

#include "sched/chance.h"
#include "sched/fork.h"
#include "sched/hub.h"
#include "sched/lane.h"
#include "sched/quiet.h"
#include "sched/runtime.h"
#include "sched/spinlock.h"

/* A worker awake for so many ticks, up to 128 switches each, may be polling. */
#define PATIENCE 64
#define STEP ((nanoseconds)10000)

/* Of a seeded run: one tick of so many takes time, up to 2^20 ns, mostly less. */
#define TICKS_TO_STEP 8
#define STEP_BITS 21

_Atomic(bool) clock_virtual;
static _Atomic(nanoseconds) now;
static _Atomic(uint64_t) activity;
static struct spinlock jump_lock;

nanoseconds clock_real(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (nanoseconds)time.tv_sec * 1000000000 + time.tv_nsec;
}

nanoseconds timers_clock(void)
{
    if (worker_self && clock_virtual_for(worker_self))
        return atomic_load_explicit(&now, memory_order_relaxed);
    return clock_real();
}

void clock_start(bool is_virtual)
{
    atomic_store_explicit(&clock_virtual, is_virtual, memory_order_relaxed);
    atomic_store_explicit(&now, 0, memory_order_relaxed);
    atomic_store_explicit(&activity, 0, memory_order_relaxed);
}

static void ring_if_due(
    struct worker *worker, const struct worker *self, nanoseconds time, uint64_t looked)
{
    if (worker != self &&
        (atomic_load_explicit(&worker->sleeps_until, memory_order_relaxed) <= time ||
            atomic_load_explicit(&worker->looked, memory_order_relaxed) < looked))
        hub_ring(worker->hub);
}

/* Wakes those whose timers are due, and those who have not looked since. */
static void ring_others(const struct worker *self, nanoseconds time, uint64_t looked)
{
    for (int i = 0; i < worker_count; i++)
        ring_if_due(workers[i], self, time, looked);
    for (int i = 0; i < lane_count(); i++)
        ring_if_due(lane_at(i), self, time, looked);
}

static nanoseconds pass(const struct worker *worker, nanoseconds step)
{
    spinlock_acquire(&jump_lock);
    nanoseconds time = atomic_load_explicit(&now, memory_order_relaxed) + step;
    atomic_store_explicit(&now, time, memory_order_relaxed);
    spinlock_release(&jump_lock);
    ring_others(worker, time, 0);
    return time;
}

nanoseconds clock_turn(struct worker *worker)
{
    if (chance_for(worker)) {
        if (chance_draw(TICKS_TO_STEP) == 0)
            return pass(worker, (nanoseconds)1 << chance_draw(STEP_BITS));
    } else if (++worker->awake_ticks > PATIENCE) {
        return pass(worker, STEP);
    }
    return atomic_load_explicit(&now, memory_order_relaxed);
}

enum verdict { SLEEP, AWAKE, JUMPED, LOOK };

/* Makes time jump if it may: the next timer of all is then due. */
static enum verdict try_jump(
    struct worker *self, nanoseconds deadline, uint64_t looked, nanoseconds *time)
{
    struct quiet others;

    *time = atomic_load_explicit(&now, memory_order_relaxed);
    if (deadline <= *time)
        return AWAKE;
    if (!quiet_others(self, &others) || others.until <= *time) /* is on its way */
        return SLEEP;
    uint64_t done = atomic_load_explicit(&activity, memory_order_seq_cst);
    if (looked < done)
        return AWAKE;
    if (others.looked < done)
        return LOOK;
    nanoseconds next = others.until < deadline ? others.until : deadline;
    if (next == TIMERS_NEVER)
        return SLEEP;
    atomic_store_explicit(&now, next, memory_order_relaxed);
    *time = next;
    return JUMPED;
}

static bool decide(struct worker *worker, nanoseconds deadline, uint64_t looked)
{
    nanoseconds time;

    spinlock_acquire(&jump_lock);
    enum verdict verdict = try_jump(worker, deadline, looked, &time);
    spinlock_release(&jump_lock);
    if (verdict == JUMPED)
        ring_others(worker, time, 0);
    else if (verdict == LOOK)
        ring_others(worker, -1, atomic_load_explicit(&activity, memory_order_relaxed));
    return verdict != AWAKE && deadline > time;
}

bool clock_falling_asleep(struct worker *worker, nanoseconds deadline)
{
    uint64_t looked = QUIET_NOTHING_WATCHED;
    bool watching = hub_watches(worker->hub) > 0;

    worker->awake_ticks = 0;
    if (worker->acted)
        atomic_fetch_add_explicit(&activity, 1, memory_order_seq_cst);
    worker->acted = false;
    if (watching) {
        looked = atomic_load_explicit(&activity, memory_order_seq_cst);
        hub_poll(worker->hub);
        /* Perhaps it has taken the ring that was to stop this thread. */
        if (worker->ready.first || runtime_stopping(worker))
            return false;
    }
    quiet_begin(worker, deadline, looked);
    return decide(worker, deadline, looked);
}

void clock_forget(void)
{
    jump_lock = (struct spinlock){0};
}
