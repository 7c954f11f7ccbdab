/* SPDX-License-Identifier: MIT */
#ifndef SCHED_HELPERS_H
#define SCHED_HELPERS_H

/*
 * Threads of the layers above that run no greenlets, but work for some and wake them
 * when it is done: what the deadlock detection and the shutdown must know of them.
 *
 * Without work such a thread wakes nobody, so it must not hide a deadlock as the
 * program's own threads do; while there is work, a wake may be on its way.
 *
 *   threads, work    counted up and down by anybody
 *   kinds            registered before there is a helper of the kind, for good
 *   helpers_self     its thread
 */

#include <stdbool.h>

struct helpers_kind {
    /* Asks all of the kind to end as soon as what they do now is done; what waits to be
     * done is given up. True if none exists any more. Called again and again by
     * grove_shutdown, while greenlets still run. */
    bool (*end)(void);
    struct helpers_kind *next;
};

/* From a constructor. */
void helpers_register(struct helpers_kind *kind);

/* Asks those of all kinds. */
bool helpers_end(void);

/* The calling thread is one: it may use the library while a shutdown waits for it. */
extern __thread bool helpers_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* After one was made; before one ends. Any thread. */
void helpers_count(int change);

/* Before work is given to one; after it is done and all have been woken who wait for
 * that, by the helper, or given up, by anybody. */
void helpers_work_begins(void);
void helpers_work_ends(void);

int helpers_threads(void);
bool helpers_at_work(void);

#endif
