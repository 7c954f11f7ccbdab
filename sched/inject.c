/* SPDX-License-Identifier: MIT */
#include "sched/inject.h"

#include "sched/fork.h"
#include "sched/runqueue.h"
#include "sched/spinlock.h"

static struct runqueue list;
static _Atomic(uint32_t) count;
static struct spinlock list_lock;

void inject_push(struct grove *greenlet)
{
    spinlock_acquire(&list_lock);
    runqueue_push(&list, greenlet);
    atomic_fetch_add_explicit(&count, 1, memory_order_seq_cst);
    spinlock_release(&list_lock);
}

struct grove *inject_pop(void)
{
    if (inject_empty())
        return NULL;
    spinlock_acquire(&list_lock);
    struct grove *greenlet = runqueue_pop(&list);
    if (greenlet)
        atomic_fetch_sub_explicit(&count, 1, memory_order_seq_cst);
    spinlock_release(&list_lock);
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
    list_lock = (struct spinlock){0};
}
