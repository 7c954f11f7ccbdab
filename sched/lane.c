/* SPDX-License-Identifier: MIT */
/*
 * Who may touch what:
 *   queue, sleepers, listed, next_sleeper   under lane_lock
 *   queued          written under lane_lock; read by anybody: seq_cst, as deadlock.c
 *                   reads it between two looks at who sleeps
 *   lanes, count    appended under making, released by count; emptied by lane_stop
 *   next_try        under making
 *
 * No wake is lost: a lane thread goes to sleep only after it has put itself on the list
 * under the lock with nothing queued, and whoever queues something takes one off that
 * list and rings its hub, which also ends a wait that has not begun yet. One that is
 * rung for nothing, as another was quicker, sleeps again.
 */
#define _GNU_SOURCE
#include "sched/lane.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sched/chance.h"
#include "sched/clock.h"
#include "sched/fork.h"
#include "sched/hub.h"
#include "sched/overflow.h"
#include "sched/reference.h"
#include "sched/runqueue.h"
#include "sched/runtime.h"
#include "sched/scheduler.h"
#include "sched/spinlock.h"

#define LOWEST_PRIORITY 19
#define TRY_AGAIN_AFTER ((nanoseconds)1000000000) /* no thread could be made */

static struct spinlock lane_lock;
static struct runqueue queue;
static struct worker *sleepers; /* by next_sleeper; the last to sleep first: warmest */
static _Atomic(uint32_t) queued;

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
static nanoseconds next_try;
static struct worker *lanes[WORKER_MAX];
static _Atomic(int) count;

int lane_count(void)
{
    return atomic_load_explicit(&count, memory_order_acquire);
}

struct worker *lane_at(int index)
{
    return lanes[index];
}

/* What the kernel refuses is done without: work then competes with the worker's. */
static void yield_to_workers(void)
{
    static const struct sched_param none;

    (void)sched_setscheduler(0, SCHED_BATCH, &none);
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), LOWEST_PRIORITY);
}

static void *lane_thread(void *arg)
{
    struct worker *lane = arg;
    char name[32]; /* the kernel takes 15 characters; WORKER_MAX has three digits */

    snprintf(name, sizeof name, "grove-cpu-%d", lane->lane - 1);
    pthread_setname_np(pthread_self(), name);
    /* Off the core of who made it, in case its worker is bound to none. */
    topology_unbind(&runtime_topology);
    topology_bind(&runtime_topology, lane->lane - 1);
    yield_to_workers();
    overflow_thread_enter();
    lane->stats = stats_guest_attach();
    worker_adopt_thread(lane);
    /* At least once, even if it is to stop: leaves no message to who gets the struct
     * next. */
    do {
        lane->current = NULL;
        scheduler_switch(lane, lane->main, scheduler_next(lane));
    } while (!runtime_stopping(lane));
    stats_guest_detach(lane->stats);
    worker_self = NULL;
    overflow_thread_leave();
    return NULL;
}

/* Under making. */
static bool add_lane(void)
{
    int number = lane_count();
    struct worker *lane = worker_new(-1);
    pthread_t thread;

    if (!lane)
        return false;
    lane->lane = number + 1;
    lane->thread = lane; /* as in start_threads */
    if (pthread_create(&thread, NULL, lane_thread, lane) != 0) {
        worker_free(lane);
        return false;
    }
    lane->thread = (void *)thread;
    lanes[number] = lane;
    atomic_store_explicit(&count, number + 1, memory_order_release);
    return true;
}

static bool wants_lane(void)
{
    if (lane_count() == worker_count)
        return false;
    spinlock_acquire(&lane_lock);
    bool none_free = !sleepers;
    spinlock_release(&lane_lock);
    return none_free;
}

static void make_lane(void)
{
    int saved_errno = errno;

    pthread_mutex_lock(&making);
    if (wants_lane()) {
        nanoseconds now = clock_real();
        if (now >= next_try && !add_lane())
            next_try = now + TRY_AGAIN_AFTER;
    }
    pthread_mutex_unlock(&making);
    errno = saved_errno;
}

/* Under the lock. */
static void unlist(struct worker *lane)
{
    struct worker **link = &sleepers;

    while (*link != lane)
        link = &(*link)->next_sleeper;
    *link = lane->next_sleeper;
    lane->listed = false;
}

bool lane_push(struct grove *greenlet)
{
    /* No seed repeats what two threads do. */
    if (atomic_load_explicit(&chance_on, memory_order_relaxed))
        return false;
    if (wants_lane())
        make_lane();
    if (lane_count() == 0)
        return false;
    spinlock_acquire(&lane_lock);
    runqueue_push(&queue, greenlet);
    atomic_fetch_add_explicit(&queued, 1, memory_order_seq_cst);
    struct worker *sleeper = sleepers;
    if (sleeper)
        unlist(sleeper);
    spinlock_release(&lane_lock);
    if (sleeper)
        hub_ring(sleeper->hub);
    return true;
}

struct grove *lane_pop(void)
{
    if (lane_empty())
        return NULL;
    spinlock_acquire(&lane_lock);
    struct grove *greenlet = runqueue_pop(&queue);
    if (greenlet)
        atomic_fetch_sub_explicit(&queued, 1, memory_order_seq_cst);
    spinlock_release(&lane_lock);
    return greenlet;
}

bool lane_empty(void)
{
    return atomic_load_explicit(&queued, memory_order_seq_cst) == 0;
}

/* False: there is work. */
static bool list(struct worker *lane)
{
    spinlock_acquire(&lane_lock);
    bool empty = !queue.first;
    if (empty) {
        lane->listed = true;
        lane->next_sleeper = sleepers;
        sleepers = lane;
    }
    spinlock_release(&lane_lock);
    return empty;
}

void lane_park(struct worker *lane, nanoseconds deadline)
{
    if (!list(lane))
        return;
    /* For messages, as with guests: either the sender sees this, or we its message. */
    atomic_store_explicit(&lane->sleeping, true, memory_order_seq_cst);
    if (inbox_empty(&lane->inbox))
        hub_wait(lane->hub, deadline);
    atomic_store_explicit(&lane->sleeping, false, memory_order_relaxed);
    spinlock_acquire(&lane_lock);
    if (lane->listed)
        unlist(lane);
    spinlock_release(&lane_lock);
}

void lane_stop(void)
{
    int last = lane_count();

    for (int i = 0; i < last; i++) {
        hub_ring(lanes[i]->hub);
        pthread_join((pthread_t)lanes[i]->thread, NULL);
    }
    atomic_store_explicit(&count, 0, memory_order_relaxed);
    for (int i = 0; i < last; i++)
        worker_free(lanes[i]);
    for (struct grove *ended; (ended = lane_pop());)
        greenlet_release(ended);
    next_try = 0;
}

void lane_forget(void)
{
    lane_lock = (struct spinlock){0};
    queue = (struct runqueue){0};
    sleepers = NULL;
    atomic_store_explicit(&queued, 0, memory_order_relaxed);
    pthread_mutex_init(&making, NULL);
    next_try = 0;
    atomic_store_explicit(&count, 0, memory_order_relaxed);
}
