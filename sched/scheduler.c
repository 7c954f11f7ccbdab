/* SPDX-License-Identifier: MIT */
#include "sched/scheduler.h"

#include "sched/chance.h"
#include "sched/clock.h"
#include "sched/deadlock.h"
#include "sched/hub.h"
#include "sched/idle.h"
#include "sched/inject.h"
#include "sched/lane.h"
#include "sched/quiet.h"
#include "sched/numbers.h"
#include "sched/runtime.h"
#include "sched/spin.h"
#include "sched/waiter.h"

/*
 * The budget: how many switches may pass before timers, inbox and hub are looked at. It
 * aims at a quarter of the switch interval, so that with greenlets of even length the
 * hub is polled well within it. It is capped because the length of a switch may change
 * at once: 128 switches at 10 ns cost a clock read each 1.3 us, 0.3 ns a switch, and
 * after such a round greenlets that suddenly run long are caught at the latest 128
 * switches on; from then on the budget follows.
 */
#define BUDGET_MAX 128
/* Every so many ticks the oldest of the own deque is run next, so that a flood of new
 * tasks, taken newest first, starves no old one. */
#define TICKS_TO_OLDEST 4
/* With one worker every so many switches, as the length of a tick follows the clock,
 * and such a run repeats exactly as long as it asks for nothing from outside. */
#define SWITCHES_TO_OLDEST 512
#define TRIM_INTERVAL ((nanoseconds)1000000000)
#define SPIN_MAX 50000 /* ns a search may go on before the worker sleeps */

static bool deliver(struct worker *worker)
{
    if (atomic_load_explicit(&worker->inbox.top, memory_order_relaxed) == NULL)
        return false;
    worker->acted = true;
    struct message *message = inbox_take(&worker->inbox);
    while (message) {
        struct message *next = message->next;
        stats_add(worker->stats, inbox_deliveries, 1);
        message->deliver(message);
        message = next;
    }
    return true;
}

static void poll_hub(struct worker *worker, nanoseconds now)
{
    worker->last_poll = now;
    stats_add(worker->stats, hub_polls, 1);
    hub_poll(worker->hub);
}

static void set_budget(struct worker *worker, nanoseconds now)
{
    nanoseconds target = runtime_switch_interval / 4;
    nanoseconds spent = now - worker->last_tick;
    nanoseconds switches = worker->tick_switches;

    worker->last_tick = now;
    if (spent > 2 * target)
        switches = switches * target / spent;
    else if (spent < target / 2)
        switches *= 2;
    if (switches < 1)
        switches = 1;
    if (switches > BUDGET_MAX)
        switches = BUDGET_MAX;
    if (worker_count == 1 && switches > worker->to_oldest)
        switches = worker->to_oldest;
    worker->tick_switches = worker->budget = (int)switches;
}

static void publish_gauges(struct worker *worker)
{
    struct stats_worker *stats = worker->stats;

    stats_set(stats, spawns, numbers_given(worker));
    stats_set(stats, run_queue_length, worker->ready.length);
    stats_set(stats, deque_length, deque_length(&worker->deque));
    stats_set(stats, io_waits, (uint64_t)hub_watches(worker->hub));
    stats_set(stats, timers_pending, worker->timers.count);
    stats_set(stats, stacks_in_use, worker->active);
    stats_set(stats, stacks_cached, worker->stacks.count);
}

/* Seeds must not depend on time. */
static bool time_to_poll(const struct worker *worker, nanoseconds now)
{
    if (chance_for(worker))
        return chance_draw(4) == 0;
    if (clock_virtual_for(worker)) /* stands still meanwhile */
        return true;
    return now - worker->last_poll >= runtime_switch_interval / 2;
}

/* I/O first: what became ready before a timeout fired counts. */
static void look_around(struct worker *worker, nanoseconds now)
{
    struct grove *current = worker->current;

    worker->current = NULL;
    deliver(worker);
    if (hub_watches(worker->hub) && time_to_poll(worker, now))
        poll_hub(worker, now);
    if (timers_next(&worker->timers) <= now)
        timers_expire(&worker->timers, now);
    worker->current = current;
}

/* The oldest of what lies in no worker's deque. */
static struct grove *pop_shared(struct worker *worker)
{
    if (worker->index >= 0)
        return inject_pop();
    return worker->lane ? lane_pop() : NULL;
}

/* At the end of a round. In a seeded run every switch is one. */
static bool oldest_is_due(struct worker *worker)
{
    if (worker_count > 1 || chance_for(worker))
        return worker->ticks % TICKS_TO_OLDEST == 0;
    worker->to_oldest -= worker->tick_switches;
    if (worker->to_oldest > 0)
        return false;
    worker->to_oldest = SWITCHES_TO_OLDEST;
    return true;
}

void scheduler_tick(struct worker *worker)
{
    nanoseconds now = timers_clock();
    bool oldest_due = oldest_is_due(worker);

    worker->ticks++;
    set_budget(worker, now);
    if (clock_virtual_for(worker))
        now = clock_turn(worker);
    look_around(worker, now);
    if (oldest_due) {
        struct grove *oldest = deque_take_oldest(&worker->deque);
        if (!oldest)
            oldest = pop_shared(worker);
        /* Next, not last: in a run queue nobody can steal it, and who runs before it
         * may compute, or keep the thread in a call of the system, for ever. */
        if (oldest)
            runqueue_push_first(&worker->ready, oldest);
        publish_gauges(worker);
    }
    if (chance_for(worker))
        chance_turn(worker);
}

/* Takes from the victims in the order of their distance, from a random place on within
 * each ring of equal distance. The first of the loot is returned, the rest goes to the
 * own deque. */
static struct grove *steal(struct worker *worker)
{
    void *loot[DEQUE_STEAL_MAX];
    const struct topology_worker *place = &runtime_topology.worker[worker->index];
    int start = 0;

    for (int ring = 0; ring < place->rings; ring++) {
        int length = place->ring_end[ring] - start;
        worker->random = worker->random * 1664525 + 1013904223;
        int offset = (int)((worker->random >> 8) % (uint32_t)length);
        for (int i = 0; i < length; i++) {
            int victim = place->victims[start + (offset + i) % length];
            struct deque *deque = &workers[victim]->deque;
            bool contended = false;
            if (deque_length(deque) == 0)
                continue;
            stats_add(worker->stats, steals_tried, 1);
            size_t n = deque_steal_many(deque, loot, DEQUE_STEAL_MAX, &contended);
            if (n == 0)
                continue;
            stats_add(worker->stats, steals_won, n);
            for (size_t j = 1; j < n; j++)
                if (deque_push(&worker->deque, loot[j]) < 0)
                    scheduler_ready(worker, loot[j]);
            if (n > 1)
                idle_submitted(worker);
            return loot[0];
        }
        start = place->ring_end[ring];
    }
    return NULL;
}

static struct grove *take_ready(struct worker *worker)
{
    struct grove *next;

    if (chance_for(worker))
        chance_turn(worker);
    do {
        if (!(next = runqueue_pop(&worker->ready)) &&
            !(next = deque_pop(&worker->deque)) &&
            /* Nothing else is ready: the moment that grove_idle waits for. */
            !(next = runqueue_pop(&worker->idlers)))
            return NULL;
    } while (!next->stack_pointer && !greenlet_activate(worker, next));
    return next;
}

/* Work of others: what plain threads injected, what victims hold. */
static struct grove *take_foreign(struct worker *worker)
{
    struct grove *next;

    do {
        if (!(next = inject_pop()) && !(next = steal(worker)))
            return NULL;
    } while (!greenlet_activate(worker, next));
    return next;
}

/* Of a lane thread: the next of the lane's queue. */
static struct grove *take_computing(struct worker *worker)
{
    struct grove *next;

    do {
        if (!(next = lane_pop()))
            return NULL;
    } while (!greenlet_activate(worker, next));
    return next;
}

/* Whether there is something to look at again: a message, or, for who is counted as
 * searching, work of others. */
static bool something_came(struct worker *worker, bool searching)
{
    return atomic_load_explicit(&worker->inbox.top, memory_order_relaxed) != NULL ||
           (searching && idle_work_exists());
}

/* A hundred looks at the inbox, before anything that costs a clock read: the answer of
 * a greenlet on another core takes some hundred nanoseconds. */
static bool glance(struct worker *worker)
{
    if (worker->spin_limit == 0)
        return false;
    for (int i = 0; i < 100; i++) {
        if (something_came(worker, false))
            return true;
        cpu_relax();
    }
    return false;
}

/* Watches inbox and deques for a while instead of sleeping: a wake between two cores
 * costs 50 us through the kernel and 0.1 us through a cache line. Descriptors are not
 * seen meanwhile, so with any watched the while is shorter. */
static void spin_for_work(struct worker *worker, bool searching)
{
    nanoseconds limit = worker->spin_limit;

    if (limit == 0)
        return;
    if (hub_watches(worker->hub))
        limit /= 8;
    nanoseconds end = clock_real() + limit;
    do {
        for (int i = 0; i < 16; i++) {
            if (something_came(worker, searching))
                return;
            cpu_relax();
        }
    } while (clock_real() < end);
}

/*
 * Spinning pays if what comes, comes soon, and from another worker. A sleep that ended
 * so and was short would have been saved by spinning: spin next time. Any other halves
 * the limit, so that a worker to which work comes rarely, or from descriptors, doesn't
 * spin at all.
 */
static void adapt_spin(struct worker *worker, nanoseconds slept, bool woken)
{
    if (woken && slept < 2 * SPIN_MAX)
        worker->spin_limit = SPIN_MAX;
    else
        worker->spin_limit /= 2;
    if (worker->spin_limit < SPIN_MAX / 16)
        worker->spin_limit = 0;
}

/* Gives back memory of stacks that lie unused, a bounded amount at most once in
 * TRIM_INTERVAL, or faster while there is more; returns when that will be, so that a
 * process that falls idle after a burst wakes for it, and then sleeps for good. */
static nanoseconds trim_stacks(struct worker *worker, nanoseconds now)
{
    struct stack *stack = worker->stacks.free;

    if (!stack || stack->trimmed)
        return TIMERS_NEVER;
    if (now >= worker->next_trim) {
        bool more = stack_trim(&worker->stacks);
        worker->next_trim = now + (more ? TRIM_INTERVAL / 100 : TRIM_INTERVAL);
        if (!more)
            return TIMERS_NEVER;
    }
    return worker->next_trim;
}

/* False: there is something to run now, or to look at again. */
static bool falling_asleep(struct worker *worker, nanoseconds deadline)
{
    if (clock_virtual_for(worker) && !clock_falling_asleep(worker, deadline))
        return false;
    return deadlock_falling_asleep(worker, deadline);
}

static bool sleep_in_hub(struct worker *worker, bool searching)
{
    nanoseconds before = clock_real();
    nanoseconds deadline = timers_next(&worker->timers);
    nanoseconds trim = trim_stacks(worker, before);

    publish_gauges(worker);
    if (!falling_asleep(worker, deadline)) {
        quiet_end(worker);
        return searching;
    }
    if (clock_virtual_for(worker)) /* who makes time jump to it rings the hub */
        deadline = TIMERS_NEVER;
    else if (trim < deadline)
        deadline = trim;
    stats_park(worker->stats, (uint64_t)before);
    if (worker->index >= 0) {
        searching = idle_park(worker, searching, deadline);
    } else if (worker->lane) {
        lane_park(worker, deadline);
    } else {
        atomic_store_explicit(&worker->sleeping, true, memory_order_seq_cst);
        if (inbox_empty(&worker->inbox))
            hub_wait(worker->hub, deadline);
        atomic_store_explicit(&worker->sleeping, false, memory_order_relaxed);
    }
    quiet_end(worker);
    nanoseconds after = clock_real();
    stats_unpark(worker->stats, (uint64_t)after);
    worker->last_tick = worker->last_poll =
        clock_virtual_for(worker) ? timers_clock() : after;
    if (worker_count > 1)
        adapt_spin(worker, after - before, searching || !inbox_empty(&worker->inbox));
    return searching;
}

/* Timers and descriptors, without blocking. With nothing to steal or to spin for the
 * next step is hub_wait, which looks at the descriptors as well. */
static void look_at_hub(struct worker *worker)
{
    nanoseconds now = timers_clock();

    if (hub_watches(worker->hub) && (worker->spin_limit || idle_work_exists()))
        poll_hub(worker, now);
    worker->acted |= timers_expire(&worker->timers, now) > 0;
}

struct grove *scheduler_search(struct worker *worker)
{
    bool searching = false;
    struct grove *next;

    worker->current = NULL;
    worker->acted = true;
    for (;;) {
        if ((deliver(worker) || (glance(worker) && deliver(worker))) &&
            (next = take_ready(worker)))
            break;
        look_at_hub(worker);
        if ((next = take_ready(worker)))
            break;
        /* The inbox after the order to stop: what was sent before that is delivered. */
        if (runtime_stopping(worker) && inbox_empty(&worker->inbox)) {
            next = worker->main;
            break;
        }
        if (worker->index >= 0) {
            if (!searching && worker_count > 1 && (searching = idle_start_search()))
                stats_search(worker->stats);
            if ((next = take_foreign(worker)))
                break;
            spin_for_work(worker, searching);
            if ((next = take_foreign(worker)))
                break;
            if (something_came(worker, false))
                continue;
        } else if (worker->lane && (next = take_computing(worker))) {
            break;
        }
        searching = sleep_in_hub(worker, searching);
    }
    if (searching) {
        idle_stop_search(worker);
        stats_run(worker->stats);
    }
    return next;
}
