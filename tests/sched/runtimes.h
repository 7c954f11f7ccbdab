/* SPDX-License-Identifier: MIT */
/* What the tests of greenlets share: runs with one worker and with two, small helpers.
 */
#ifndef TESTS_SCHED_RUNTIMES_H
#define TESTS_SCHED_RUNTIMES_H

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <grove/greenlet.h>
#include <grove/runtime.h>
#include <grove/timeout.h>

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

/* Each defines what TEST puts into the table of tests: NAME run with one worker, with
 * two, with both in turn, or left to start the runtime itself. */
#define ALONE(name) \
    static void name##_test(void) \
    { \
        run_with_workers(1, name); \
    }
#define PAIR(name) \
    static void name##_test(void) \
    { \
        run_with_workers(2, name); \
    }
#define EVERYWHERE(name) \
    static void name##_test(void) \
    { \
        run_with_workers(1, name); \
        run_with_workers(2, name); \
    }
#define BARE(name) \
    static void name##_test(void) \
    { \
        name(); \
    }

#define TEST(text, name) \
    { \
        text, name##_test \
    }

static inline grove_t *must(grove_t *greenlet)
{
    if (!greenlet) {
        CHECK(greenlet != NULL);
        abort();
    }
    return greenlet;
}

/* Lets others run until [flag] is set, by a greenlet or a thread. */
static inline void until(_Atomic(int) *flag)
{
    while (!atomic_load_explicit(flag, memory_order_acquire))
        grove_yield();
}

static inline void raise_flag(_Atomic(int) *flag)
{
    atomic_store_explicit(flag, 1, memory_order_release);
}

/* Runs fn(arg) in a thread of its own, while this thread's greenlets go on. */
struct foreign_call {
    void (*fn)(void *arg);
    void *arg;
    _Atomic(int) over;
};

static inline void *foreign_call_run(void *arg)
{
    struct foreign_call *call = arg;

    call->fn(call->arg);
    raise_flag(&call->over);
    return NULL;
}

static inline void in_thread(void (*fn)(void *arg), void *arg)
{
    struct foreign_call call = {.fn = fn, .arg = arg};
    pthread_t thread;

    if (!CHECK_EQUAL(pthread_create(&thread, NULL, foreign_call_run, &call), 0))
        return;
    until(&call.over);
    pthread_join(thread, NULL);
}

/* A small generator for decisions of a test; each user has its own state. */
static inline uint32_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

#endif
