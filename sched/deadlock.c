/* SPDX-License-Identifier: MIT */
#include "sched/deadlock.h"

#include <dirent.h>
#include <errno.h>

#include "sched/fork.h"
#include "sched/guest.h"
#include "sched/helpers.h"
#include "sched/hub.h"
#include "sched/lane.h"
#include "sched/monitor.h"
#include "sched/quiet.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/waiter.h"

/*
 * Who finds that all sleep (quiet.h) doesn't decide: worker 0 has to look again, awake,
 * as only there the main greenlet can be cancelled.
 */

/* Asleep for good, that is: with no timer, and nothing watched. */
static bool others_asleep(struct worker *self)
{
    struct quiet others;

    return guest_count() == 0 && quiet_others(self, &others) &&
           others.until == TIMERS_NEVER && others.looked == QUIET_NOTHING_WATCHED;
}

/* seq_cst: changed before its thread says that it sleeps (quiet.c). */
static _Atomic(int) outside;

void deadlock_outside(int change)
{
    atomic_fetch_add_explicit(&outside, change, memory_order_seq_cst);
}

/* Any other thread may wake somebody at any time, and so may what is awaited. */
static bool others_may_wake(void)
{
    if (atomic_load_explicit(&outside, memory_order_seq_cst) > 0)
        return true;
    int threads = 0;
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");

    if (!tasks)
        return true;
    while ((entry = readdir(tasks)))
        threads += entry->d_name[0] != '.';
    closedir(tasks);
    return threads !=
           worker_count + lane_count() + monitor_threads() + helpers_threads();
}

/* On worker 0, awake, with nothing ready there. */
static void look_again(struct worker *worker)
{
    struct waiter *waiting = worker->main_activation.waiting;

    if (!waiting || worker->ready.first || worker->timers.count ||
        hub_watches(worker->hub) || !others_asleep(worker) || others_may_wake())
        return;
    report_deadlock();
    waiter_cancel(waiting, EDEADLK);
}

/* One for all: the flag keeps two workers from sending it at once. */
static struct message look_again_message;
static _Atomic(bool) look_again_sent;

static void deliver_look_again(struct message *message)
{
    (void)message;
    atomic_store_explicit(&look_again_sent, false, memory_order_release);
    look_again(worker_self);
}

static void ask_worker_0(void)
{
    if (atomic_exchange_explicit(&look_again_sent, true, memory_order_acquire))
        return;
    look_again_message.deliver = deliver_look_again;
    worker_send(workers[0], &look_again_message);
}

void deadlock_reconsider(void)
{
    if (quiet_now())
        ask_worker_0();
}

bool deadlock_falling_asleep(struct worker *worker, nanoseconds deadline)
{
    if (deadline != TIMERS_NEVER || hub_watches(worker->hub) ||
        (worker->index < 0 && !worker->lane))
        return true;
    quiet_begin(worker, TIMERS_NEVER, QUIET_NOTHING_WATCHED);
    if (!others_asleep(worker) || others_may_wake())
        return true;
    if (worker->index == 0)
        look_again(worker);
    else
        ask_worker_0();
    return worker->ready.first == NULL;
}

void deadlock_forget(void)
{
    atomic_store_explicit(&outside, 0, memory_order_relaxed);
    atomic_store_explicit(&look_again_sent, false, memory_order_relaxed);
}
