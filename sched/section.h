/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SECTION_H
#define SCHED_SECTION_H

/*
 * The short lock of every wait object: a spin lock that costs its first worker no
 * locked instruction.
 *
 * Most objects are only ever used by the greenlets of one worker, and there a locked
 * instruction (2-7 ns) is the greatest part of an operation. So a section is biased to
 * the first worker that enters it. While biased, entering is two plain stores and a
 * load; any other thread revokes the bias once, for good, and from then on the section
 * is an ordinary spin lock.
 *
 * The race is a Dekker one, and the revoker pays for it with barrier_heavy:
 *
 *   owner     in_section = s;  barrier_light();  bias is mine?  -> inside
 *   revoker   bias = SHARED;   barrier_heavy();  wait while owner's in_section == s
 *
 * Either the owner sees SHARED and takes the slow path, or the revoker sees
 * in_section and waits for the owner to leave.
 *
 * Rules: never switch, block or allocate inside; never enter a second section inside
 * one. The object must outlive every call on it.
 *
 *   bias    0 fresh -> worker's number -> SHARED; fresh -> SHARED. Set by a
 *           compare-and-swap by the first user, by a store under [lock] by the revoker
 *   lock    0 free, 1 taken; used only in SHARED, and by a revoker
 *   worker's in_section   written by its worker, read by revokers
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sched/barrier.h"
#include "sched/worker.h"

#define SECTION_SHARED UINT32_MAX

struct section {
    _Atomic(uint32_t) bias;
    _Atomic(uint32_t) lock;
};

void section_enter_slow(struct section *section, struct worker *worker);

/* Waits for the lock of a shared section and takes it. */
void section_lock_contended(struct section *section);

static inline void section_lock(struct section *section)
{
    if (__builtin_expect(
            atomic_exchange_explicit(&section->lock, 1, memory_order_acquire) != 0, 0))
        section_lock_contended(section);
}

static inline void section_enter(struct section *section)
{
    struct worker *worker = worker_self;

    /* Once shared it stays so: nothing else needs to be looked at. */
    if (atomic_load_explicit(&section->bias, memory_order_relaxed) == SECTION_SHARED) {
        section_lock(section);
        return;
    }
    if (__builtin_expect(worker != NULL, 1)) {
        atomic_store_explicit(&worker->in_section, section, memory_order_relaxed);
        barrier_light(); /* pairs with barrier_heavy in section_revoke */
        if (__builtin_expect(atomic_load_explicit(
                                 &section->bias, memory_order_relaxed) == worker->bias,
                1))
            return;
    }
    section_enter_slow(section, worker);
}

/*
 * section_enter for the shortest paths: enters if that takes no call, else does nothing
 * and returns false. So a function that does its usual work between the two needs no
 * stack of its own. [worker] is the caller's, and not NULL.
 */
static inline bool section_enter_quickly(struct section *section, struct worker *worker)
{
    if (atomic_load_explicit(&section->bias, memory_order_relaxed) == SECTION_SHARED)
        return atomic_exchange_explicit(&section->lock, 1, memory_order_acquire) == 0;
    atomic_store_explicit(&worker->in_section, section, memory_order_relaxed);
    /* As barrier_light in section_enter: where barriers aren't asymmetric no section is
     * biased, so there is nothing to order. */
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(
            atomic_load_explicit(&section->bias, memory_order_relaxed) == worker->bias,
            1))
        return true;
    atomic_store_explicit(&worker->in_section, NULL, memory_order_release);
    return false;
}

/* section_leave where the caller's worker is known. */
static inline void section_leave_as(struct section *section, struct worker *worker)
{
    if (__builtin_expect(worker != NULL && atomic_load_explicit(&worker->in_section,
                                               memory_order_relaxed) == section,
            1))
        /* Release: what was written inside is seen by a revoker that sees NULL. */
        atomic_store_explicit(&worker->in_section, NULL, memory_order_release);
    else
        atomic_store_explicit(&section->lock, 0, memory_order_release);
}

static inline void section_leave(struct section *section)
{
    section_leave_as(section, worker_self);
}

#endif
