/* SPDX-License-Identifier: MIT */
#include <grove/once.h>

#include <pthread.h>

#include "sched/watch.h"
#include "sync/blocking.h"
#include "sync/owner.h"

/* Fresh -> running by who comes first. Running -> done, or, when undone, -> fresh if
 * nobody waits; else it stays running, and the first waiter is the runner. */
enum { FRESH = 0, RUNNING, DONE };

/*
 * The layout behind grove_once_t. The role of the runner is handed over: were it left
 * for a woken waiter to find, one that is killed before it looks would have to wake
 * another.
 *
 *   state    written inside the section of waiters; done is also read without
 *   runner   who runs it, only to be compared; NULL unless running; inside
 *   owner of a waiter    constant
 *   chosen               inside; read by the waiter when woken
 */
struct once {
    struct wait_list waiters;
    _Atomic(uint32_t) state;
    const void *runner;
};

_Static_assert(sizeof(struct once) == sizeof(grove_once_t), "same object");

struct once_waiter {
    struct waiter waiter;
    const void *owner;
    bool chosen; /* is the runner now */
};

/* Inside the section. */
static void once_set(struct once *once, uint32_t state, const void *runner)
{
    once->runner = runner;
    /* Release: who sees it done sees what fn has written. */
    atomic_store_explicit(&once->state, state, memory_order_release);
}

static void once_done(struct once *once)
{
    section_enter(&once->waiters.section);
    once_set(once, DONE, NULL);
    struct waiter *woken = waiter_pop_all(&once->waiters);
    section_leave(&once->waiters.section);
    waiter_wake_chain(woken, 0);
}

static void once_undo(struct once *once)
{
    section_enter(&once->waiters.section);
    struct waiter *first = waiter_pop(&once->waiters);
    struct once_waiter *next = (struct once_waiter *)first;
    if (next) {
        next->chosen = true;
        once_set(once, RUNNING, next->owner);
    } else {
        once_set(once, FRESH, NULL);
    }
    section_leave(&once->waiters.section);
    if (first)
        waiter_wake(first, 0);
}

static const struct wait_reason reason = {.text = "a once"};

/* 0 when the caller is the runner or it is done, as *runs says; or the error. */
static int once_claim(struct once *once, bool *runs)
{
    struct once_waiter self = {.owner = owner_self()};
    int error = blocking_begin(GROVE_FOREVER);

    if (error)
        return error;
    section_enter(&once->waiters.section);
    uint32_t state = atomic_load_explicit(&once->state, memory_order_relaxed);
    bool waits = state == RUNNING && once->runner != self.owner;
    if (state == FRESH)
        once_set(once, RUNNING, self.owner);
    else if (state == RUNNING && !waits)
        error = EDEADLK;
    if (waits) {
        (void)waiter_init(&self.waiter);
        self.waiter.reason = &reason;
        waiter_link(&once->waiters, &self.waiter);
    }
    section_leave(&once->waiters.section);
    if (waits)
        error = waiter_park(&self.waiter, GROVE_FOREVER);
    *runs = state == FRESH || self.chosen;
    /* It may have been killed since. */
    if (self.chosen && (error = waiter_interrupt()) != 0)
        once_undo(once);
    return error;
}

static void greenlet_ended(grove_t *greenlet, void *once)
{
    (void)greenlet;
    once_undo(once);
}

/* The link lies on the stack, which outlives the greenlet's end by its last call. */
static int run_in_greenlet(
    struct once *once, grove_t *me, int (*fn)(void *arg), void *arg)
{
    struct link link = {.function = greenlet_ended, .arg = once, .borrowed = true};

    watch_add(me, &link.waiter);
    int error = fn(arg);
    watch_remove(me, &link.waiter);
    return error;
}

static void thread_ended(void *once)
{
    once_undo(once);
}

/* In a thread, or its main greenlet, the same calls are a pthread_exit. */
static int run_in_thread(struct once *once, int (*fn)(void *arg), void *arg)
{
    int error;

    pthread_cleanup_push(thread_ended, once);
    error = fn(arg);
    pthread_cleanup_pop(0);
    return error;
}

static int once_run(struct once *once, int (*fn)(void *arg), void *arg)
{
    const struct worker *worker = worker_self;
    int error;

    if (worker && worker->current != worker->main)
        error = run_in_greenlet(once, worker->current, fn, arg);
    else
        error = run_in_thread(once, fn, arg);
    if (error == 0)
        once_done(once);
    else
        once_undo(once);
    return error < 0 ? EINVAL : error;
}

int grove_once_run(grove_once_t *opaque, int (*fn)(void *arg), void *arg)
{
    struct once *once = (struct once *)opaque;
    bool runs;

    if (LIKELY(atomic_load_explicit(&once->state, memory_order_acquire) == DONE))
        return 0;
    if (!fn)
        return answer(EINVAL);
    int error = once_claim(once, &runs);
    if (!error && runs)
        error = once_run(once, fn, arg);
    return answer(error);
}
