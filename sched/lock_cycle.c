/* SPDX-License-Identifier: MIT */
/*
 * Who may touch what:
 *   census         the monitor, but its worker from the message on until it counts
 *                  [unanswered] down (release, acquired by the monitor)
 *   unanswered     counted up by the monitor, down by all
 *   all the rest   the monitor, or who starts and stops it
 */
#include "sched/lock_cycle.h"

#include <stdlib.h>
#include <string.h>

#include "sched/barrier.h"
#include "sched/container.h"
#include "sched/extra.h"
#include "sched/lane.h"
#include "sched/lock_wait.h"
#include "sched/monitor.h"
#include "sched/report.h"
#include "sched/runtime.h"

/* What one worker answers. The memory is kept for the next look. */
struct census {
    struct message message;
    struct lock_edge *edges;
    size_t count, capacity;
    bool failed; /* for want of memory */
};

static struct census censuses[2 * WORKER_MAX]; /* of the workers, then of the lane */
static _Atomic(int) unanswered;

static nanoseconds period; /* 0: nothing is looked for */
static nanoseconds next;   /* look; TIMERS_NEVER: asleep for good, or waiting */
static bool waiting;       /* for answers */

/* The waits of cycles that have been reported and are still there. */
static uint64_t *reported;
static size_t reported_count, reported_capacity;

/* -- On the worker that is asked -------------------------------------------------- */

static struct lock_edge *new_edge(struct census *census)
{
    if (census->count == census->capacity) {
        size_t capacity = census->capacity ? 2 * census->capacity : 16;
        void *edges = realloc(census->edges, capacity * sizeof *census->edges);
        if (!edges)
            return NULL;
        census->edges = edges;
        census->capacity = capacity;
    }
    return &census->edges[census->count++];
}

static bool copy(struct census *census, const struct lock_wait *wait, void *list)
{
    struct waiter *waiter = wait->waiter;
    struct grove *greenlet = waiter->greenlet;
    struct lock_edge *edge = new_edge(census);

    if (!edge)
        return false;
    *edge = (struct lock_edge){
        .id = greenlet->id,
        .holder = wait->holder,
        .serial = wait->serial,
        .text = waiter->reason->text,
        .lock = (char *)list - waiter->reason->list_offset,
        .spawned_at = greenlet->spawned_at,
        .seconds = (double)(timers_clock() - waiter->since) / 1e9,
        .worker = waiter->home->index,
    };
    const char *name = extra_name(greenlet);
    if (name)
        memccpy(edge->name, name, 0, sizeof edge->name - 1);
    return true;
}

/* Notes a wait at its first look and copies it at later ones. */
static void visit(struct census *census, struct lock_wait *wait)
{
    struct waiter *waiter = wait->waiter;
    void *list = atomic_load_explicit(&waiter->list, memory_order_acquire);
    /* NULL: it has been woken, and is about to run. */
    uint64_t holder = list ? waiter->reason->holder(waiter) : 0;

    bool same = wait->seen && wait->holder == holder;
    wait->seen = holder != 0;
    wait->holder = holder;
    if (holder && same && !copy(census, wait, list))
        census->failed = true;
}

static void answered(void)
{
    if (atomic_fetch_sub_explicit(&unanswered, 1, memory_order_acq_rel) == 1)
        monitor_wake();
}

static void deliver_census(struct message *message)
{
    struct census *census = CONTAINER(message, struct census, message);
    struct lock_wait *wait =
        atomic_load_explicit(&worker_self->lock_waits, memory_order_relaxed);

    for (; wait; wait = wait->next)
        visit(census, wait);
    answered();
}

/* -- On the monitor --------------------------------------------------------------- */

static struct worker *asked(int index)
{
    if (index < worker_count)
        return workers[index];
    index -= worker_count;
    return index < lane_count() ? lane_at(index) : NULL;
}

static bool waits(struct worker *worker)
{
    return atomic_load_explicit(&worker->lock_waits, memory_order_relaxed) != NULL;
}

static bool anybody_waits(void)
{
    struct worker *worker;

    for (int i = 0; (worker = asked(i)); i++)
        if (waits(worker))
            return true;
    return false;
}

static void ask_all(void)
{
    struct worker *worker;

    /* One for the monitor itself, so that nobody is the last before all are asked. */
    atomic_store_explicit(&unanswered, 1, memory_order_relaxed);
    for (int i = 0; (worker = asked(i)); i++) {
        struct census *census = &censuses[i];
        census->count = 0;
        census->failed = false;
        if (!waits(worker))
            continue;
        census->message.deliver = deliver_census;
        atomic_fetch_add_explicit(&unanswered, 1, memory_order_relaxed);
        worker_send(worker, &census->message);
    }
    waiting = true;
    answered();
}

static int by_id(const void *a, const void *b)
{
    uint64_t first = ((const struct lock_edge *)a)->id;
    uint64_t second = ((const struct lock_edge *)b)->id;

    return (first > second) - (first < second);
}

/* The answers in one array, sorted; NULL: there are none, or not all could be had. */
static struct lock_edge *gather(size_t *count)
{
    struct lock_edge *all;
    size_t n = 0;

    for (size_t i = 0; i < sizeof censuses / sizeof *censuses; i++) {
        if (censuses[i].failed)
            return NULL;
        n += censuses[i].count;
    }
    if (n == 0 || !(all = malloc(n * sizeof *all)))
        return NULL;
    *count = 0;
    for (size_t i = 0; i < sizeof censuses / sizeof *censuses; i++) {
        struct census *census = &censuses[i];
        if (census->count > 0)
            memcpy(all + *count, census->edges, census->count * sizeof *all);
        *count += census->count;
    }
    qsort(all, n, sizeof *all, by_id);
    return all;
}

static bool was_reported(uint64_t serial)
{
    for (size_t i = 0; i < reported_count; i++)
        if (reported[i] == serial)
            return true;
    return false;
}

/* Without memory it will be reported again. */
static void note_reported(uint64_t serial)
{
    if (reported_count == reported_capacity) {
        size_t capacity = reported_capacity ? 2 * reported_capacity : 16;
        void *memory = realloc(reported, capacity * sizeof *reported);
        if (!memory)
            return;
        reported = memory;
        reported_capacity = capacity;
    }
    reported[reported_count++] = serial;
}

/* Forgets those that are not there any more. */
static void forget_ended(const struct lock_edge *edges, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < reported_count; i++)
        for (size_t j = 0; j < count; j++)
            if (edges[j].serial == reported[i]) {
                reported[kept++] = reported[i];
                break;
            }
    reported_count = kept;
}

static void report_once(const struct lock_edge *cycle)
{
    if (was_reported(cycle->serial))
        return;
    report_lock_cycle(cycle);
    const struct lock_edge *edge = cycle;
    do {
        note_reported(edge->serial);
    } while ((edge = edge->next) != cycle);
}

/* From each edge there is at most one way on, so a walk that comes back to where itself
 * has been has found a cycle, and one that comes to where another has been has not. */
static void find_cycles(struct lock_edge *edges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct lock_edge holder = {.id = edges[i].holder};
        edges[i].next = bsearch(&holder, edges, count, sizeof *edges, by_id);
    }
    for (size_t i = 0; i < count; i++) {
        struct lock_edge *edge = &edges[i];
        for (; edge && edge->walk == 0; edge = edge->next)
            edge->walk = i + 1;
        if (edge && edge->walk == i + 1)
            report_once(edge);
    }
}

static void digest(void)
{
    size_t count = 0;
    struct lock_edge *edges = gather(&count);

    forget_ended(edges, count);
    if (edges)
        find_cycles(edges, count);
    free(edges);
}

/* Nobody waits: whoever does so next has to wake us. */
static void sleep_for_good(nanoseconds now)
{
    atomic_store_explicit(&lock_wait_alarm, true, memory_order_relaxed);
    barrier_heavy(); /* pairs with barrier_light in lock_wait_park */
    next = TIMERS_NEVER;
    if (anybody_waits() &&
        atomic_exchange_explicit(&lock_wait_alarm, false, memory_order_relaxed))
        next = now + period;
}

nanoseconds lock_cycle_turn(nanoseconds now)
{
    if (period == 0)
        return TIMERS_NEVER;
    if (waiting) {
        if (atomic_load_explicit(&unanswered, memory_order_acquire) > 0)
            return TIMERS_NEVER;
        waiting = false;
        digest();
        next = now + period;
    } else if (next == TIMERS_NEVER &&
               !atomic_load_explicit(&lock_wait_alarm, memory_order_relaxed)) {
        next = now + period; /* somebody has begun to wait */
    } else if (now >= next) {
        if (anybody_waits()) {
            ask_all();
            return TIMERS_NEVER;
        }
        sleep_for_good(now);
    }
    return next;
}

void lock_cycle_start(void)
{
    period = (nanoseconds)(runtime_config.deadlock_check * 1e9);
    next = TIMERS_NEVER;
    waiting = false;
    reported_count = 0;
    for (size_t i = 0; i < sizeof censuses / sizeof *censuses; i++)
        censuses[i].count = 0;
    atomic_store_explicit(&lock_wait_alarm, period > 0, memory_order_relaxed);
}

void lock_cycle_stop(void)
{
    atomic_store_explicit(&lock_wait_alarm, false, memory_order_relaxed);
}
