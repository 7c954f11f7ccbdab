/* SPDX-License-Identifier: MIT */
#include <grove/semaphore.h>

#include "sync/permits.h"

_Static_assert(sizeof(struct permits) == sizeof(grove_semaphore_t), "same object");

int grove_semaphore_acquire(grove_semaphore_t *semaphore, double timeout)
{
    return answer(
        permits_acquire((struct permits *)semaphore, timeout, &permits_of_semaphore));
}

int grove_semaphore_release(grove_semaphore_t *semaphore)
{
    return answer(permits_release((struct permits *)semaphore, EOVERFLOW));
}

int grove_semaphore_value(const grove_semaphore_t *semaphore)
{
    return (int)permits_value((const struct permits *)semaphore);
}

int grove_semaphore_wait(grove_semaphore_t *semaphore, double timeout)
{
    return answer(permits_await((struct permits *)semaphore, timeout));
}

bool grove_semaphore_locked(const grove_semaphore_t *semaphore)
{
    return grove_semaphore_value(semaphore) == 0;
}
