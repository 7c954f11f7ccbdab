/* SPDX-License-Identifier: MIT */
#include "sched/lock_wait.h"

#include "sched/barrier.h"
#include "sched/monitor.h"

_Atomic(bool) lock_wait_alarm;

static void begin(struct worker *worker, struct lock_wait *wait)
{
    struct lock_wait *first =
        atomic_load_explicit(&worker->lock_waits, memory_order_relaxed);

    wait->serial = worker->next_lock_wait++;
    wait->next = first;
    if (first)
        first->link = &wait->next;
    atomic_store_explicit(&worker->lock_waits, wait, memory_order_relaxed);
}

/* The first one's link is NULL: the head is atomic. */
static void end(struct worker *worker, struct lock_wait *wait)
{
    if (wait->next)
        wait->next->link = wait->link;
    if (wait->link)
        *wait->link = wait->next;
    else
        atomic_store_explicit(&worker->lock_waits, wait->next, memory_order_relaxed);
}

int lock_wait_park(struct waiter *waiter, double timeout)
{
    struct worker *worker = waiter->home;

    /* Nobody asks the threads of the program. */
    if (!waiter->greenlet || !waiter->reason->holder ||
        (worker->index < 0 && !worker->lane))
        return waiter_park(waiter, timeout);
    struct lock_wait wait = {.waiter = waiter};
    begin(worker, &wait);
    barrier_light(); /* pairs with barrier_heavy in lock_cycle.c: either it sees the
                        list, or we the alarm */
    if (__builtin_expect(
            atomic_load_explicit(&lock_wait_alarm, memory_order_relaxed), 0) &&
        atomic_exchange_explicit(&lock_wait_alarm, false, memory_order_relaxed))
        monitor_wake();
    int error = waiter_park(waiter, timeout);
    end(worker, &wait);
    return error;
}
