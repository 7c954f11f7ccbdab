/* SPDX-License-Identifier: MIT */
/*
 * Killing: a request that the target finds, and a message that brings it there.
 *
 * The request is kill_error, set once. Who finds it:
 *   a greenlet that blocks   waiter_interrupt() at the entry of each blocking call
 *   one that is blocked      the kill message, delivered on its own worker, cancels the
 *                            wait; so a kill never races with a wake from elsewhere
 *   one that hasn't started  greenlet_activate(), by whoever takes it from a queue
 *
 * The last is a Dekker race with the starter, for which the killer pays:
 *   starter  owner = worker;  barrier_light();  kill_error set?  -> doesn't run it
 *   killer   kill_error set;  barrier_heavy();  owner NULL?      -> it will never run
 * A killer that sees no owner ends the greenlet at once, so that joiners need not wait
 * until its queue comes to it; GREENLET_UNRUN decides if the starter does so too.
 */
#include <errno.h>

#include "sched/answer.h"
#include "sched/barrier.h"
#include "sched/cancellation.h"
#include "sched/container.h"
#include "sched/finish.h"
#include "sched/reference.h"
#include "sched/scheduler.h"
#include "sched/spawn.h"
#include "sched/waiter.h"

/* On the target's own worker. */
static void interrupt(struct worker *worker, struct grove *greenlet)
{
    int error = atomic_load_explicit(&greenlet->kill_error, memory_order_relaxed);

    if (greenlet_done(greenlet))
        return;
    if (greenlet->activation) {
        int cancelled = cancellation_notice(greenlet);
        if (error == 0)
            error = cancelled;
        if (error && greenlet->activation->waiting)
            waiter_cancel(greenlet->activation->waiting, error);
        return;
    }
    if (error == 0)
        return;
    /* Lies in this worker's run queue. It stays there, ended. */
    if (greenlet_claim_unrun(greenlet)) {
        struct grove *joiner = greenlet->joiner;
        greenlet->joiner = NULL;
        greenlet_end_unrun(greenlet, error);
        if (joiner)
            scheduler_ready(worker, joiner);
    }
}

static void deliver_kill(struct message *message)
{
    struct grove *greenlet = CONTAINER(message, struct grove, kill_message);

    /* From here on the message may be sent again; a request made before was not sent,
     * and is seen below. */
    atomic_fetch_and_explicit(
        &greenlet->state, ~(uint32_t)GREENLET_KILL_SENT, memory_order_seq_cst);
    interrupt(worker_self, greenlet);
    greenlet_release(greenlet);
}

/* Asks, without waiting. True if this call made the request. */
static bool request(struct grove *greenlet, int error)
{
    int none = 0;

    return !greenlet_done(greenlet) &&
           atomic_compare_exchange_strong_explicit(&greenlet->kill_error, &none, error,
               memory_order_seq_cst, memory_order_relaxed);
}

void greenlet_interrupt(struct grove *greenlet)
{
    struct worker *owner = atomic_load_explicit(&greenlet->owner, memory_order_acquire);

    if (owner == worker_self) {
        interrupt(owner, greenlet);
        return;
    }
    if (atomic_fetch_or_explicit(
            &greenlet->state, GREENLET_KILL_SENT, memory_order_seq_cst) &
        GREENLET_KILL_SENT)
        return; /* on its way, and will find this request */
    /* The message's. */
    greenlet_retain(greenlet);
    greenlet->kill_message.deliver = deliver_kill;
    worker_send(owner, &greenlet->kill_message);
}

/* Carries out a request, after a barrier_heavy(). */
static void carry_out(struct grove *greenlet, int error)
{
    struct worker *owner = atomic_load_explicit(&greenlet->owner, memory_order_acquire);

    if (owner) {
        greenlet_interrupt(greenlet);
    } else if (greenlet_claim_unrun(greenlet)) {
        greenlet_end_unrun(greenlet, error);
        spawn_let_go(greenlet);
    }
}

static bool is_started(const struct grove *greenlet)
{
    return atomic_load_explicit(&greenlet->owner, memory_order_acquire) != NULL;
}

static int wait_for_end(struct grove *greenlet, double timeout)
{
    return timeout == 0 ? 0 : grove_join(greenlet, timeout);
}

int grove_kill_with(grove_t *g, int error, double timeout)
{
    struct worker *worker = worker_self;

    if (!g || error <= 0 || timeout != timeout)
        return answer(EINVAL);
    if (request(g, error)) {
        /* On its own thread the starter can't be racing. */
        if (!worker || atomic_load_explicit(&g->owner, memory_order_relaxed) != worker)
            barrier_heavy(); /* pairs with barrier_light in greenlet_activate */
        carry_out(g, error);
    }
    if (worker && worker->current == g)
        return 0;
    return wait_for_end(g, timeout);
}

int grove_kill(grove_t *g, double timeout)
{
    return grove_kill_with(g, ECANCELED, timeout);
}

/* Those not yet started first, so that a dying greenlet can't wait for one of them. */
int grove_killall(grove_t **gs, size_t n, double timeout)
{
    if (n && !gs)
        return answer(EINVAL);
    for (size_t i = 0; i < n; i++)
        if (!gs[i])
            return answer(EINVAL);
    barrier_heavy(); /* a fresh look at owner */
    for (int started = 0; started < 2; started++)
        for (size_t i = 0; i < n; i++)
            if (is_started(gs[i]) == started)
                grove_kill(gs[i], 0);
    if (timeout == 0)
        return 0;
    return grove_joinall(gs, n, timeout);
}

int grove_kill_clear(void)
{
    struct worker *worker = worker_self;

    if (!worker || !worker->current)
        return 0;
    return atomic_exchange_explicit(
        &worker->current->kill_error, 0, memory_order_seq_cst);
}
