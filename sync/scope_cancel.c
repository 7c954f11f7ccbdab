/* SPDX-License-Identifier: MIT */
/* References and cancels of scopes; see scope.h. */
#include <stdlib.h>

#include "sched/container.h"
#include "sched/reference.h"
#include "sync/scope.h"

void member_link(struct member **list, struct member *member)
{
    member->next = *list;
    member->link = list;
    if (*list)
        (*list)->link = &member->next;
    *list = member;
}

void member_unlink(struct member *member)
{
    if (!member->link)
        return;
    *member->link = member->next;
    if (member->next)
        member->next->link = member->link;
    member->link = NULL;
}

void scope_retain(struct scope *scope)
{
    atomic_fetch_add_explicit(&scope->references, 1, memory_order_relaxed);
}

void scope_release(struct scope *scope)
{
    /* Release, and acquire by the last: all uses come before the end. */
    if (atomic_fetch_sub_explicit(&scope->references, 1, memory_order_acq_rel) == 1)
        free(scope);
}

struct scope *scope_current(const struct grove *greenlet)
{
    struct cancellation *innermost = greenlet->activation->cancellation;

    return innermost ? CONTAINER(innermost, struct scope, cancellation) : NULL;
}

struct scope *scope_outer(const struct scope *scope)
{
    struct cancellation *outer = scope->cancellation.outer;

    return outer ? CONTAINER(outer, struct scope, cancellation) : NULL;
}

/* Sets its error if it has none, and then puts it in front of the chain [told], which
 * takes over the caller's reference. */
static void mark(struct scope *scope, int reason, struct scope **told)
{
    struct grove *opener = NULL;

    section_enter(&scope->list.section);
    bool first = !scope->closed && atomic_load_explicit(&scope->cancellation.error,
                                       memory_order_relaxed) == 0;
    if (first) {
        if (scope->outcome == 0)
            scope->outcome = reason;
        atomic_store_explicit(&scope->cancellation.error,
            reason == ETIMEDOUT ? ETIMEDOUT : ECANCELED, memory_order_release);
        /* It lives: it has to come through this section before it can end. */
        opener = scope->cancellation.greenlet;
        greenlet_retain(opener);
    }
    section_leave(&scope->list.section);
    if (!first) {
        scope_release(scope);
        return;
    }
    greenlet_interrupt(opener);
    greenlet_release(opener);
    scope->next_told = *told;
    *told = scope;
}

static void tell_children(struct scope *scope, int error)
{
    for (;;) {
        struct grove *greenlet = NULL;
        section_enter(&scope->list.section);
        struct member *member = scope->children;
        if (member) {
            member_unlink(member);
            greenlet = CONTAINER(member, struct child, member)->greenlet;
            /* It hasn't told of its end, so the runtime still has its reference. */
            greenlet_retain(greenlet);
        }
        section_leave(&scope->list.section);
        if (!greenlet)
            return;
        grove_kill_with(greenlet, error, 0);
        greenlet_release(greenlet);
    }
}

static void tell_inside(struct scope *scope, int error, struct scope **told)
{
    for (;;) {
        struct scope *inside = NULL;
        section_enter(&scope->list.section);
        if (scope->inside) {
            inside = CONTAINER(scope->inside, struct scope, member);
            member_unlink(&inside->member);
            scope_retain(inside);
        }
        section_leave(&scope->list.section);
        if (!inside)
            return;
        mark(inside, error, told);
    }
}

void scope_cancel(struct scope *scope, int reason)
{
    struct scope *told = NULL;

    scope_retain(scope);
    mark(scope, reason, &told);
    while (told) {
        struct scope *next = told;
        int error =
            atomic_load_explicit(&next->cancellation.error, memory_order_relaxed);
        told = next->next_told;
        tell_inside(next, error, &told);
        tell_children(next, error);
        scope_release(next);
    }
}
