/* SPDX-License-Identifier: MIT */
#include <grove/barrier.h>

#include "sync/blocking.h"

/*
 * The layout behind grove_barrier_t. Those who have arrived are those in the list: the
 * last takes them all out, which is the next round's beginning; who gives up takes
 * itself out and its arrival back, by one section.
 *
 *   arrived   as many as are in the list of waiters; inside its section
 *   parties   constant
 */
struct barrier {
    struct wait_list waiters;
    uint32_t parties;
    uint32_t arrived;
};

_Static_assert(sizeof(struct barrier) == sizeof(grove_barrier_t), "same object");

struct barrier_waiter {
    struct waiter waiter;
    struct barrier *barrier;
};

static bool barrier_detach(struct waiter *waiter)
{
    struct barrier *barrier = ((struct barrier_waiter *)waiter)->barrier;

    if (atomic_load_explicit(&waiter->list, memory_order_relaxed) == NULL)
        return false;
    section_enter(&barrier->waiters.section);
    bool linked = atomic_load_explicit(&waiter->list, memory_order_relaxed) != NULL;
    if (linked) {
        waiter_unlink(&barrier->waiters, waiter);
        barrier->arrived--;
    }
    section_leave(&barrier->waiters.section);
    return linked;
}

/* Opens the barrier if the caller is the last. Inside the section. */
static bool barrier_open(struct barrier *barrier, struct waiter **others)
{
    if (barrier->arrived + 1 < barrier->parties)
        return false;
    barrier->arrived = 0;
    *others = waiter_pop_all(&barrier->waiters);
    return true;
}

static const struct wait_reason reason = {.text = "a barrier"};

int grove_barrier_wait(grove_barrier_t *opaque, double timeout)
{
    struct barrier *barrier = (struct barrier *)opaque;
    struct barrier_waiter self = {.barrier = barrier};
    struct waiter *others = NULL;
    int error = barrier->parties == 0 ? EINVAL : blocking_begin(timeout);

    if (error)
        return answer(error);
    section_enter(&barrier->waiters.section);
    bool last = barrier_open(barrier, &others);
    if (!last && timeout != 0) {
        (void)waiter_init(&self.waiter);
        self.waiter.reason = &reason;
        self.waiter.detach = barrier_detach;
        waiter_link(&barrier->waiters, &self.waiter);
        barrier->arrived++;
    }
    section_leave(&barrier->waiters.section);
    if (last) {
        waiter_wake_chain(others, 0);
        return 1;
    }
    return answer(timeout == 0 ? ETIMEDOUT : waiter_park(&self.waiter, timeout));
}
