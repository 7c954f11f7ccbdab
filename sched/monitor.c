/* SPDX-License-Identifier: MIT */
/*
 * Asking a thread where it is: a signal to it, whose handler writes the answer, as only
 * on its own thread the greenlet that runs can't end meanwhile. Nobody waits for an
 * answer for ever (the thread may block signals, or be stuck in the kernel), so a late
 * one must not spoil the next: each question has a number, and the handler writes only
 * after it has changed the state of that very question from ASKED to ANSWERING.
 *
 * Who may touch what:
 *   question   number << 2 | state; the monitor, but ASKED -> ANSWERING -> ANSWERED by
 *              the handler
 *   answer     the handler while ANSWERING, the monitor when ANSWERED
 *   thread, stop, exists   who starts and stops the runtime
 *
 * The handler stays installed for good: a signal may be pending for a thread that
 * blocks it for as long as it likes, and the default action ends the process.
 */
#define _GNU_SOURCE
#include "sched/monitor.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sched/extra.h"
#include "sched/fork.h"
#include "sched/program_counter.h"
#include "sched/report.h"
#include "sched/runtime.h"

/* glibc gives no fixed number. 0 and 1 below the highest are those that others like. */
#define SIGNAL (SIGRTMAX - 2)

#define LOOKS 4 /* per GROVE_MAX_BLOCKING_TIME */
#define SHORTEST_PAUSE ((nanoseconds)1000000)
#define ANSWER_MILLISECONDS 200
#define NAME_LENGTH 128

/* All that moves when a worker comes by its scheduler: a lone greenlet that yields or
 * waits does so without a switch. */
struct sample {
    uint64_t switches;
    uint64_t parks;
    uint32_t ticks;
    int budget;
};

struct stretch {
    struct sample sample;
    nanoseconds length; /* since then, as far as the monitor itself was running */
    bool reported;
};

enum { IDLE, ASKED, ANSWERING, ANSWERED, STATES };

static _Atomic(uint32_t) question;

static struct {
    struct worker *worker;
    struct sample sample;
    bool callback; /* no greenlet */
    uint64_t id;
    char name[NAME_LENGTH]; /* "": it has none yet */
    void *frames[REPORT_FRAMES];
    int count;
} answer;

static pthread_t thread;
static sem_t stop;
static _Atomic(bool) exists;

static uint32_t state_of(uint32_t asked)
{
    return asked % STATES;
}

/* Also from other threads, with plain reads: a torn or stale value only puts a report
 * off, as the handler compares again. */
static __attribute__((noinline, no_sanitize("thread"))) struct sample sample_of(
    const struct worker *worker)
{
    const volatile struct worker *now = worker;

    return (struct sample){
        .switches = *(volatile uint64_t *)&worker->stats->switches,
        .parks = *(volatile uint64_t *)&worker->stats->parks,
        .ticks = now->ticks,
        .budget = now->budget,
    };
}

static bool same(const struct sample *a, const struct sample *b)
{
    return a->switches == b->switches && a->parks == b->parks && a->ticks == b->ticks &&
           a->budget == b->budget;
}

/* -- On the thread that is asked ------------------------------------------------- */

static void answer_greenlet(struct grove *greenlet)
{
    answer.name[0] = '\0';
    answer.callback = !greenlet;
    if (!greenlet)
        return;
    answer.id = greenlet->id;
    /* Until it is done, which it becomes on this thread, it keeps its name. */
    const char *name = extra_name(greenlet);
    if (name && !greenlet_done(greenlet))
        memccpy(answer.name, name, 0, NAME_LENGTH - 1);
}

static void handle(int number, siginfo_t *info, void *context)
{
    uint32_t asked = (uint32_t)info->si_value.sival_int;
    int saved_errno = errno;

    (void)number;
    if (state_of(asked) != ASKED ||
        !atomic_compare_exchange_strong_explicit(&question, &asked,
            asked - ASKED + ANSWERING, memory_order_acquire, memory_order_relaxed))
        return;
    answer.worker = worker_self;
    answer.count = 0;
    if (worker_self) {
        void *frames[REPORT_FRAMES];
        int count = backtrace(frames, REPORT_FRAMES);
        int first = program_counter_frame(context, frames, count);
        answer.count = count - first;
        memcpy(answer.frames, frames + first, (size_t)answer.count * sizeof *frames);
        answer.sample = sample_of(worker_self);
        answer_greenlet(worker_self->current);
    }
    atomic_store_explicit(&question, asked - ASKED + ANSWERED, memory_order_release);
    errno = saved_errno;
}

/* -- On the monitor --------------------------------------------------------------- */

/* Does nothing where the program uses that signal itself: no thread answers then. */
static void install_handler(void)
{
    struct sigaction now, action = {
                              .sa_sigaction = handle,
                              .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
                          };
    void *primed[1];

    backtrace(primed, 1); /* the first call loads libgcc and allocates */
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGNAL, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        sigaction(SIGNAL, &action, NULL);
}

static bool handler_installed(void)
{
    struct sigaction now;

    return sigaction(SIGNAL, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO &&
           now.sa_sigaction == handle;
}

/* By its number in the kernel, so that a thread that has just ended does no harm. */
static bool send_signal(pid_t to, uint32_t asked)
{
    siginfo_t info = {.si_signo = SIGNAL, .si_code = SI_QUEUE};

    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = (int)asked;
    return handler_installed() &&
           syscall(SYS_rt_tgsigqueueinfo, getpid(), to, SIGNAL, &info) == 0;
}

/* Whether it has answered. */
static bool ask(pid_t to)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    uint32_t asked = atomic_load_explicit(&question, memory_order_acquire);

    if (state_of(asked) == ANSWERING)
        return false; /* somebody began long ago, and may still write */
    asked = asked - state_of(asked) + STATES + ASKED;
    /* Release: what the monitor read of the last answer comes before the next. */
    atomic_store_explicit(&question, asked, memory_order_release);
    if (send_signal(to, asked))
        for (int i = 0; i < ANSWER_MILLISECONDS; i++) {
            if (state_of(atomic_load_explicit(&question, memory_order_acquire)) ==
                ANSWERED)
                return true;
            nanosleep(&pause, NULL);
        }
    atomic_compare_exchange_strong_explicit(&question, &asked, asked - ASKED + IDLE,
        memory_order_relaxed, memory_order_relaxed);
    return state_of(atomic_load_explicit(&question, memory_order_acquire)) == ANSWERED;
}

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

static void report_answer(const struct worker *worker, double seconds)
{
    char who[NAME_LENGTH + 64] = "a hub callback";

    if (!answer.callback)
        describe(who, sizeof who, answer.name, answer.id);
    report_blocking(who, worker->index, seconds, answer.frames, answer.count, NULL);
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
        (unsigned long long)task, SIGNAL, wait[0] ? wait : "unknown",
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

    if (state != STATS_RUNNING || !same(&now, &stretch->sample)) {
        *stretch = (struct stretch){.sample = now};
        return;
    }
    stretch->length += passed;
    if (stretch->length < allowed || stretch->reported || excused(worker))
        return;
    stretch->reported = true;
    double seconds = (double)stretch->length / 1e9;
    if (!ask((pid_t)task)) {
        now = sample_of(worker);
        if (same(&now, &stretch->sample))
            report_silence(worker, seconds, task);
    } else if (answer.worker == worker && same(&answer.sample, &stretch->sample)) {
        report_answer(worker, seconds);
    }
}

static bool stopped_by(nanoseconds deadline)
{
    struct timespec at = {deadline / 1000000000, deadline % 1000000000};

    return sem_clockwait(&stop, CLOCK_MONOTONIC, &at) == 0;
}

static void *monitor_thread(void *arg)
{
    struct stretch stretches[WORKER_MAX] = {0};
    nanoseconds pause = (nanoseconds)(runtime_config.max_blocking_time / LOOKS * 1e9);
    nanoseconds before = timers_clock();

    topology_unbind(&runtime_topology);
    pthread_setname_np(pthread_self(), "grove-monitor");
    if (pause < SHORTEST_PAUSE)
        pause = SHORTEST_PAUSE;
    while (!stopped_by(before + pause)) {
        nanoseconds now = timers_clock();
        /* While the whole process is stopped, nobody keeps anybody waiting. */
        nanoseconds passed = now - before < 2 * pause ? now - before : 2 * pause;
        for (int i = 0; i < worker_count; i++)
            look_at(workers[i], &stretches[i], passed);
        before = now;
    }
    return arg;
}

int monitor_threads(void)
{
    return atomic_load_explicit(&exists, memory_order_relaxed);
}

int monitor_start(void)
{
    sigset_t all, mask;

    if (runtime_config.max_blocking_time <= 0 ||
        runtime_config.report == GROVE_REPORT_OFF)
        return 0;
    install_handler();
    sem_init(&stop, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    int error = pthread_create(&thread, NULL, monitor_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    atomic_store_explicit(&exists, error == 0, memory_order_relaxed);
    errno = error;
    return error ? -1 : 0;
}

void monitor_stop(void)
{
    if (!monitor_threads())
        return;
    int saved_errno = errno;
    sem_post(&stop);
    pthread_join(thread, NULL);
    sem_destroy(&stop);
    atomic_store_explicit(&exists, false, memory_order_relaxed);
    errno = saved_errno;
}

void monitor_forget(void)
{
    atomic_store_explicit(&exists, false, memory_order_relaxed);
    atomic_store_explicit(&question, IDLE, memory_order_relaxed);
}
