/* SPDX-License-Identifier: MIT */
#ifndef SCHED_INBOX_H
#define SCHED_INBOX_H

/*
 * What other threads send to a worker: an intrusive stack that any thread pushes to and
 * of which the worker takes all at once, so that no element is ever popped singly and
 * ABA can't arise. The worker reverses what it took: delivery is first come first
 * served for each sender.
 *
 *   top     pushed to by compare-and-swap from any thread; taken by exchange by the
 *           worker. seq_cst, as the sender then looks whether the worker sleeps
 *           (worker_send) and the worker looks here after announcing its sleep (idle.c)
 *   next    the sender's until pushed, the worker's afterwards
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct message {
    struct message *next;
    /* Runs on the receiving worker, from its hub: must not block. The message may be
     * gone, or sent again, as soon as it is entered. */
    void (*deliver)(struct message *message);
};

struct inbox {
    _Atomic(struct message *) top;
};

static inline void inbox_push(struct inbox *inbox, struct message *message)
{
    struct message *top = atomic_load_explicit(&inbox->top, memory_order_relaxed);

    do {
        message->next = top;
    } while (!atomic_compare_exchange_weak_explicit(
        &inbox->top, &top, message, memory_order_seq_cst, memory_order_relaxed));
}

static inline bool inbox_empty(struct inbox *inbox)
{
    return atomic_load_explicit(&inbox->top, memory_order_seq_cst) == NULL;
}

/* All messages, oldest first. The worker. */
static inline struct message *inbox_take(struct inbox *inbox)
{
    struct message *newest =
        atomic_exchange_explicit(&inbox->top, NULL, memory_order_acquire);
    struct message *oldest = NULL;

    while (newest) {
        struct message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

#endif
