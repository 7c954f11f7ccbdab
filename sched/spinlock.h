/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SPINLOCK_H
#define SCHED_SPINLOCK_H

/*
 * A lock around few instructions, off the hot paths: nothing waits under it, and no
 * second lock is taken. All zero is free.
 *
 * Not Concurrency Kit's: ThreadSanitizer can't see into its assembly.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "sched/spin.h"

struct spinlock {
    _Atomic(uint32_t) taken;
};

static inline void spinlock_acquire(struct spinlock *lock)
{
    struct spin spin = {0};

    while (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire) != 0)
        spin_once(&spin);
}

static inline void spinlock_release(struct spinlock *lock)
{
    atomic_store_explicit(&lock->taken, 0, memory_order_release);
}

#endif
