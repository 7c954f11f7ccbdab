/* SPDX-License-Identifier: MIT */
#ifndef SYNC_RLOCK_H
#define SYNC_RLOCK_H

#include <grove/lock.h>

#include "sync/owner.h"
#include "sync/permits.h"

/*
 * The layout behind grove_rlock_t.
 *   permits   see permits.h
 *   depth     the holder's
 *   owner     written by the holder alone; read by anybody to see whether it is it,
 *             which no other thread can make true or false meanwhile
 */
struct rlock {
    struct permits permits;
    uint32_t depth;
    _Atomic(const void *) owner;
};

_Static_assert(sizeof(struct rlock) == sizeof(grove_rlock_t), "same object");

static inline bool rlock_owned(const struct rlock *lock)
{
    return atomic_load_explicit(&lock->owner, memory_order_relaxed) == owner_self();
}

/* Makes the caller, who has the permit, the holder. */
static inline void rlock_own(struct rlock *lock, uint32_t depth)
{
    atomic_store_explicit(&lock->owner, owner_self(), memory_order_relaxed);
    lock->depth = depth;
}

/* The reverse, before the permit is given back: returns the depth. */
static inline uint32_t rlock_disown(struct rlock *lock)
{
    atomic_store_explicit(&lock->owner, NULL, memory_order_relaxed);
    return lock->depth;
}

#endif
