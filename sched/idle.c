/* SPDX-License-Identifier: MIT */
#include "sched/idle.h"

#include "sched/fork.h"
#include "sched/hub.h"
#include "sched/inject.h"
#include "sched/spinlock.h"

_Atomic(uint32_t) idle_word;

static struct spinlock idle_lock;
static struct worker *sleepers; /* by next_sleeper; the last to sleep first: warmest */

static void unlist(struct worker *worker)
{
    struct worker **link = &sleepers;

    while (*link != worker)
        link = &(*link)->next_sleeper;
    *link = worker->next_sleeper;
    worker->listed = false;
}

/* The transition "unpark": true if the caller is counted as searching now because a
 * waker unlisted it. */
static bool unpark(struct worker *worker)
{
    spinlock_acquire(&idle_lock);
    bool woken = !worker->listed;
    if (!woken) {
        unlist(worker);
        atomic_fetch_sub_explicit(&idle_word, IDLE_SLEEPING, memory_order_seq_cst);
    }
    spinlock_release(&idle_lock);
    return woken;
}

bool idle_work_exists(void)
{
    if (!inject_empty())
        return true;
    for (int i = 0; i < worker_count; i++)
        if (deque_length(&workers[i]->deque) > 0)
            return true;
    return false;
}

void idle_wake_one(struct worker *worker)
{
    struct worker *woken = NULL;

    spinlock_acquire(&idle_lock);
    if (idle_calls_for_wake(atomic_load_explicit(&idle_word, memory_order_seq_cst))) {
        woken = sleepers;
        unlist(woken);
        atomic_fetch_add_explicit(
            &idle_word, IDLE_SEARCHING - IDLE_SLEEPING, memory_order_seq_cst);
    }
    spinlock_release(&idle_lock);
    if (!woken)
        return;
    if (worker)
        stats_add(worker->stats, wakes_sent, 1);
    if (atomic_exchange_explicit(&woken->sleeping, false, memory_order_seq_cst))
        hub_ring(woken->hub);
}

bool idle_start_search(void)
{
    uint32_t word = atomic_load_explicit(&idle_word, memory_order_relaxed);

    do {
        if (2 * (word / IDLE_SEARCHING) >= (uint32_t)worker_count)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&idle_word, &word,
        word + IDLE_SEARCHING, memory_order_seq_cst, memory_order_relaxed));
    return true;
}

void idle_stop_search(struct worker *worker)
{
    uint32_t before =
        atomic_fetch_sub_explicit(&idle_word, IDLE_SEARCHING, memory_order_seq_cst);

    if (before / IDLE_SEARCHING != 1 || (before & (IDLE_SEARCHING - 1)) == 0)
        return;
    /* The last searcher, and somebody sleeps: what was pushed while it searched woke
     * nobody. Pairs with barrier_light in idle_submitted. */
    barrier_heavy();
    if (idle_work_exists())
        idle_wake_one(worker);
}

bool idle_park(struct worker *worker, bool searching, nanoseconds deadline)
{
    spinlock_acquire(&idle_lock);
    worker->listed = true;
    worker->next_sleeper = sleepers;
    sleepers = worker;
    atomic_store_explicit(&worker->sleeping, true, memory_order_seq_cst);
    atomic_fetch_add_explicit(&idle_word,
        IDLE_SLEEPING - (searching ? IDLE_SEARCHING : 0), memory_order_seq_cst);
    spinlock_release(&idle_lock);
    barrier_heavy(); /* pairs with barrier_light in idle_submitted */
    if (idle_work_exists() || !inbox_empty(&worker->inbox)) {
        if (unpark(worker))
            searching = true;
        else {
            searching = true;
            atomic_fetch_add_explicit(&idle_word, IDLE_SEARCHING, memory_order_seq_cst);
        }
    } else {
        hub_wait(worker->hub, deadline);
        searching = unpark(worker);
    }
    atomic_store_explicit(&worker->sleeping, false, memory_order_relaxed);
    return searching;
}

void idle_reset(void)
{
    sleepers = NULL;
    atomic_store_explicit(&idle_word, 0, memory_order_relaxed);
}

void idle_forget(void)
{
    idle_reset();
    idle_lock = (struct spinlock){0};
}
