/* SPDX-License-Identifier: MIT */
/*
 * The monitor's thread: what it does when, and its beginning and end. It has a bell, so
 * that it can sleep for good while there is nothing to look at.
 *
 *   state      NONE -> STARTING -> EXISTS or FAILED, by who starts it, by
 *              compare-and-swap; back to NONE by who stops the runtime
 *   thread     who starts and stops it
 *   stopping   who stops it; read by the monitor
 *   bell       rung by anybody. Never destroyed, as a late one may ring
 */
#define _GNU_SOURCE
#include "sched/monitor.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sched/fork.h"
#include "sched/lock_cycle.h"
#include "sched/probe.h"
#include "sched/report.h"
#include "sched/runtime.h"

#define LOOKS 4 /* per GROVE_MAX_BLOCKING_TIME */
#define SHORTEST_PAUSE ((nanoseconds)1000000)

struct stretch {
    struct sample sample;
    nanoseconds length; /* since then, as far as the monitor itself was running */
    bool reported;
};

enum { NONE, STARTING, EXISTS, FAILED };

static pthread_t thread;
static sem_t bell;
static _Atomic(bool) stopping;
static _Atomic(int) state;

/* The greenlet that runs, and its number; meaningless if the worker switches just now.
 * Records are never unmapped. */
static __attribute__((noinline, no_sanitize("thread"))) struct grove *current_of(
    const struct worker *worker, uint64_t *id)
{
    struct grove *current = ((const volatile struct worker *)worker)->current;

    *id = current ? ((volatile struct grove *)current)->id : 0;
    return current;
}

/* The first line of a file of that thread in /proc. */
static void read_task(char *text, size_t size, uint64_t task, const char *file)
{
    char path[64];

    text[0] = '\0';
    snprintf(
        path, sizeof path, "/proc/self/task/%llu/%s", (unsigned long long)task, file);
    FILE *in = fopen(path, "re");
    if (!in)
        return;
    if (!fgets(text, (int)size, in))
        text[0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    fclose(in);
}

static void describe(char *text, size_t size, const char *name, uint64_t id)
{
    if (name[0])
        snprintf(text, size, "greenlet %s (id %llu)", name, (unsigned long long)id);
    else
        snprintf(text, size, "greenlet greenlet-%llu (id %llu)", (unsigned long long)id,
            (unsigned long long)id);
}

static void report_answer(
    const struct worker *worker, double seconds, const struct probe_answer *answer)
{
    char who[PROBE_NAME_LENGTH + 64] = "a hub callback";

    if (!answer->callback)
        describe(who, sizeof who, answer->name, answer->id);
    report_blocking(who, worker->index, seconds, answer->frames, answer->count, NULL);
}

/* Without an answer the name can't be had: it might be freed just now. */
static void report_silence(const struct worker *worker, double seconds, uint64_t task)
{
    char who[64] = "a hub callback", wait[64], call[128], where[320];
    uint64_t id;

    if (current_of(worker, &id))
        snprintf(who, sizeof who, "greenlet with id %llu", (unsigned long long)id);
    read_task(wait, sizeof wait, task, "wchan");
    read_task(call, sizeof call, task, "syscall");
    snprintf(where, sizeof where,
        "no backtrace, as thread %llu doesn't take signal %d; wchan %s, syscall %s",
        (unsigned long long)task, PROBE_SIGNAL, wait[0] ? wait : "unknown",
        call[0] ? call : "unknown");
    report_blocking(who, worker->index, seconds, NULL, 0, where);
}

/* Main greenlets of threads that are the program's own may compute as long as they
 * like: they have no duties in between. */
static bool excused(const struct worker *worker)
{
    uint64_t id;

    return !worker->thread && current_of(worker, &id) == worker->main;
}

static void look_at(struct worker *worker, struct stretch *stretch, nanoseconds passed)
{
    nanoseconds allowed = (nanoseconds)(runtime_config.max_blocking_time * 1e9);
    uint64_t state = __atomic_load_n(&worker->stats->state, __ATOMIC_RELAXED);
    uint64_t task = __atomic_load_n(&worker->stats->thread_id, __ATOMIC_RELAXED);
    struct sample now = sample_of(worker);

    if (state != STATS_RUNNING || !sample_same(&now, &stretch->sample)) {
        *stretch = (struct stretch){.sample = now};
        return;
    }
    stretch->length += passed;
    if (stretch->length < allowed || stretch->reported || excused(worker))
        return;
    stretch->reported = true;
    double seconds = (double)stretch->length / 1e9;
    const struct probe_answer *answer = probe_ask((pid_t)task);
    if (!answer) {
        now = sample_of(worker);
        if (sample_same(&now, &stretch->sample))
            report_silence(worker, seconds, task);
    } else if (answer->worker == worker &&
               sample_same(&answer->sample, &stretch->sample)) {
        report_answer(worker, seconds, answer);
    }
}

/* -- The thread ------------------------------------------------------------------- */

/* Sleeps until the bell rings, or until then. */
static void sleep_until(nanoseconds deadline)
{
    struct timespec at = {deadline / 1000000000, deadline % 1000000000};

    if (deadline == TIMERS_NEVER)
        sem_wait(&bell);
    else
        sem_clockwait(&bell, CLOCK_MONOTONIC, &at);
}

/* How long it is between two looks at who keeps its worker; TIMERS_NEVER: nobody asks.
 */
static nanoseconds pause_between_looks(void)
{
    nanoseconds pause = (nanoseconds)(runtime_config.max_blocking_time / LOOKS * 1e9);

    if (runtime_config.max_blocking_time <= 0)
        return TIMERS_NEVER;
    return pause < SHORTEST_PAUSE ? SHORTEST_PAUSE : pause;
}

static void look_at_all(struct stretch *stretches, nanoseconds passed)
{
    for (int i = 0; i < worker_count; i++)
        look_at(workers[i], &stretches[i], passed);
}

static void *monitor_thread(void *arg)
{
    struct stretch stretches[WORKER_MAX] = {0};
    nanoseconds pause = pause_between_looks(), before = timers_clock();
    nanoseconds look = pause == TIMERS_NEVER ? TIMERS_NEVER : before + pause;
    nanoseconds cycles = lock_cycle_turn(before);

    topology_unbind(&runtime_topology);
    pthread_setname_np(pthread_self(), "grove-monitor");
    for (;;) {
        sleep_until(look < cycles ? look : cycles);
        if (atomic_load_explicit(&stopping, memory_order_acquire))
            return arg;
        nanoseconds now = timers_clock();
        if (now >= look) {
            /* While the whole process is stopped, nobody keeps anybody waiting. */
            look_at_all(stretches, now - before < 2 * pause ? now - before : 2 * pause);
            before = now;
            look = now + pause;
        }
        cycles = lock_cycle_turn(now);
    }
}

int monitor_threads(void)
{
    return atomic_load_explicit(&state, memory_order_acquire) == EXISTS;
}

/* 0 or an errno value. */
static int start_thread(void)
{
    sigset_t all, mask;

    sem_init(&bell, 0, 0);
    atomic_store_explicit(&stopping, false, memory_order_relaxed);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    int error = pthread_create(&thread, NULL, monitor_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    atomic_store_explicit(&state, error ? FAILED : EXISTS, memory_order_release);
    return error;
}

int monitor_start(void)
{
    if (runtime_config.report == GROVE_REPORT_OFF)
        return 0;
    lock_cycle_start();
    if (runtime_config.max_blocking_time <= 0)
        return 0;
    probe_install();
    errno = start_thread();
    return errno ? -1 : 0;
}

void monitor_wake(void)
{
    int none = NONE, saved_errno = errno;

    /* Not NONE: the bell is there. */
    if (atomic_compare_exchange_strong_explicit(
            &state, &none, STARTING, memory_order_acquire, memory_order_acquire))
        (void)start_thread();
    else
        sem_post(&bell);
    errno = saved_errno;
}

void monitor_stop(void)
{
    int saved_errno = errno;

    lock_cycle_stop();
    if (monitor_threads()) {
        atomic_store_explicit(&stopping, true, memory_order_release);
        sem_post(&bell);
        pthread_join(thread, NULL);
    }
    atomic_store_explicit(&state, NONE, memory_order_relaxed);
    errno = saved_errno;
}

void monitor_forget(void)
{
    atomic_store_explicit(&state, NONE, memory_order_relaxed);
    lock_cycle_stop();
    probe_forget();
}
