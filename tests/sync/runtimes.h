/* SPDX-License-Identifier: MIT */
/* What the tests of sync/ share besides what those of sched/ do. */
#ifndef TESTS_SYNC_RUNTIMES_H
#define TESTS_SYNC_RUNTIMES_H

#include <math.h>

#include "sched/waiter.h"
#include "tests/sched/runtimes.h"

/* Returns when some greenlet or thread is linked. Other greenlets run meanwhile. */
static inline void until_waited_for(grove_waiters_t *waiters)
{
    struct wait_list *list = (struct wait_list *)waiters;

    for (;;) {
        section_enter(&list->section);
        bool waited_for = list->first != NULL;
        section_leave(&list->section);
        if (waited_for)
            return;
        grove_yield();
    }
}

#endif
