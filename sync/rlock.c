/* SPDX-License-Identifier: MIT */
#include <grove/lock.h>

#include "sync/rlock.h"

int grove_rlock_acquire(grove_rlock_t *opaque, double timeout)
{
    struct rlock *lock = (struct rlock *)opaque;

    if (rlock_owned(lock)) {
        int error = blocking_begin(timeout);
        if (!error && lock->depth == UINT32_MAX)
            error = EOVERFLOW;
        if (!error)
            lock->depth++;
        return answer(error);
    }
    int error = permits_acquire(&lock->permits, timeout, &permits_of_lock);
    if (UNLIKELY(error))
        return answer(error);
    rlock_own(lock, 1);
    return 0;
}

int grove_rlock_release(grove_rlock_t *opaque)
{
    struct rlock *lock = (struct rlock *)opaque;

    if (!rlock_owned(lock))
        return answer(EPERM);
    if (--lock->depth > 0)
        return 0;
    (void)rlock_disown(lock);
    return answer(permits_release(&lock->permits, EPERM));
}

bool grove_rlock_locked(const grove_rlock_t *opaque)
{
    return permits_value(&((const struct rlock *)opaque)->permits) == 0;
}
