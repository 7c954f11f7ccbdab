/* SPDX-License-Identifier: MIT */
#include <grove/lock.h>

#include "sync/permits.h"

_Static_assert(sizeof(struct permits) == sizeof(grove_lock_t), "same object");

int grove_lock_acquire(grove_lock_t *lock, double timeout)
{
    return answer(permits_acquire((struct permits *)lock, timeout, &permits_of_lock));
}

int grove_lock_release(grove_lock_t *lock)
{
    return answer(permits_release((struct permits *)lock, EPERM));
}

bool grove_lock_locked(const grove_lock_t *lock)
{
    return permits_value((const struct permits *)lock) == 0;
}
