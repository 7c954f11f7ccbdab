/* SPDX-License-Identifier: MIT */
#include <grove/lock.h>

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

/*
 * Whom a lock can belong to: a greenlet, or else a thread. A thread's main greenlet is
 * not told apart from the thread, as it comes into being with the thread's first spawn,
 * which may be while it holds locks.
 */
static const void *caller(void)
{
    const struct worker *worker = worker_self;

    if (worker && worker->current && worker->current != worker->main)
        return worker->current;
    return &worker_self;
}

static bool owned_by_caller(const struct rlock *lock)
{
    return atomic_load_explicit(&lock->owner, memory_order_relaxed) == caller();
}

int grove_rlock_acquire(grove_rlock_t *opaque, double timeout)
{
    struct rlock *lock = (struct rlock *)opaque;

    if (owned_by_caller(lock)) {
        int error = blocking_begin(timeout);
        if (!error && lock->depth == UINT32_MAX)
            error = EOVERFLOW;
        if (!error)
            lock->depth++;
        return answer(error);
    }
    int error = permits_acquire(&lock->permits, timeout);
    if (UNLIKELY(error))
        return answer(error);
    atomic_store_explicit(&lock->owner, caller(), memory_order_relaxed);
    lock->depth = 1;
    return 0;
}

int grove_rlock_release(grove_rlock_t *opaque)
{
    struct rlock *lock = (struct rlock *)opaque;

    if (!owned_by_caller(lock))
        return answer(EPERM);
    if (--lock->depth > 0)
        return 0;
    atomic_store_explicit(&lock->owner, NULL, memory_order_relaxed);
    return answer(permits_release(&lock->permits, EPERM));
}

bool grove_rlock_locked(const grove_rlock_t *opaque)
{
    return permits_value(&((const struct rlock *)opaque)->permits) == 0;
}
