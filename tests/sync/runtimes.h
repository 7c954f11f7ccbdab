/* SPDX-License-Identifier: MIT */
/* What the tests of sync/ share: runs with one worker and with two, and small helpers.
 */
#ifndef TESTS_SYNC_RUNTIMES_H
#define TESTS_SYNC_RUNTIMES_H

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <grove/greenlet.h>
#include <grove/runtime.h>
#include <grove/timeout.h>

#include "sched/waiter.h"
#include "tests/harness.h"

/* A call that must fail, and how. */
#define CHECK_ERROR(call, error) \
    (errno = 0, CHECK_EQUAL(call, -1), CHECK_EQUAL(errno, error))

static inline void run_with_workers(int workers, void (*test)(void))
{
    grove_config_t config = {.workers = workers, .report = GROVE_REPORT_OFF};

    if (!CHECK_EQUAL(grove_init(&config), 0))
        return;
    CHECK_EQUAL(grove_worker_count(), workers);
    test();
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}

/* Defines NAME_everywhere, which runs the test NAME with one worker and with two. */
#define EVERYWHERE(name) \
    static void name##_everywhere(void) \
    { \
        run_with_workers(1, name); \
        run_with_workers(2, name); \
    }

/* An entry of the table of tests. */
#define TEST(text, name) \
    { \
        text, name##_everywhere \
    }

static inline grove_t *must(grove_t *greenlet)
{
    CHECK(greenlet != NULL);
    return greenlet;
}

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

/* A small generator for decisions of a test; each user has its own state. */
static inline uint32_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

#endif
