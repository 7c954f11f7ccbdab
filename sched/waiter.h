/* SPDX-License-Identifier: MIT */
#ifndef SCHED_WAITER_H
#define SCHED_WAITER_H

/*
 * One waiter type and one protocol for everything that blocks.
 *
 * A waiter lies on the stack of who waits. It is published somewhere (in the wait list
 * of an object, under the object's section; or in a table of the waiting thread alone)
 * and then its greenlet parks. Exactly one party takes it out again and thereby wins:
 *
 *   wake      whoever makes the condition true takes it off the list under the section
 *   timeout   the timer fires on the greenlet's own worker and calls detach()
 *   kill      is carried to the greenlet's own worker and calls detach() there
 *
 * The section decides: detach() returns false when a waker was first, and then leaves
 * the greenlet parked, for its wake is on the way. So no compare-and-swap is needed,
 * and an item handed over in [item] can't be lost to a timeout. Wakes never switch:
 * they make the greenlet ready, by its worker's inbox if the waker is on another
 * thread. As a greenlet never leaves its worker, a wake that comes before it has parked
 * simply waits in the inbox; no "about to park" state is needed. Between its wake and
 * its next run a waiter may be detached again (a kill after a timeout): the second time
 * must return false.
 *
 * Who waits for several objects at once publishes a waiter in each, all with the same
 * choice. There the section of one object can't decide, so the choice does: its winner
 * is set by compare-and-swap, once, by a waker inside the section of its object
 * (waiter_claim) or by who gives up (choice_decide). A waiter whose choice went to
 * another is a loser: a waker that meets it takes it out and passes on. Its last access
 * to a loser is the store of NULL to list, so the loser's owner, having found NULL or
 * been inside the section himself, may let it go.
 *
 * A waiter may also stand for a function instead of a greenlet: see waiter_init_call.
 *
 *   next, prev, list   under the section of list (list itself is also read without, by
 *                      detach, to find the section or that it is in none)
 *   result, item       written by who won, before the wake; read after it
 *   message.next       the waker's, once
 *   timer, since, expired   the greenlet's worker
 *   greenlet, home, detach, choice, reason   constant while published
 *   winner of a choice   as said: release by who sets it, acquire by who reads it
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/base.h>

#include "sched/inbox.h"
#include "sched/section.h"
#include "sched/timers.h"

struct waiter;

/* The layout behind the public grove_waiters_t; all zero is empty. */
struct wait_list {
    struct section section;
    struct waiter *first, *last;
};

_Static_assert(sizeof(struct wait_list) == sizeof(grove_waiters_t), "same object");

/* Several waiters of which one may win. */
struct choice {
    _Atomic(struct waiter *) winner; /* NULL: open */
    struct waiter *parked;           /* in no list; the winner too when given up */
};

/* What somebody waits for, as reports say it. */
struct wait_reason {
    const char *text; /* "a lock" */
    /* Who could end the wait, by number, as it may have ended and its record be
     * another's by now; NULL or 0: nobody in particular. Any thread, while it is in its
     * list: a guess. */
    uint64_t (*holder)(const struct waiter *waiter);
    const char *relation; /* of the holder to it; NULL: "held by" */
    /* Of the wait list within the object whose address is reported; negative: there is
     * none to name. */
    ptrdiff_t list_offset;
};

struct waiter {
    /* First, and in 72 bytes, all that a waker on another core touches. */
    struct waiter *next, *prev;
    _Atomic(struct wait_list *) list; /* NULL: in none */
    struct worker *home;              /* NULL: a plain thread, asleep on [awake] */
    void *item;
    struct message message; /* its deliver is set by the waiter itself */
    int result;             /* 0, or the errno value with which the wait ends */
    _Atomic(uint32_t) awake;
    struct choice *choice; /* NULL: waits for this object alone */
    struct grove *greenlet;
    bool (*detach)(struct waiter *waiter); /* true: taken out, and nobody else will */
    bool expired; /* its own timeout ended the wait: no grove_timeout, no kill */
    struct timer timer;
    const struct wait_reason *reason; /* NULL: nothing to be said */
    nanoseconds since;                /* about: when its worker last read the clock */
};

/*
 * The error with which any blocking call of the caller has to fail at once (it is being
 * killed, or a grove_timeout has fired); 0 if none. A timeout's is consumed by this.
 * Every blocking call with a timeout other than 0 begins with it.
 */
int waiter_interrupt(void);

/* detach() of a waiter in a wait list. */
bool waiter_detach_list(struct waiter *waiter);

int waiter_init_slow(struct waiter *waiter);

/* Makes the waiter ready: what its message does on its worker. */
void waiter_deliver(struct message *message);

/* Prepares a waiter for the calling greenlet or thread. Starts the runtime on first
 * use: -1 with errno if that fails, or EDEADLK in a hub callback. */
static inline int waiter_init(struct waiter *waiter)
{
    struct worker *worker = worker_self;

    atomic_store_explicit(&waiter->list, NULL, memory_order_relaxed);
    waiter->detach = waiter_detach_list;
    waiter->result = 0;
    waiter->expired = false;
    waiter->timer.id = 0;
    waiter->choice = NULL;
    waiter->reason = NULL;
    waiter->home = worker;
    waiter->message.deliver = waiter_deliver;
    if (__builtin_expect(!worker || !worker->current, 0))
        return waiter_init_slow(waiter);
    waiter->greenlet = worker->current;
    return 0;
}

/* Prepares a waiter that stands for a function: who takes it out and calls waiter_wake
 * calls call(&waiter->message) thereby, on its own thread, outside sections; it must
 * not block. Afterwards the waiter isn't touched. */
void waiter_init_call(struct waiter *waiter, void (*call)(struct message *message));

/* Appends to the list. Inside its section. */
static inline void waiter_link(struct wait_list *list, struct waiter *waiter)
{
    waiter->next = NULL;
    waiter->prev = list->last;
    if (list->last)
        list->last->next = waiter;
    else
        list->first = waiter;
    list->last = waiter;
    atomic_store_explicit(&waiter->list, list, memory_order_relaxed);
}

/* Takes out. Inside its section; [waiter] is in the list. */
static inline void waiter_unlink(struct wait_list *list, struct waiter *waiter)
{
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        list->first = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    else
        list->last = waiter->prev;
    /* Release: the last access to a loser. */
    atomic_store_explicit(&waiter->list, NULL, memory_order_release);
}

/* Sets who wins a choice, if it is open. */
static inline bool choice_decide(struct choice *choice, struct waiter *winner)
{
    struct waiter *none = NULL;

    return atomic_compare_exchange_strong_explicit(
        &choice->winner, &none, winner, memory_order_acq_rel, memory_order_acquire);
}

/* Whether the caller may wake the waiter: false for a loser. Inside its section, before
 * it is taken out; true at most once. */
static inline bool waiter_claim(struct waiter *waiter)
{
    return __builtin_expect(waiter->choice == NULL, 1) ||
           choice_decide(waiter->choice, waiter);
}

/* Takes out and returns the first that is no loser, NULL if none. Inside its section.
 * The caller then leaves the section and calls waiter_wake. */
static inline struct waiter *waiter_pop(struct wait_list *list)
{
    struct waiter *waiter;

    while ((waiter = list->first)) {
        bool claimed = waiter_claim(waiter);
        waiter_unlink(list, waiter);
        if (__builtin_expect(claimed, 1))
            break;
    }
    return waiter;
}

/*
 * Waits: called with the waiter published and no section held. Returns 0 when woken, or
 * the result given to waiter_wake, or ETIMEDOUT, or the error of a kill, EDEADLK,
 * ENOMEM. In each case the waiter is in no list any more. Switches; a plain thread
 * sleeps.
 */
int waiter_park(struct waiter *waiter, double timeout);

/*
 * The whole of a usual blocking call: inside the section of [list] links the waiter,
 * leaves the section and parks. Returns as waiter_park.
 */
int waiter_block(struct wait_list *list, struct waiter *waiter, double timeout);

void waiter_wake_elsewhere(struct waiter *waiter);

/* Makes the waiter's greenlet ready (or wakes its thread) with that result. The caller
 * has taken it out; outside any section. Any thread. On return it may be gone. */
static inline void waiter_wake(struct waiter *waiter, int result)
{
    struct worker *worker = worker_self;

    waiter->result = result;
    if (__builtin_expect(waiter->home == worker && worker, 1))
        runqueue_push(&worker->ready, waiter->greenlet);
    else
        waiter_wake_elsewhere(waiter);
}

/* Takes every waiter off the list; those that are no losers as a chain by next. Inside
 * its section. */
struct waiter *waiter_pop_all(struct wait_list *list);

/* waiter_wake along a chain by next. */
void waiter_wake_chain(struct waiter *first, int result);

/* The waiter on which a greenlet is parked must end with [error], if nobody was first.
 * On the greenlet's own worker. */
void waiter_cancel(struct waiter *waiter, int error);

#endif
