/* SPDX-License-Identifier: MIT */
/* Waiting for greenlets: await, join, get. */
#include <errno.h>

#include "sched/answer.h"
#include "sched/extra.h"
#include "sched/record.h"
#include "sched/reference.h"
#include "sched/scheduler.h"
#include "sched/spin.h"
#include "sched/watch.h"
#include "sched/waiter.h"

/* As long as its waiter waits, the greenlet is there: it or its worker has a reference.
 */
static uint64_t awaited(const struct waiter *waiter)
{
    return ((const struct grove *)waiter->item)->id;
}

static const struct wait_reason end_of_greenlet = {
    .text = "the end", .holder = awaited, .relation = "of", .list_offset = -1};

static bool detach_await(struct waiter *waiter)
{
    struct grove *awaited = waiter->item;

    /* Same worker: it hasn't ended, or the waiter would not be parked any more. It may
     * have ended and made the waiter ready, though: joiner is another's or NULL. */
    if (awaited->joiner != waiter->greenlet || greenlet_done(awaited))
        return false;
    awaited->joiner = NULL;
    return true;
}

static inline bool interrupted(struct grove *me)
{
    return atomic_load_explicit(&me->kill_error, memory_order_relaxed) != 0 ||
           me->attention != 0;
}

/* Parks [me] as the joiner of [g], and runs [next] (NULL: whatever is next). Returns 0
 * or the error that cut the wait short. A function of its own, as around a switch the
 * compiler keeps nothing in registers. */
static __attribute__((noinline)) int park_as_joiner(
    struct worker *worker, struct grove *g, struct grove *next)
{
    struct grove *me = worker->current;
    struct waiter waiter;

    g->joiner = me;
    waiter.greenlet = me;
    waiter.home = worker;
    waiter.detach = detach_await;
    waiter.item = g;
    waiter.result = 0;
    waiter.reason = &end_of_greenlet;
    waiter.since = worker->last_tick;
    me->activation->waiting = &waiter;
    struct thread_state state;
    thread_state_save(worker, &state);
    if (!next) {
        worker->current = NULL;
        next = scheduler_next(worker);
    }
    scheduler_switch(worker, me, next);
    thread_state_restore(worker, &state);
    me->activation->waiting = NULL;
    return waiter.result;
}

/*
 * The short way of grove_await: the greenlet belongs to this worker, or lies newest and
 * unstarted in its deque with nothing else ready, so that it is next anyway. Then the
 * end needs no list and no lock: [joiner] is only ever touched on this worker.
 * Negative: not possible, nothing has been done.
 */
static inline int await_here(struct worker *worker, struct grove *g)
{
    struct grove *me = worker->current;

    if (__builtin_expect(!me || me == g || g->joiner || interrupted(me) ||
                             (atomic_load_explicit(&g->state, memory_order_relaxed) &
                                 GREENLET_UNRUN),
            0))
        return -1;
    if (atomic_load_explicit(&g->owner, memory_order_relaxed) == worker)
        return park_as_joiner(worker, g, NULL);
    if (worker->ready.first || worker->budget <= 1 || !deque_pop_if(&worker->deque, g))
        return -1;
    worker->budget--;
    if (greenlet_activate(worker, g))
        return park_as_joiner(worker, g, g);
    /* A killer on another thread may still be about to publish the end. */
    return greenlet_done(g) ? 0 : -1;
}

static void *take_value(struct worker *worker, struct grove *g)
{
    void *value = g->value;
    int error = g->error;

    /* A single reference is ours, and the runtime has let go: nobody else is left. */
    if (worker && !extra_of(g) &&
        (atomic_load_explicit(&g->state, memory_order_acquire) &
            ~(uint32_t)(GREENLET_REFERENCE - 1)) == GREENLET_REFERENCE)
        record_free(worker, g);
    else
        greenlet_release(g);
    if (__builtin_expect(value == NULL, 0))
        errno = error;
    return error ? NULL : value;
}

static __attribute__((noinline)) void *await_anywhere(
    struct worker *worker, struct grove *g)
{
    if (grove_join(g, GROVE_FOREVER) == 0)
        return take_value(worker, g);
    int error = errno;
    greenlet_release(g);
    errno = error;
    return NULL;
}

void *grove_await(grove_t *g)
{
    struct worker *worker = worker_self;

    if (__builtin_expect(!g, 0)) {
        errno = EINVAL;
        return NULL;
    }
    if (!greenlet_done(g)) {
        int error = worker ? await_here(worker, g) : -1;
        if (__builtin_expect(error < 0, 0))
            return await_anywhere(worker, g);
        if (__builtin_expect(error > 0, 0)) {
            greenlet_release(g);
            errno = error;
            return NULL;
        }
    }
    return take_value(worker, g);
}

static bool detach_joiner(struct waiter *waiter)
{
    /* Once only: the waiter stays the one that is waited on until its greenlet runs. */
    if (!waiter->item || !watch_remove(waiter->item, waiter))
        return false;
    waiter->item = NULL;
    return true;
}

int grove_join(grove_t *g, double timeout)
{
    struct waiter waiter;

    if (!g || timeout != timeout)
        return answer(EINVAL);
    if (timeout == 0)
        return greenlet_done(g) ? 0 : answer(ETIMEDOUT);
    int error = waiter_interrupt();
    if (error)
        return answer(error);
    if (greenlet_done(g))
        return 0;
    if (waiter_init(&waiter) < 0)
        return -1;
    if (waiter.greenlet == g)
        return answer(EDEADLK);
    waiter.reason = &end_of_greenlet;
    waiter.detach = detach_joiner;
    waiter.item = g;
    if (!watch_add(g, &waiter))
        return 0;
    error = waiter_park(&waiter, timeout);
    return answer(error);
}

int grove_get(grove_t *g, double timeout, void **value)
{
    if (grove_join(g, timeout) < 0)
        return -1;
    if (g->error)
        return answer(g->error);
    if (value)
        *value = g->value;
    return 0;
}

int grove_joinall(grove_t **gs, size_t n, double timeout)
{
    nanoseconds deadline = timeout > 0 ? timers_deadline(timeout) : TIMERS_NEVER;

    if (n && !gs)
        return answer(EINVAL);
    for (size_t i = 0; i < n; i++) {
        double left = timeout;
        if (timeout > 0) {
            left = (double)(deadline - timers_clock()) / 1e9;
            if (left < 0)
                left = 0;
        }
        if (grove_join(gs[i], left) < 0)
            return -1;
    }
    return 0;
}
