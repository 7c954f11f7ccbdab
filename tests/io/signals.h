/* SPDX-License-Identifier: MIT */
/*
 * What the tests of signals share. Signals are raised by the thread that must not go on
 * before the handler has run (raise, not kill): what is then still to come is the
 * delivery.
 */
#ifndef TESTS_IO_SIGNALS_H
#define TESTS_IO_SIGNALS_H

#include <grove.h>

#include <pthread.h>
#include <signal.h>

#include "io/signal_source.h"
#include "tests/sched/runtimes.h"

static inline void *caught_by(int number)
{
    struct sigaction now;

    sigaction(number, NULL, &now);
    return (void *)now.sa_handler;
}

static inline bool is_default(int number)
{
    return caught_by(number) == (void *)SIG_DFL;
}

/* How many wait for the signal now. */
static inline int waiting(struct signal_source *source)
{
    int count = 0;

    section_enter(&source->list.section);
    for (struct waiter *waiter = source->list.first; waiter; waiter = waiter->next)
        count++;
    section_leave(&source->list.section);
    return count;
}

/* Keeps it caught, so that no raise is fatal. */
static inline struct signal_source *hold(int number)
{
    uint64_t seen;
    struct signal_source *source = signal_source_hold(number, &seen);

    if (!source) {
        CHECK(source != NULL);
        abort();
    }
    return source;
}

static inline void until_waiting(struct signal_source *source, int count)
{
    while (waiting(source) != count)
        grove_sleep(0.0001);
}

static inline void *wait_once(void *arg)
{
    return grove_signal_wait((int)(long)arg, GROVE_FOREVER) == 0 ? NULL
                                                                 : (void *)(long)errno;
}

struct calls {
    _Atomic(int) begun;
    _Atomic(int) count;
    _Atomic(int) last_number;
    _Atomic(grove_t *) last_greenlet;
    _Atomic(int) last_worker;
    grove_semaphore_t called;
};

static const struct calls no_calls = {.called = GROVE_SEMAPHORE_INIT(0)};

static inline void note(int number, void *arg)
{
    struct calls *calls = arg;

    calls->begun++;
    calls->last_number = number;
    calls->last_greenlet = grove_current();
    calls->last_worker = grove_worker_self();
    grove_sleep(0); /* a handler may switch */
    calls->count++;
    grove_semaphore_release(&calls->called);
}

static inline void await_call(struct calls *calls)
{
    CHECK_EQUAL(grove_semaphore_acquire(&calls->called, GROVE_FOREVER), 0);
}

#endif
