/* SPDX-License-Identifier: MIT */
#include <grove/rwlock.h>

#include "sched/container.h"
#include "sched/lock_wait.h"
#include "sync/blocking.h"

enum { WRITER = -1 };

/*
 * The layout behind grove_rwlock_t. It is handed over, never left for a woken waiter to
 * find: who takes a waiter out has counted it as a holder. So this holds whenever
 * nobody is inside: if somebody waits, the first one can't be let in.
 *
 *   queue     readers and writers in the order of their calls; see waiter.h
 *   holders   WRITER, or how many readers; inside the section
 *   writer    the number of the greenlet that has it for writing; written inside, read
 * by reports
 */
struct rwlock {
    struct wait_list queue;
    int64_t holders;
    _Atomic(uint64_t) writer;
};

_Static_assert(sizeof(struct rwlock) == sizeof(grove_rwlock_t), "same object");

struct rwlock_waiter {
    struct waiter waiter;
    struct rwlock *lock;
    bool writes;
};

static uint64_t holder(const struct waiter *waiter)
{
    struct wait_list *list = atomic_load_explicit(&waiter->list, memory_order_acquire);
    const struct rwlock *lock = CONTAINER(list, struct rwlock, queue);

    return list ? atomic_load_explicit(&lock->writer, memory_order_relaxed) : 0;
}

/* Makes that greenlet (NULL: a thread) one more holder, if it can be. Inside the
 * section. */
static inline bool admit(struct rwlock *lock, bool writes, struct grove *greenlet)
{
    if (writes ? lock->holders != 0 : lock->holders == WRITER)
        return false;
    lock->holders = writes ? WRITER : lock->holders + 1;
    if (writes)
        atomic_store_explicit(
            &lock->writer, greenlet ? greenlet->id : 0, memory_order_relaxed);
    return true;
}

/* Admits as many of those who wait as can be, in their order, and returns them as a
 * chain to wake. Inside the section. */
static struct waiter *admit_queued(struct rwlock *lock)
{
    struct waiter *admitted = NULL, **end = &admitted, *first;

    while ((first = lock->queue.first) != NULL &&
           admit(lock, ((struct rwlock_waiter *)first)->writes, first->greenlet)) {
        waiter_unlink(&lock->queue, first);
        first->next = NULL;
        *end = first;
        end = &first->next;
    }
    return admitted;
}

/* Leaves the section after [holders] has been lowered or somebody has left the queue.
 */
static inline void leave_and_admit(struct rwlock *lock)
{
    struct waiter *admitted = lock->queue.first ? admit_queued(lock) : NULL;

    section_leave(&lock->queue.section);
    if (UNLIKELY(admitted))
        waiter_wake_chain(admitted, 0);
}

/* A writer that gives up lets in the readers behind it. */
static bool rwlock_detach(struct waiter *waiter)
{
    struct rwlock *lock = ((struct rwlock_waiter *)waiter)->lock;

    if (atomic_load_explicit(&waiter->list, memory_order_relaxed) == NULL)
        return false;
    section_enter(&lock->queue.section);
    bool linked = atomic_load_explicit(&waiter->list, memory_order_relaxed) != NULL;
    if (linked)
        waiter_unlink(&lock->queue, waiter);
    leave_and_admit(lock);
    return linked;
}

static int rwlock_wait(struct rwlock *lock, struct rwlock_waiter *self, double timeout)
{
    static const struct wait_reason reading = {
        .text = "reading under a lock", .holder = holder};
    static const struct wait_reason writing = {
        .text = "writing under a lock", .holder = holder};

    (void)waiter_init(&self->waiter);
    self->waiter.reason = self->writes ? &writing : &reading;
    self->waiter.detach = rwlock_detach;
    waiter_link(&lock->queue, &self->waiter);
    section_leave(&lock->queue.section);
    return lock_wait_park(&self->waiter, timeout);
}

static inline int rwlock_acquire(struct rwlock *lock, bool writes, double timeout)
{
    int error = blocking_begin(timeout);

    if (UNLIKELY(error))
        return error;
    section_enter(&lock->queue.section);
    if (LIKELY(!lock->queue.first &&
               admit(lock, writes, worker_self ? worker_self->current : NULL))) {
        section_leave(&lock->queue.section);
        return 0;
    }
    if (timeout == 0) {
        section_leave(&lock->queue.section);
        return ETIMEDOUT;
    }
    struct rwlock_waiter self = {.lock = lock, .writes = writes};
    return rwlock_wait(lock, &self, timeout);
}

int grove_rwlock_acquire_read(grove_rwlock_t *lock, double timeout)
{
    return answer(rwlock_acquire((struct rwlock *)lock, false, timeout));
}

int grove_rwlock_acquire_write(grove_rwlock_t *lock, double timeout)
{
    return answer(rwlock_acquire((struct rwlock *)lock, true, timeout));
}

int grove_rwlock_release_read(grove_rwlock_t *opaque)
{
    struct rwlock *lock = (struct rwlock *)opaque;

    section_enter(&lock->queue.section);
    bool held = lock->holders > 0;
    if (LIKELY(held))
        lock->holders--;
    leave_and_admit(lock);
    return answer(held ? 0 : EPERM);
}

/* The writer leaves, and [readers] take its place. */
static inline int end_writing(struct rwlock *lock, int64_t readers)
{
    section_enter(&lock->queue.section);
    bool held = lock->holders == WRITER;
    if (LIKELY(held)) {
        lock->holders = readers;
        atomic_store_explicit(&lock->writer, 0, memory_order_relaxed);
    }
    leave_and_admit(lock);
    return held ? 0 : EPERM;
}

int grove_rwlock_release_write(grove_rwlock_t *lock)
{
    return answer(end_writing((struct rwlock *)lock, 0));
}

int grove_rwlock_downgrade(grove_rwlock_t *lock)
{
    return answer(end_writing((struct rwlock *)lock, 1));
}
