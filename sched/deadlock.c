/* SPDX-License-Identifier: MIT */
#include "sched/deadlock.h"

#include <dirent.h>
#include <errno.h>

#include "sched/guest.h"
#include "sched/hub.h"
#include "sched/idle.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/waiter.h"

/*
 * Each worker says for itself that it can't wake on its own (quiet). The last to say so
 * sees all others': seq_cst store of its own before the loads of theirs. It doesn't
 * decide, though: worker 0 has to look again, awake, as only there the main greenlet can
 * be cancelled, and while it looks all others still sleep.
 */

static bool quiet(struct worker *worker)
{
    return atomic_load_explicit(&worker->quiet, memory_order_seq_cst) &&
           inbox_empty(&worker->inbox);
}

static bool others_quiet(const struct worker *self)
{
    for (int i = 0; i < worker_count; i++)
        if (workers[i] != self && !quiet(workers[i]))
            return false;
    return !idle_work_exists() && guest_count() == 0;
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
    return threads != worker_count;
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

static void deliver_look_again(struct message *message)
{
    (void)message;
    if (worker_self->index == 0)
        look_again(worker_self);
}

/* Sent by the one that fell asleep last; worker 0 is asleep then, so it can't be under
 * way already. */
static struct message look_again_message = {.deliver = deliver_look_again};

bool deadlock_falling_asleep(struct worker *worker, nanoseconds deadline)
{
    if (deadline != TIMERS_NEVER || hub_watches(worker->hub) || worker->index < 0)
        return true;
    atomic_store_explicit(&worker->quiet, true, memory_order_seq_cst);
    if (!others_quiet(worker) || other_threads_exist())
        return true;
    if (worker->index == 0)
        look_again(worker);
    else
        worker_send(workers[0], &look_again_message);
    return worker->ready.first == NULL;
}

void deadlock_awake(struct worker *worker)
{
    atomic_store_explicit(&worker->quiet, false, memory_order_relaxed);
}
