/* SPDX-License-Identifier: MIT */
#include "sched/inject.h"

#include "sched/fork.h"
#include "sched/runqueue.h"
#include "sched/spin.h"

static struct runqueue list;
static _Atomic(uint32_t) count;
static _Atomic(uint32_t) list_lock;

static void lock(void)
{
    struct spin spin = {0};

    while (atomic_exchange_explicit(&list_lock, 1, memory_order_acquire) != 0)
        spin_once(&spin);
}

static void unlock(void)
{
    atomic_store_explicit(&list_lock, 0, memory_order_release);
}

void inject_push(struct grove *greenlet)
{
    lock();
    runqueue_push(&list, greenlet);
    atomic_fetch_add_explicit(&count, 1, memory_order_seq_cst);
    unlock();
}

struct grove *inject_pop(void)
{
    if (inject_empty())
        return NULL;
    lock();
    struct grove *greenlet = runqueue_pop(&list);
    if (greenlet)
        atomic_fetch_sub_explicit(&count, 1, memory_order_seq_cst);
    unlock();
    return greenlet;
}

bool inject_empty(void)
{
    return atomic_load_explicit(&count, memory_order_seq_cst) == 0;
}

void inject_forget(void)
{
    list = (struct runqueue){0};
    atomic_store_explicit(&count, 0, memory_order_relaxed);
    atomic_store_explicit(&list_lock, 0, memory_order_relaxed);
}
