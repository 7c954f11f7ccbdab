/* SPDX-License-Identifier: MIT */
#ifndef SYNC_SELECT_H
#define SYNC_SELECT_H

/*
 * How several cases are waited for, whatever they are; the kinds are in select_kinds.c
 * and, for what only io/ knows, in io/select.c.
 *
 * First every case is attempted, as a call with a timeout of 0 would. If none could
 * happen, a waiter is published for each, all with one choice, and the caller parks;
 * whoever can let one happen claims it. An object that turns out to be ready while it
 * is being published to has come too late for the attempt: then the caller gives the
 * choice up, takes its waiters out and begins anew. (If he can't give up, another has
 * won already.)
 *
 * So an operation happens in two ways only: by the caller while none of his waiters is
 * anywhere, or by another on a waiter that has been claimed. Two selects that meet in
 * a channel need no more: the one that comes second finds the other's waiter, starts
 * over and claims it. (Claiming both choices in place would need a third state, and
 * somebody who waits for it to pass.) Both may give up at the same time and begin anew;
 * that may repeat only while they run in lockstep.
 */

#include <grove/select.h>

#include "sync/blocking.h"

/* Room for the waiter of a case, of whatever type its kind has. */
struct select_slot {
    struct waiter waiter;
    uintptr_t room[12];
};

enum select_outcome {
    SELECT_PUBLISHED,
    SELECT_READY,    /* not published: an attempt would succeed, or fail otherwise */
    SELECT_HAPPENED, /* not published: it has happened since [begin], for [collect] */
    SELECT_FAILED    /* not published, for the reason in errno */
};

struct select_kind {
    /* 0, or the errno value with which the case is refused. */
    int (*check)(const grove_case_t *one);
    /* Does it, if that can be done now: fills item and error in and returns true. */
    bool (*attempt)(grove_case_t *one);
    /* Sets up and publishes slot->waiter, which is prepared, and has its choice. */
    enum select_outcome (*publish)(grove_case_t *one, struct select_slot *slot);
    /* Takes it out again. Afterwards nobody knows of the slot. */
    void (*withdraw)(grove_case_t *one, struct select_slot *slot);
    /* After its waiter has won: fills item and error in. */
    void (*collect)(grove_case_t *one, struct select_slot *slot);
    /* Around all that happens in the slot, however often it begins anew: 0 or an errno
     * value. NULL: nothing to be done. */
    int (*begin)(const grove_case_t *one, struct select_slot *slot);
    void (*end)(struct select_slot *slot);
};

/* The index of the case that happened, or -1 with errno. [kinds] is indexed by
 * grove_case_kind and has [kind_count] entries; NULL: nothing to be waited for. */
int select_run(grove_case_t *cases, size_t n, double timeout,
    const struct select_kind *const *kinds, size_t kind_count);

extern const struct select_kind select_get, select_put, select_event, select_result,
    select_end, select_semaphore, select_lock;

#endif
