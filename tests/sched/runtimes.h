/* SPDX-License-Identifier: MIT */
/* What the tests of greenlets share: runs with 1, 2 and 7 workers, small helpers.
 */
#ifndef TESTS_SCHED_RUNTIMES_H
#define TESTS_SCHED_RUNTIMES_H

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

/* Exit status of a run of that test alone, -1 when a signal ended it. What it prints is
 * lost, so that its results aren't counted: GROVE_TEST_CHILD=1 shows it. */
static inline int status_of_test(const char *text)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        setenv("GROVE_TEST_CHILD", "1", 1);
        dup2(open("/dev/null", O_WRONLY), 1);
        execl("/proc/self/exe", "test", text, (char *)NULL);
        _exit(99);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Each defines what TEST puts into the table of tests: NAME run with one worker, with
 * two, with one, two and seven in turn, or left to start the runtime itself. */
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
        run_with_workers(7, name); \
    }
#define BARE(name) \
    static void name##_test(void) \
    { \
        name(); \
    }

/* NAME in a process of its own, which has used nothing of the library yet: this program
 * again, with that test alone. It must end with status 0. */
#define APART(name, text) \
    static void name##_test(void) \
    { \
        if (getenv("GROVE_TEST_CHILD")) \
            name(); \
        else \
            CHECK_EQUAL(status_of_test(text), 0); \
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
