/* SPDX-License-Identifier: MIT */
#ifndef SCHED_THREAD_STATE_H
#define SCHED_THREAD_STATE_H

/*
 * What the C and C++ runtimes keep per thread and a greenlet thinks its own: errno, and
 * in C++ programs the exceptions being handled (the first two words of what the C++ ABI
 * calls __cxa_eh_globals). Kept on the greenlet's stack around a switch, from before
 * the next greenlet is searched for, as hub callbacks run in between.
 */

#include "sched/worker.h"

struct thread_exceptions {
    void *caught;
    unsigned int uncaught;
};

struct thread_state {
    int error;
    struct thread_exceptions exceptions;
};

static inline void thread_state_save(
    const struct worker *worker, struct thread_state *state)
{
    state->error = *worker->errno_address;
    if (__builtin_expect(worker->exceptions != NULL, 0))
        state->exceptions = *worker->exceptions;
}

static inline void thread_state_restore(
    const struct worker *worker, const struct thread_state *state)
{
    *worker->errno_address = state->error;
    if (__builtin_expect(worker->exceptions != NULL, 0))
        *worker->exceptions = state->exceptions;
}

/* That of a greenlet that begins. */
static inline void thread_state_begin(const struct worker *worker)
{
    thread_state_restore(worker, &(struct thread_state){0});
}

#endif
