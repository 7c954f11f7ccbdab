/* SPDX-License-Identifier: MIT */
#include "sched/deadlock.h"

#include <dirent.h>
#include <errno.h>

#include "sched/fork.h"
#include "sched/guest.h"
#include "sched/hub.h"
#include "sched/idle.h"
#include "sched/lane.h"
#include "sched/monitor.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/waiter.h"

/*
 * Each worker says for itself that it can't wake on its own, by making its counter odd;
 * awake again, it makes it even. If all counters were odd, and the same at a second
 * look, then there was a moment at which all slept; what was found empty between the
 * two looks was empty at that moment, and nobody was there to change it. seq_cst
 * throughout, so that the last to fall asleep sees all others.
 *
 * Who finds that doesn't decide, though: worker 0 has to look again, awake, as only
 * there the main greenlet can be cancelled.
 */

/* Adds the worker's counter to [sum]; false if it is awake or has a message. */
static bool add_quiet(const struct worker *self, struct worker *worker, uint64_t *sum)
{
    uint32_t quiet = atomic_load_explicit(&worker->quiet, memory_order_seq_cst);

    if (worker == self)
        return true;
    *sum += quiet;
    return quiet % 2 == 1 && inbox_empty(&worker->inbox);
}

/* Adds up the counters of all but [self]; 0 if one is awake or has a message. */
static uint64_t quiet_sum(const struct worker *self)
{
    uint64_t sum = 1;

    for (int i = 0; i < worker_count; i++)
        if (!add_quiet(self, workers[i], &sum))
            return 0;
    for (int i = 0; i < lane_count(); i++)
        if (!add_quiet(self, lane_at(i), &sum))
            return 0;
    return sum;
}

static bool others_quiet(struct worker *self)
{
    uint64_t before = quiet_sum(self);

    return before != 0 && !idle_work_exists() && lane_empty() && guest_count() == 0 &&
           quiet_sum(self) == before && inbox_empty(&self->inbox);
}

/* Any other thread may wake somebody at any time. */
static bool other_threads_exist(void)
{
    int threads = 0;
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");

    if (!tasks)
        return true;
    while ((entry = readdir(tasks)))
        threads += entry->d_name[0] != '.';
    closedir(tasks);
    return threads != worker_count + lane_count() + monitor_threads();
}

/* On worker 0, awake, with nothing ready there. */
static void look_again(struct worker *worker)
{
    struct waiter *waiting = worker->main_activation.waiting;

    if (!waiting || worker->ready.first || worker->timers.count ||
        hub_watches(worker->hub) || !others_quiet(worker) || other_threads_exist())
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

bool deadlock_falling_asleep(struct worker *worker, nanoseconds deadline)
{
    if (deadline != TIMERS_NEVER || hub_watches(worker->hub) ||
        (worker->index < 0 && !worker->lane))
        return true;
    atomic_fetch_add_explicit(&worker->quiet, 1, memory_order_seq_cst);
    if (!others_quiet(worker) || other_threads_exist())
        return true;
    if (worker->index == 0)
        look_again(worker);
    else
        ask_worker_0();
    return worker->ready.first == NULL;
}

void deadlock_awake(struct worker *worker)
{
    if (atomic_load_explicit(&worker->quiet, memory_order_relaxed) % 2 == 1)
        atomic_fetch_add_explicit(&worker->quiet, 1, memory_order_seq_cst);
}

void deadlock_forget(void)
{
    atomic_store_explicit(&look_again_sent, false, memory_order_relaxed);
}
