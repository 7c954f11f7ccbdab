/* SPDX-License-Identifier: MIT */
#ifndef SCHED_GREENLET_H
#define SCHED_GREENLET_H

/*
 * The record of a greenlet, and what it has besides once it runs.
 *
 * An unstarted greenlet is a record of two cache lines and nothing else; a started one
 * has a stack too, with its activation at the top. Records are type-stable: they come
 * from slabs that are never unmapped (record.c), so that reports may walk all of them.
 *
 * The word [state]: bits 0-7 flags, bits 8-31 references. The runtime holds one
 * reference until the end.
 *   GREENLET_DONE     set once, by who ends it, with release: value and error are valid
 *   GREENLET_LOCK     guards joiners and links; short; nobody takes it after DONE
 *   GREENLET_WATCHED  joiners or links may exist
 *   GREENLET_UNRUN    it will never run; who set it ends it. It still lies in a queue
 *   GREENLET_KILL_SENT  kill_message is under way
 *   GREENLET_MAIN     a thread's main greenlet; constant
 *
 * A greenlet that ends while its last reference but the runtime's is in the hands of a
 * greenlet of the same worker parked in grove_await needs none of that: nobody else may
 * legally know of it any more. That is the usual case of fork and join, and it runs
 * without one locked instruction (greenlet_finish, grove_await).
 *
 * Who may touch what:
 *   next              the run queue, deque or free list it is in
 *   stack_pointer, activation, joiner, attention   its worker
 *   function, value   set by the spawn; value is replaced at the end, before DONE
 *   owner             set by a local spawn, else by the starter, before it runs; with
 *                     NULL it hasn't started. Read by anybody
 *   kill_error        set once by compare-and-swap by a killer; taken back by the
 *                     greenlet (grove_kill_clear)
 *   first, last       under GREENLET_LOCK; after DONE the one who set DONE
 *   kill_message      the killer that set GREENLET_KILL_SENT, until it is delivered
 *   spawned_at        set by the spawn
 *   extra             set before the start, or published once by compare-and-swap by
 *                     anybody (extra.h)
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <grove/greenlet.h>

#include "sched/inbox.h"

struct activation;
struct extra;
struct waiter;
struct worker;

enum {
    GREENLET_DONE = 1,
    GREENLET_LOCK = 2,
    GREENLET_WATCHED = 4,
    GREENLET_UNRUN = 8,
    GREENLET_KILL_SENT = 16,
    GREENLET_MAIN = 32,
    GREENLET_REFERENCE = 1 << 8
};

/*
 * Not 0: the next blocking call takes its slow way (waiter_interrupt). Each
 * grove_timeout that has fired and was not reported counts ATTENTION_TIMEOUT, so all
 * but the lowest bits is their number. ATTENTION_CHANCE is for seeded runs (chance.h),
 * ATTENTION_CANCELLATION says that one of its cancellations has an error.
 */
enum { ATTENTION_CHANCE = 1, ATTENTION_CANCELLATION = 2, ATTENTION_TIMEOUT = 4 };

struct grove {
    struct grove *next;
    void *stack_pointer; /* NULL: unstarted; meaningless while it runs */
    grove_fn function;   /* NULL: a thread's main greenlet, or a free record */
    void *value;         /* the argument until the end, then the value */
    _Atomic(struct worker *) owner;
    struct grove *joiner; /* parked on the same worker in grove_await for this one */
    struct activation *activation;
    _Atomic(uint32_t) state;
    int error;
    /* Second cache line: not needed by a fork and join, but for the id. */
    struct waiter *first, *last;
    uint64_t id;
    struct message kill_message;
    _Atomic(int) kill_error;
    int attention;    /* what its next blocking call has to deal with: see below */
    void *spawned_at; /* an address in who called; NULL of a main greenlet */
    _Atomic(struct extra *) extra;
};

_Static_assert(sizeof(struct grove) == 128, "two cache lines; see design.md");

static inline bool greenlet_done(const struct grove *greenlet)
{
    return atomic_load_explicit(&greenlet->state, memory_order_acquire) & GREENLET_DONE;
}

#endif
