/* SPDX-License-Identifier: MIT */
#ifndef SYNC_SCOPE_H
#define SYNC_SCOPE_H

/*
 * A scope, its children, and the scopes inside it.
 *
 * It lies on the heap, and the public struct only points to it: a greenlet that returns
 * with a scope open has given up the frame of the public struct, while its children
 * still run. References: the opener's, one of each child, one of each call under way.
 *
 * A cancel walks down without a recursion and without a section inside another: who
 * sets [error] of a scope owns the duty to tell its children and the scopes inside, and
 * keeps those that have to be told next in a chain by next_told. Whoever is told is
 * taken off its list, so the walk ends; what comes later finds [error] and isn't let
 * in. Between two sections a scope or a greenlet is held by a reference.
 *
 *   handle's section   which scope it is, against a close at the same time
 *   list       the closer; its section guards the rest, but
 *   cancellation, mode, link.function   constant but for error, which is set inside
 *   deadline   written by the opener, read by children
 *   timer, defer   the opener's worker
 *   next_told  who set error
 *   of a child: greenlet, link   its spawner, before it is registered
 *               ended, registered   inside; the second to be set frees it
 *               timer, defer        its own worker
 */

#include <grove/scope.h>

#include "sched/cancellation.h"
#include "sched/defer.h"
#include "sched/timers.h"
#include "sched/watch.h"
#include "sync/blocking.h"

/* In a list of those who have to be told of a cancel. */
struct member {
    struct member *next, **link; /* link NULL: in none */
};

struct scope {
    struct wait_list list;
    _Atomic(uint32_t) references;
    struct cancellation cancellation; /* its outer: the scope around */
    grove_scope_mode mode;
    int outcome;             /* what close returns: the first that went wrong */
    bool closed;             /* empty, and its opener has seen that */
    size_t living;           /* children that have not ended */
    struct grove *failed;    /* the first child that failed, with a reference */
    struct member *children; /* to be told */
    struct member *inside;   /* scopes to be told */
    struct member member;    /* in [inside] of the outer one, under its section */
    struct scope *next_told;
    _Atomic(nanoseconds) deadline; /* TIMERS_NEVER: none */
    struct timer timer;
    struct defer defer;
};

struct child {
    struct member member;
    struct scope *scope;
    struct grove *greenlet;
    grove_fn fn;
    void *arg;
    struct link link;
    struct timer timer;
    struct defer defer;
    bool ended, registered;
};

void member_link(struct member **list, struct member *member);
void member_unlink(struct member *member);

void scope_retain(struct scope *scope);
void scope_release(struct scope *scope);

/* The scope that the running greenlet is in, its own innermost first. NULL: none. */
struct scope *scope_current(const struct grove *greenlet);

/* The one around it, which lasts as long as it is open. NULL: none. */
struct scope *scope_outer(const struct scope *scope);

/* Cancels it and all inside because of [reason]. The caller has a reference. Any
 * thread, outside sections. */
void scope_cancel(struct scope *scope, int reason);

/* Spawns into it. The caller has a reference. [site]: see sched/spawn.h. */
grove_t *scope_spawn(
    struct scope *scope, const grove_attr_t *attr, grove_fn fn, void *arg, void *site);

/* Attributes of grove_go. */
extern const grove_attr_t scope_anywhere;

#endif
