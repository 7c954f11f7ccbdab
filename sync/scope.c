/* SPDX-License-Identifier: MIT */
/* Opening, closing and the deadline of a scope; see scope.h. */
#include "sync/scope.h"

#include <stdlib.h>

#include "sched/container.h"
#include "sched/reference.h"
#include "sched/spawn.h"

/* The layout behind grove_scope_t. */
struct handle {
    struct section section;
    struct scope *scope; /* NULL: closed */
};

_Static_assert(sizeof(struct handle) == sizeof(grove_scope_t), "same object");

/* The scope with a reference, NULL if it is closed. */
static struct scope *hold(grove_scope_t *opaque)
{
    struct handle *handle = (struct handle *)opaque;

    section_enter(&handle->section);
    struct scope *scope = handle->scope;
    if (scope)
        scope_retain(scope);
    section_leave(&handle->section);
    return scope;
}

static void forget(grove_scope_t *opaque)
{
    struct handle *handle = (struct handle *)opaque;

    section_enter(&handle->section);
    handle->scope = NULL;
    section_leave(&handle->section);
}

/* Among those that a cancel of the outer one tells; false if it comes too late. */
static bool join_outer(struct scope *scope, struct scope *outer)
{
    section_enter(&outer->list.section);
    int error = atomic_load_explicit(&outer->cancellation.error, memory_order_relaxed);
    if (error == 0)
        member_link(&outer->inside, &scope->member);
    section_leave(&outer->list.section);
    if (error)
        errno = error;
    return error == 0;
}

static void leave_outer(struct scope *scope, struct scope *outer)
{
    section_enter(&outer->list.section);
    member_unlink(&scope->member);
    section_leave(&outer->list.section);
}

static const struct wait_reason reason = {.text = "the children of its scope"};

static bool never_detach(struct waiter *waiter)
{
    (void)waiter;
    return false;
}

/* Closes it if no child is left. */
static bool close_if_empty(struct scope *scope)
{
    section_enter(&scope->list.section);
    bool empty = scope->closed = scope->living == 0;
    section_leave(&scope->list.section);
    return empty;
}

/* One wait for the last child, if there is one. */
static int wait_until_empty(struct scope *scope, bool interruptible)
{
    struct waiter self;

    (void)waiter_init(&self);
    self.reason = &reason;
    if (!interruptible)
        self.detach = never_detach;
    section_enter(&scope->list.section);
    if (scope->living > 0)
        return waiter_block(&scope->list, &self, GROVE_FOREVER);
    section_leave(&scope->list.section);
    return 0;
}

/* Waits for all children, also for those that are spawned meanwhile. Whatever ends the
 * first wait is the end of its patience: the children are cancelled, and no kill or
 * timeout is heard any more, but kept for later calls of the greenlet. */
static void wait_for_children(struct scope *scope, bool patient)
{
    while (!close_if_empty(scope)) {
        int error = patient ? waiter_interrupt() : 0;
        if (error == 0)
            error = wait_until_empty(scope, patient);
        if (error) {
            scope_cancel(scope, error);
            patient = false;
        }
    }
}

/* Undoes what open did, on the opener's worker. */
static void dismantle(struct scope *scope)
{
    struct scope *outer = scope_outer(scope);

    timers_remove(&worker_self->timers, &scope->timer);
    if (outer)
        leave_outer(scope, outer);
    cancellation_leave(&scope->cancellation);
}

/* The opener ends with the scope open. */
static void abandon(void *arg)
{
    struct scope *scope = arg;

    scope_cancel(scope, ECANCELED);
    wait_for_children(scope, false);
    dismantle(scope);
    if (scope->failed)
        greenlet_release(scope->failed);
    scope_release(scope);
}

static void deadline_passed(struct timer *timer)
{
    scope_cancel(CONTAINER(timer, struct scope, timer), ETIMEDOUT);
}

static struct scope *scope_new(
    struct grove *opener, struct scope *outer, grove_scope_mode mode)
{
    struct scope *scope = calloc(1, sizeof *scope);

    if (!scope)
        return NULL;
    scope->mode = mode;
    scope->cancellation.outer = outer ? &outer->cancellation : NULL;
    scope->cancellation.greenlet = opener;
    scope->timer.fire = deadline_passed;
    atomic_init(&scope->references, 1);
    atomic_init(&scope->deadline, TIMERS_NEVER);
    return scope;
}

int grove_scope_open(grove_scope_t *opaque, grove_scope_mode mode)
{
    if (!opaque || (unsigned)mode > GROVE_COLLECT_ALL)
        return answer(EINVAL);
    struct worker *worker = worker_enter();
    if (!worker)
        return -1;
    struct grove *me = worker->current;
    if (!me)
        return answer(EPERM);
    struct scope *outer = scope_current(me);
    struct scope *scope = scope_new(me, outer, mode);
    if (!scope)
        return -1;
    if (outer && !join_outer(scope, outer)) {
        scope_release(scope);
        return -1;
    }
    cancellation_enter(&scope->cancellation);
    defer_push(&scope->defer, abandon, scope);
    *(struct handle *)opaque = (struct handle){.scope = scope};
    return 0;
}

static grove_t *spawn_into(
    grove_scope_t *opaque, const grove_attr_t *attr, grove_fn fn, void *arg, void *site)
{
    struct scope *scope = opaque ? hold(opaque) : NULL;

    if (!scope) {
        errno = opaque ? ECANCELED : EINVAL;
        return NULL;
    }
    grove_t *greenlet = scope_spawn(scope, attr, fn, arg, site);
    scope_release(scope);
    return greenlet;
}

grove_t *grove_scope_spawn_with(
    grove_scope_t *opaque, const grove_attr_t *attr, grove_fn fn, void *arg)
{
    return spawn_into(opaque, attr, fn, arg, CALL_SITE);
}

grove_t *grove_scope_spawn(grove_scope_t *opaque, grove_fn fn, void *arg)
{
    return spawn_into(opaque, NULL, fn, arg, CALL_SITE);
}

grove_t *grove_scope_go(grove_scope_t *opaque, grove_fn fn, void *arg)
{
    return spawn_into(opaque, &scope_anywhere, fn, arg, CALL_SITE);
}

int grove_scope_cancel(grove_scope_t *opaque)
{
    struct scope *scope = opaque ? hold(opaque) : NULL;

    if (!opaque)
        return answer(EINVAL);
    if (scope) {
        scope_cancel(scope, ECANCELED);
        scope_release(scope);
    }
    return 0;
}

/* NULL with errno EPERM unless the caller is its opener: then nobody closes it now. */
static struct scope *opened_by_caller(grove_scope_t *opaque)
{
    const struct worker *worker = worker_self;
    struct scope *scope = opaque ? hold(opaque) : NULL;

    if (!scope) {
        errno = opaque ? EPERM : EINVAL;
        return NULL;
    }
    bool mine = worker && worker->current == scope->cancellation.greenlet;
    scope_release(scope);
    if (!mine)
        errno = EPERM;
    return mine ? scope : NULL;
}

int grove_scope_deadline(grove_scope_t *opaque, double seconds)
{
    if (seconds != seconds)
        return answer(EINVAL);
    struct scope *scope = opened_by_caller(opaque);
    if (!scope)
        return -1;
    struct timers *timers = &worker_self->timers;
    nanoseconds deadline = seconds < 0 ? TIMERS_NEVER : timers_deadline(seconds);
    timers_remove(timers, &scope->timer);
    atomic_store_explicit(&scope->deadline, TIMERS_NEVER, memory_order_relaxed);
    if (seconds == 0)
        scope_cancel(scope, ETIMEDOUT);
    if (seconds == 0 || deadline == TIMERS_NEVER)
        return 0;
    if (timers_add(timers, &scope->timer, deadline) < 0)
        return -1;
    atomic_store_explicit(&scope->deadline, deadline, memory_order_relaxed);
    return 0;
}

int grove_scope_close_with(grove_scope_t *opaque, grove_t **failed)
{
    struct scope *scope = opened_by_caller(opaque);

    if (!scope)
        return -1;
    if (scope_current(worker_self->current) != scope)
        return answer(EBUSY);
    wait_for_children(scope, true);
    forget(opaque);
    defer_remove(&scope->defer);
    dismantle(scope);
    int outcome = scope->outcome;
    if (failed)
        *failed = scope->failed;
    else if (scope->failed)
        greenlet_release(scope->failed);
    scope_release(scope);
    return answer(outcome);
}

int grove_scope_close(grove_scope_t *opaque)
{
    return grove_scope_close_with(opaque, NULL);
}
