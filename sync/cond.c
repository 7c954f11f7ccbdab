/* SPDX-License-Identifier: MIT */
#include <grove/cond.h>

#include "sync/rlock.h"

/*
 * A signal wakes nobody who couldn't go on: it moves the waiter over to those who wait
 * for the lock, where it sleeps on until the lock is free. So a broadcast by the holder
 * of the lock wakes none at all, and then each release wakes the next one. (Without
 * permits_adopt all would run at once for a lock that one of them can have: of a
 * thousand, all but one would switch only to wait again.)
 *
 * A waiter is in the list of the cond, and there a timeout or kill may take it out,
 * until the signal takes it out; from then on it only waits for the lock, which nothing
 * ends (see cond_detach). It touches the cond no more.
 */
struct cond {
    struct wait_list waiters;
};

_Static_assert(sizeof(struct cond) == sizeof(grove_cond_t), "same object");

struct cond_waiter {
    struct permit_waiter waiter;
    struct permits *permits; /* of the lock */
    struct cond *cond;
};

static bool in_list(const struct waiter *waiter, const struct wait_list *list)
{
    return atomic_load_explicit(&waiter->list, memory_order_relaxed) == list;
}

/* waiter_detach_list, but never out of the list of the lock. */
static bool cond_detach(struct waiter *waiter)
{
    struct wait_list *list = &((struct cond_waiter *)waiter)->cond->waiters;

    if (!in_list(waiter, list))
        return false;
    section_enter(&list->section);
    bool linked = in_list(waiter, list);
    if (linked)
        waiter_unlink(list, waiter);
    section_leave(&list->section);
    return linked;
}

static void go_on(struct waiter *waiter)
{
    struct cond_waiter *signalled = (struct cond_waiter *)waiter;

    permits_adopt(signalled->permits, &signalled->waiter);
}

static const struct wait_reason reason = {.text = "a condition"};

/* The caller has the one permit. */
static int cond_wait(struct cond *cond, struct permits *permits, double timeout)
{
    struct cond_waiter self = {.permits = permits, .cond = cond};
    struct waiter *waiter = &self.waiter.waiter;

    (void)waiter_init(waiter);
    waiter->reason = &reason;
    waiter->detach = cond_detach;
    section_enter(&cond->waiters.section);
    waiter_link(&cond->waiters, waiter);
    section_leave(&cond->waiters.section);
    (void)permits_release(permits, 0);
    int error = waiter_park(waiter, timeout);
    if (error)
        permits_acquire_surely(permits);
    else
        permits_resume(permits, &self.waiter);
    return error;
}

static int cond_begin(bool has_lock, double timeout)
{
    int error = blocking_begin(timeout);

    if (error)
        return error;
    if (!has_lock)
        return EPERM;
    return timeout == 0 ? ETIMEDOUT : 0;
}

int grove_cond_wait(grove_cond_t *cond, grove_lock_t *lock, double timeout)
{
    int error = cond_begin(grove_lock_locked(lock), timeout);

    if (!error)
        error = cond_wait((struct cond *)cond, (struct permits *)lock, timeout);
    return answer(error);
}

int grove_cond_wait_rlock(grove_cond_t *cond, grove_rlock_t *opaque, double timeout)
{
    struct rlock *lock = (struct rlock *)opaque;
    int error = cond_begin(rlock_owned(lock), timeout);

    if (error)
        return answer(error);
    uint32_t depth = rlock_disown(lock);
    error = cond_wait((struct cond *)cond, &lock->permits, timeout);
    rlock_own(lock, depth);
    return answer(error);
}

int grove_cond_signal(grove_cond_t *opaque)
{
    struct cond *cond = (struct cond *)opaque;

    section_enter(&cond->waiters.section);
    struct waiter *first = waiter_pop(&cond->waiters);
    section_leave(&cond->waiters.section);
    if (first)
        go_on(first);
    return 0;
}

int grove_cond_broadcast(grove_cond_t *opaque)
{
    struct cond *cond = (struct cond *)opaque;

    section_enter(&cond->waiters.section);
    struct waiter *first = waiter_pop_all(&cond->waiters);
    section_leave(&cond->waiters.section);
    while (first) {
        struct waiter *next = first->next;
        go_on(first);
        first = next;
    }
    return 0;
}
