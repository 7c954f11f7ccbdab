/* SPDX-License-Identifier: MIT */
#include "sched/helpers.h"

#include <stdatomic.h>

#include "sched/deadlock.h"
#include "sched/fork.h"

__thread bool helpers_self;

static struct helpers_kind *kinds;
static _Atomic(int) threads;
/* seq_cst: who ends work looks afterwards whether all workers sleep, and who falls
 * asleep says so before it reads this; one of the two sees the other (quiet.c). */
static _Atomic(int) work;

void helpers_register(struct helpers_kind *kind)
{
    kind->next = kinds;
    kinds = kind;
}

bool helpers_end(void)
{
    bool none = true;

    for (struct helpers_kind *kind = kinds; kind; kind = kind->next)
        none &= kind->end();
    return none;
}

void helpers_count(int change)
{
    atomic_fetch_add_explicit(&threads, change, memory_order_seq_cst);
}

void helpers_work_begins(void)
{
    atomic_fetch_add_explicit(&work, 1, memory_order_seq_cst);
}

void helpers_work_ends(void)
{
    if (atomic_fetch_sub_explicit(&work, 1, memory_order_seq_cst) == 1 && helpers_self)
        deadlock_reconsider();
}

int helpers_threads(void)
{
    return atomic_load_explicit(&threads, memory_order_seq_cst);
}

bool helpers_at_work(void)
{
    return atomic_load_explicit(&work, memory_order_seq_cst) > 0;
}

void helpers_forget(void)
{
    atomic_store_explicit(&threads, 0, memory_order_relaxed);
    atomic_store_explicit(&work, 0, memory_order_relaxed);
    helpers_self = false;
}
