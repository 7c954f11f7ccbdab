/* SPDX-License-Identifier: MIT */
/*
 * Each worker kills its own greenlets, on its own thread. A walk over all records from
 * one thread would have to hold a reference to each while it looks at it, and a
 * reference taken by somebody who was given none would be lost to the end of fork and
 * join, which counts without a locked instruction (greenlet.h). On its own thread none
 * of a worker's greenlets can end between two looks, so no reference is needed.
 *
 * Unstarted work that any worker may take has no thread. Of that only kill_error is
 * set, by compare-and-swap; whoever takes it from its queue then ends it. If the record
 * was freed and is another greenlet's by now, that one is to be killed as well.
 *
 * The wait is a poll with growing pauses: joining would take references, too, and ends
 * come in milliseconds here or not at all.
 */
#include "sched/kill_all.h"

#include <errno.h>

#include "sched/chance.h"
#include "sched/helpers.h"
#include "sched/lane.h"
#include "sched/record.h"
#include "sched/spawn.h"
#include "sched/worker.h"

#define FIRST_PAUSE 20000 /* ns */
#define LAST_PAUSE 5000000

/* A record of a greenlet that has not ended; free records have no reference or DONE. */
static bool lives(struct grove *greenlet)
{
    uint32_t state = atomic_load_explicit(&greenlet->state, memory_order_acquire);

    return state >= GREENLET_REFERENCE && !(state & (GREENLET_DONE | GREENLET_MAIN));
}

static struct worker *owner_of(struct grove *greenlet)
{
    /* Acquire: pairs with greenlet_spawn_on. */
    return atomic_load_explicit(&greenlet->owner, memory_order_acquire);
}

/* Of those of [worker], the one with the least number above [id]. */
static struct grove *next_own(struct worker *worker, uint64_t id)
{
    struct grove *greenlet, *next = NULL;

    for (size_t i = 0; (greenlet = record_at(i)); i++)
        if (lives(greenlet) && owner_of(greenlet) == worker && greenlet->id > id &&
            (!next || greenlet->id < next->id))
            next = greenlet;
    return next;
}

/* In the order of their numbers: which record a greenlet gets depends on the runs
 * before in the same process. */
static void kill_own_in_order(struct worker *worker)
{
    struct grove *greenlet = NULL;
    uint64_t id = 0;

    while ((greenlet = next_own(worker, id))) {
        id = greenlet->id;
        grove_kill(greenlet, 0);
    }
}

/* Asks those of the calling thread's worker to end. */
static void kill_own(struct worker *worker)
{
    struct grove *greenlet;

    spawn_kill_held(worker);
    if (chance_for(worker)) {
        kill_own_in_order(worker);
        return;
    }
    for (size_t i = 0; (greenlet = record_at(i)); i++)
        if (lives(greenlet) && owner_of(greenlet) == worker)
            grove_kill(greenlet, 0);
}

static void kill_unstarted(void)
{
    struct grove *greenlet;

    for (size_t i = 0; (greenlet = record_at(i)); i++) {
        int none = 0;
        if (lives(greenlet) && !owner_of(greenlet))
            atomic_compare_exchange_strong_explicit(&greenlet->kill_error, &none,
                ECANCELED, memory_order_seq_cst, memory_order_relaxed);
    }
}

static void deliver_kill_all(struct message *message)
{
    struct worker *worker = worker_self;

    (void)message;
    atomic_store_explicit(&worker->kill_all_sent, false, memory_order_release);
    kill_own(worker);
}

static void kill_all_of(struct worker *worker)
{
    if (worker == worker_self) {
        kill_own(worker);
    } else if (!atomic_exchange_explicit(
                   &worker->kill_all_sent, true, memory_order_acquire)) {
        worker->kill_all_message.deliver = deliver_kill_all;
        worker_send(worker, &worker->kill_all_message);
    }
}

static void kill_everywhere(void)
{
    kill_unstarted();
    for (int i = 0; i < worker_count; i++)
        kill_all_of(workers[i]);
    for (int i = 0; i < lane_count(); i++)
        kill_all_of(lane_at(i));
}

static bool any_lives(struct worker *owner)
{
    struct grove *greenlet;

    if (owner && owner->held)
        return true;
    for (size_t i = 0; (greenlet = record_at(i)); i++)
        if (lives(greenlet) && (!owner || owner_of(greenlet) == owner))
            return true;
    return false;
}

/* [owner] NULL: all. */
static int kill_until_none_lives(struct worker *owner, double seconds)
{
    nanoseconds deadline = seconds < 0 ? TIMERS_NEVER : timers_deadline(seconds);
    nanoseconds pause = FIRST_PAUSE;

    for (;;) {
        if (owner)
            kill_own(owner);
        else
            kill_everywhere();
        /* First the helpers: what they do may make further greenlets. */
        bool helpers = !owner && !helpers_end();
        /* And again: one that lived in between may have made some. */
        if (!helpers && !any_lives(owner) && (owner || helpers_end()))
            return 0;
        nanoseconds left = deadline - timers_clock();
        if (left <= 0)
            return ETIMEDOUT;
        if (grove_sleep((double)(pause < left ? pause : left) / 1e9) < 0)
            return errno;
        if (pause < LAST_PAUSE)
            pause *= 2;
    }
}

int kill_all(double seconds)
{
    return kill_until_none_lives(NULL, seconds);
}

int kill_all_here(double seconds)
{
    return kill_until_none_lives(worker_self, seconds);
}
