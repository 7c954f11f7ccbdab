/* SPDX-License-Identifier: MIT */
/* The children of a scope: how they begin, end and are told; see scope.h. */
#include <stdlib.h>

#include "sched/clock.h"
#include "sched/container.h"
#include "sched/reference.h"
#include "sched/spawn.h"
#include "sync/scope.h"

const grove_attr_t scope_anywhere = {.affinity = GROVE_ANY};

/* One child less. Inside the section; who leaves it wakes the closer returned. */
static struct waiter *count_end(struct scope *scope)
{
    return --scope->living == 0 ? waiter_pop(&scope->list) : NULL;
}

/* It has ended, in whatever way. True: nobody else knows of it any more. */
static bool child_over(grove_t *greenlet, struct child *child)
{
    struct scope *scope = child->scope;
    bool cancels = false;

    section_enter(&scope->list.section);
    member_unlink(&child->member);
    /* What fails because of the cancel isn't what went wrong. */
    if (greenlet->error && scope->outcome == 0) {
        scope->outcome = greenlet->error;
        scope->failed = greenlet;
        greenlet_retain(greenlet);
        cancels = scope->mode == GROVE_CANCEL_ON_FAILURE;
    }
    child->ended = true;
    bool registered = child->registered;
    section_leave(&scope->list.section);
    if (cancels)
        scope_cancel(scope, ECANCELED);
    /* Counted only now, so that the closer can't be gone before the cancel. */
    section_enter(&scope->list.section);
    struct waiter *closer = count_end(scope);
    section_leave(&scope->list.section);
    if (closer)
        waiter_wake(closer, 0);
    scope_release(scope);
    return registered;
}

/* The link. */
static void child_ended(grove_t *greenlet, void *arg)
{
    struct child *child = arg;

    if (child_over(greenlet, child))
        free(child);
}

static nanoseconds deadline_of(const struct scope *scope)
{
    return atomic_load_explicit(&scope->deadline, memory_order_relaxed);
}

/* A timer of [worker] for its deadline would fire when the opener's does, or before
 * that if the opener's thread computes. */
static bool worth_watching(const struct scope *scope, const struct worker *worker)
{
    const struct worker *opener = atomic_load_explicit(
        &scope->cancellation.greenlet->owner, memory_order_relaxed);

    return deadline_of(scope) != TIMERS_NEVER && opener != worker &&
           clock_virtual_for(opener) == clock_virtual_for(worker);
}

/* The scope around the child of which the deadline comes first; NULL: none has one. A
 * look at each time: deadlines are set and put off while others are open inside. */
static struct scope *first_due(const struct child *child, const struct worker *worker)
{
    struct scope *first = NULL;

    for (struct scope *scope = child->scope; scope; scope = scope_outer(scope))
        if (worth_watching(scope, worker) &&
            (!first || deadline_of(scope) < deadline_of(first)))
            first = scope;
    return first;
}

/* The opener's thread may compute when the deadline passes, so each worker watches it
 * for its own children. */
static void deadline_passed(struct timer *timer)
{
    struct child *child = CONTAINER(timer, struct child, timer);
    struct scope *scope = first_due(child, worker_self);

    if (!scope)
        return;
    nanoseconds deadline = deadline_of(scope);
    if (timers_clock() >= deadline)
        scope_cancel(scope, ETIMEDOUT);
    else if (deadline != TIMERS_NEVER) /* it was put off */
        (void)timers_add(&worker_self->timers, timer, deadline);
}

static void unwatch_deadline(void *arg)
{
    struct child *child = arg;

    timers_remove(&worker_self->timers, &child->timer);
}

/* Without memory for a timer the opener's is all there is. */
static void watch_deadline(struct child *child, struct worker *worker)
{
    const struct scope *scope = first_due(child, worker);

    if (!scope)
        return;
    child->timer.fire = deadline_passed;
    if (timers_add(&worker->timers, &child->timer, deadline_of(scope)) < 0)
        return;
    defer_push(&child->defer, unwatch_deadline, child);
}

static void *child_run(void *arg)
{
    struct child *child = arg;
    struct worker *worker = worker_self;

    worker->current->activation->cancellation = &child->scope->cancellation;
    watch_deadline(child, worker);
    return child->fn(child->arg);
}

/* Counts it in, so that the scope stays open. False: it is cancelled or closed. */
static bool admit(struct scope *scope)
{
    section_enter(&scope->list.section);
    bool admitted = !scope->closed && atomic_load_explicit(&scope->cancellation.error,
                                          memory_order_relaxed) == 0;
    if (admitted)
        scope->living++;
    section_leave(&scope->list.section);
    return admitted;
}

static void take_back(struct scope *scope)
{
    section_enter(&scope->list.section);
    struct waiter *closer = count_end(scope);
    section_leave(&scope->list.section);
    if (closer)
        waiter_wake(closer, 0);
}

/* It may have started, and ended, since. Kills it if a cancel came in between. */
static void enlist(struct scope *scope, struct child *child, struct grove *greenlet)
{
    int error = 0;

    child->link.function = child_ended;
    child->link.arg = child;
    child->link.borrowed = true;
    child->greenlet = greenlet;
    if (!watch_add(greenlet, &child->link.waiter))
        (void)child_over(greenlet, child); /* not registered yet: still ours */
    section_enter(&scope->list.section);
    child->registered = true;
    bool ended = child->ended;
    if (!ended) {
        error = atomic_load_explicit(&scope->cancellation.error, memory_order_relaxed);
        if (error == 0)
            member_link(&scope->children, &child->member);
    }
    section_leave(&scope->list.section);
    if (error)
        grove_kill_with(greenlet, error, 0);
    if (ended)
        free(child);
}

grove_t *scope_spawn(
    struct scope *scope, const grove_attr_t *attr, grove_fn fn, void *arg, void *site)
{
    if (!fn) {
        errno = EINVAL;
        return NULL;
    }
    struct child *child = calloc(1, sizeof *child);
    if (!child)
        return NULL;
    if (!admit(scope)) {
        free(child);
        errno = ECANCELED;
        return NULL;
    }
    child->scope = scope;
    child->fn = fn;
    child->arg = arg;
    scope_retain(scope);
    struct grove *greenlet = attr == &scope_anywhere
                                 ? spawn_go_for(child_run, child, site)
                                 : spawn_for(attr, child_run, child, site);
    if (!greenlet) {
        int error = errno;
        take_back(scope);
        scope_release(scope);
        free(child);
        errno = error;
        return NULL;
    }
    enlist(scope, child, greenlet);
    return greenlet;
}
