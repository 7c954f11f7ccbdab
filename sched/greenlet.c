/* SPDX-License-Identifier: MIT */
/* The life of a greenlet on its stack: activation, main function, end. */
#include "sched/greenlet.h"

#include <errno.h>
#include <stdlib.h>

#include "sched/extra.h"
#include "sched/finish.h"
#include "sched/locals.h"
#include "sched/record.h"
#include "sched/reference.h"
#include "sched/scheduler.h"
#include "sched/spin.h"
#include "sched/waiter.h"

const char grove_killed_[] = "killed";

/* Activations lie under the stack's header, each on cache lines of its own. */
#define ACTIVATION_SIZE ((sizeof(struct activation) + 63) & ~(size_t)63)

void greenlet_destroy(struct grove *greenlet)
{
    extra_free(extra_of(greenlet));
    atomic_store_explicit(&greenlet->extra, NULL, memory_order_relaxed);
    if (worker_self)
        record_free(worker_self, greenlet);
    else
        record_free_plain(greenlet);
}

/* Sets DONE and returns what was on the list of watchers, which is closed from then on.
 * The runtime's reference is still held. */
static struct waiter *close_watchers(struct grove *greenlet)
{
    struct spin spin = {0};
    uint32_t state = atomic_load_explicit(&greenlet->state, memory_order_relaxed);

    for (;;) {
        if (state & GREENLET_LOCK) {
            spin_once(&spin);
            state = atomic_load_explicit(&greenlet->state, memory_order_relaxed);
            continue;
        }
        /* Release: value and error are published by DONE. Acquire: the list. */
        if (atomic_compare_exchange_weak_explicit(&greenlet->state, &state,
                state | GREENLET_DONE, memory_order_acq_rel, memory_order_relaxed))
            break;
    }
    return state & GREENLET_WATCHED ? greenlet->first : NULL;
}

void greenlet_publish_end(struct grove *greenlet)
{
    struct waiter *watcher = close_watchers(greenlet);
    struct worker *worker = worker_self;
    struct grove *current = worker ? worker->current : NULL;

    if (!watcher)
        return;
    if (worker)
        worker->current = NULL; /* links run in the hub */
    while (watcher) {
        struct waiter *next = watcher->next;
        if (watcher->detach == NULL)
            greenlet_call_link(watcher, greenlet);
        else
            waiter_wake(watcher, 0);
        watcher = next;
    }
    if (worker)
        worker->current = current;
}

/*
 * The end. Returns the awaiting greenlet if it may run at once: nothing else is ready,
 * so that it would be next anyway.
 */
static inline __attribute__((always_inline)) struct grove *end(
    struct worker *worker, struct grove *greenlet)
{
    struct grove *joiner = greenlet->joiner;

    stats_add(worker->stats, finished, 1);
    worker->active--;
    /* Relaxed is enough: with one reference beside the runtime's, and that in the hands
     * of a greenlet parked on this very thread, nobody else may know of this one. */
    if (joiner && atomic_load_explicit(&greenlet->state, memory_order_relaxed) ==
                      2 * GREENLET_REFERENCE) {
        atomic_store_explicit(
            &greenlet->state, GREENLET_DONE | GREENLET_REFERENCE, memory_order_relaxed);
    } else {
        greenlet_publish_end(greenlet);
        greenlet_release(greenlet);
        if (!joiner)
            return NULL;
    }
    if (!worker->ready.first && worker->budget > 1) {
        worker->budget--;
        return joiner;
    }
    scheduler_ready(worker, joiner);
    return NULL;
}

/* Gives the running stack up: it becomes the spare, which the next greenlet to start
 * takes first, even while we still run on it (it is entered from its top). */
static inline __attribute__((always_inline)) void give_up_stack(
    struct worker *worker, struct stack *stack)
{
    if (worker->spare)
        stack_release(&worker->stacks, worker->spare);
    stack->owner = NULL;
    worker->spare = stack;
}

/* Inlined into greenlet_main, which must end without a call that doesn't return. */
static inline __attribute__((always_inline)) _Noreturn void finish(
    struct worker *worker, struct grove *greenlet, void *value)
{
    struct activation *activation = greenlet->activation;

    if (__builtin_expect(
            activation->defers || activation->timeouts || activation->locals, 0))
        greenlet_clean_up(greenlet);
#if SANITIZE_SWITCHES
    struct sanitize_stack leaving = activation->sanitize;
#endif
    greenlet->value = value;
    struct stack *stack = activation->stack;
    struct grove *next = end(worker, greenlet);
    give_up_stack(worker, stack);
    if (!next) {
        worker->current = NULL;
        next = scheduler_next(worker);
    }
    worker->current = next;
    stats_add(worker->stats, switches, 1);
#if SANITIZE_SWITCHES
    worker->dead_fiber = leaving.fiber;
    SANITIZE_LEAVE(&leaving, &next->activation->sanitize, 1);
#endif
    if (next->stack_pointer)
        switch_abandon(next->stack_pointer);
    switch_renew(next->activation, greenlet_main);
}

void greenlet_main(void)
{
    struct worker *worker = worker_self;
    struct grove *greenlet = worker->current;

#if SANITIZE_SWITCHES
    scheduler_arrived(worker, NULL);
#endif
    /* NULL means unstarted. One that blocks and then drives the hub itself is never
     * switched away from, but must be told from that when it becomes ready. */
    greenlet->stack_pointer = greenlet->activation;
    thread_state_begin(worker);
    void *value = greenlet->function(greenlet->value);
    /* In a fork's child there is nothing to go back to (fork.h). */
    if (__builtin_expect(worker_self != worker, 0))
        exit(EXIT_SUCCESS);
    finish(worker, greenlet, value);
}

void greenlet_finish(void *value)
{
    finish(worker_self, worker_self->current, value);
}

#if SANITIZE_SWITCHES
void scheduler_arrived(struct worker *worker, struct grove *me)
{
    SANITIZE_ARRIVE(me ? me->activation->sanitize.fake_stack : NULL);
#if SANITIZE_THREAD
    if (worker->dead_fiber) {
        __tsan_destroy_fiber(worker->dead_fiber);
        worker->dead_fiber = NULL;
    }
#else
    (void)worker;
#endif
}
#endif

bool greenlet_claim_unrun(struct grove *greenlet)
{
    uint32_t before = atomic_fetch_or_explicit(
        &greenlet->state, GREENLET_UNRUN, memory_order_acq_rel);

    return !(before & GREENLET_UNRUN);
}

static void *take_locals(struct extra *extra)
{
    void *locals = extra->locals;

    extra->locals = NULL;
    return locals;
}

void greenlet_end_unrun(struct grove *greenlet, int error)
{
    struct extra *extra = extra_of(greenlet);
    void *locals = extra ? take_locals(extra) : NULL;

    if (locals)
        locals_end(&locals);
    greenlet->value = error == ECANCELED ? GROVE_KILLED : NULL;
    greenlet->error = error == ECANCELED ? 0 : error;
    greenlet_publish_end(greenlet);
}

/* Ends what was taken from a queue and can't run, unless its killer was first. Lets go
 * of the queue's reference. */
static void discard(struct worker *worker, struct grove *greenlet, int error)
{
    struct grove *joiner = greenlet->joiner;

    if (greenlet_claim_unrun(greenlet)) {
        greenlet_end_unrun(greenlet, error);
    } else {
        /* The killer knows nothing of joiners here, and may not be done yet. */
        struct spin spin = {0};
        while (!greenlet_done(greenlet))
            spin_once(&spin);
    }
    if (joiner) {
        greenlet->joiner = NULL;
        scheduler_ready(worker, joiner);
    }
    greenlet_release(greenlet);
}

static struct stack *take_stack(struct worker *worker, const struct extra *extra)
{
    struct stack *stack = worker->spare;

    if (__builtin_expect(extra && extra->stack_size, 0))
        return stack_acquire_sized(&worker->stacks, extra->stack_size);
    if (stack && !stack->sized) {
        worker->spare = NULL;
        stack_unpoison(stack);
        return stack;
    }
    return stack_acquire(&worker->stacks);
}

bool greenlet_activate(struct worker *worker, struct grove *greenlet)
{
    atomic_store_explicit(&greenlet->owner, worker, memory_order_relaxed);
    barrier_light(); /* pairs with barrier_heavy in kill.c: either the killer sees the
                        owner, or we see its request */
    int error = atomic_load_explicit(&greenlet->kill_error, memory_order_relaxed);
    if (__builtin_expect(error != 0, 0)) {
        discard(worker, greenlet, error);
        return false;
    }
    struct extra *extra = extra_of(greenlet);
    struct stack *stack = take_stack(worker, extra);
    if (__builtin_expect(stack == NULL, 0)) {
        stats_add(worker->stats, failures, 1);
        discard(worker, greenlet, ENOMEM);
        return false;
    }
    struct activation *activation =
        (void *)((char *)stack_top(stack) - ACTIVATION_SIZE);
    activation->waiting = NULL;
    activation->stack = stack;
    activation->timeouts = NULL;
    activation->defers = NULL;
    activation->locals = extra ? take_locals(extra) : NULL;
    activation->cancellation = NULL;
#if SANITIZE_SWITCHES
    activation->sanitize =
        (struct sanitize_stack){.bottom = stack->limit, .size = stack_usable(stack)};
#endif
#if SANITIZE_THREAD
    activation->sanitize.fiber = __tsan_create_fiber(0);
#endif
    stack->owner = greenlet;
    greenlet->activation = activation;
    worker->active++;
    return true;
}
