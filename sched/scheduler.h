/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SCHEDULER_H
#define SCHED_SCHEDULER_H

/*
 * What runs next on a worker, and getting there. All of it on the worker's own thread.
 *
 * One turn: run queue -> own deque -> inbox -> hub without blocking -> work injected by
 * plain threads -> steal -> sleep in the hub. The first two are inline; a count of
 * switches (the budget) sends even the busiest worker through scheduler_tick.
 */

#include "sched/greenlet.h"
#include "sched/switch.h"
#include "sched/thread_state.h"
#include "sched/worker.h"

/* Everything after the own deque; sleeps if need be. Never NULL. */
struct grove *scheduler_search(struct worker *worker);

/* Timers, inbox, hub, fairness between the queues; sets the next budget. */
void scheduler_tick(struct worker *worker);

/* Gives an unstarted greenlet a stack and an activation on this worker. False when it
 * has ended instead: killed before its start, or no memory for a stack. */
bool greenlet_activate(struct worker *worker, struct grove *greenlet);

#if SANITIZE_SWITCHES
/* First thing on the other side of a switch; [me] is NULL where a greenlet starts. */
void scheduler_arrived(struct worker *worker, struct grove *me);
#endif

/* Where a greenlet begins on its stack. */
void greenlet_main(void);

/* The next greenlet to run, ready to be switched to; it may be the caller itself. */
static inline struct grove *scheduler_next(struct worker *worker)
{
    if (__builtin_expect(--worker->budget <= 0, 0))
        scheduler_tick(worker);
    for (;;) {
        struct grove *next = runqueue_pop(&worker->ready);
        if (!next && !(next = deque_pop(&worker->deque)))
            return scheduler_search(worker);
        if (next->stack_pointer || greenlet_activate(worker, next))
            return next;
    }
}

/* Leaves [me], the running greenlet, for [next]; returns when [me] runs again. The
 * caller keeps the state of the thread for it (thread_state.h). */
static inline void scheduler_switch(
    struct worker *worker, struct grove *me, struct grove *next)
{
    worker->current = next;
    if (next == me)
        return;
    stats_add(worker->stats, switches, 1);
#if SANITIZE_SWITCHES
    SANITIZE_LEAVE(&me->activation->sanitize, &next->activation->sanitize, 0);
#endif
    if (next->stack_pointer)
        switch_to(&me->stack_pointer, next->stack_pointer);
    else
        switch_enter(&me->stack_pointer, next->activation, greenlet_main);
#if SANITIZE_SWITCHES
    scheduler_arrived(worker, me);
#endif
}

/* Makes a greenlet of this worker ready. */
static inline void scheduler_ready(struct worker *worker, struct grove *greenlet)
{
    runqueue_push(&worker->ready, greenlet);
}

/* Parks the running greenlet until somebody makes it ready. */
static inline void scheduler_park(struct worker *worker, struct grove *me)
{
    /* Hub callbacks may run while the next one is searched for. */
    worker->current = NULL;
    struct thread_state state;
    thread_state_save(worker, &state);
    scheduler_switch(worker, me, scheduler_next(worker));
    thread_state_restore(worker, &state);
}

#endif
