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
 *
 * The handler stays installed for good: a signal may be pending for a thread that
 * blocks it for as long as it likes, and the default action ends the process.
 */
#define _GNU_SOURCE
#include "sched/probe.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sched/extra.h"
#include "sched/program_counter.h"

#define ANSWER_MILLISECONDS 200

enum { IDLE, ASKED, ANSWERING, ANSWERED, STATES };

static _Atomic(uint32_t) question;

static struct probe_answer answer;

static uint32_t state_of(uint32_t asked)
{
    return asked % STATES;
}

/* Also from other threads, with plain reads: a torn or stale value only puts a report
 * off, as the handler compares again. */
__attribute__((noinline, no_sanitize("thread"))) struct sample sample_of(
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

bool sample_same(const struct sample *a, const struct sample *b)
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
        memccpy(answer.name, name, 0, PROBE_NAME_LENGTH - 1);
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

void probe_install(void)
{
    struct sigaction now, action = {
                              .sa_sigaction = handle,
                              .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
                          };
    void *primed[1];

    backtrace(primed, 1); /* the first call loads libgcc and allocates */
    sigemptyset(&action.sa_mask);
    if (sigaction(PROBE_SIGNAL, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        sigaction(PROBE_SIGNAL, &action, NULL);
}

static bool handler_installed(void)
{
    struct sigaction now;

    return sigaction(PROBE_SIGNAL, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO &&
           now.sa_sigaction == handle;
}

/* By its number in the kernel, so that a thread that has just ended does no harm. */
static bool send_signal(pid_t to, uint32_t asked)
{
    siginfo_t info = {.si_signo = PROBE_SIGNAL, .si_code = SI_QUEUE};

    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = (int)asked;
    return handler_installed() &&
           syscall(SYS_rt_tgsigqueueinfo, getpid(), to, PROBE_SIGNAL, &info) == 0;
}

const struct probe_answer *probe_ask(pid_t thread)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    uint32_t asked = atomic_load_explicit(&question, memory_order_acquire);

    if (state_of(asked) == ANSWERING)
        return NULL; /* somebody began long ago, and may still write */
    asked = asked - state_of(asked) + STATES + ASKED;
    /* Release: what the monitor read of the last answer comes before the next. */
    atomic_store_explicit(&question, asked, memory_order_release);
    if (send_signal(thread, asked))
        for (int i = 0; i < ANSWER_MILLISECONDS; i++) {
            if (state_of(atomic_load_explicit(&question, memory_order_acquire)) ==
                ANSWERED)
                return &answer;
            nanosleep(&pause, NULL);
        }
    atomic_compare_exchange_strong_explicit(&question, &asked, asked - ASKED + IDLE,
        memory_order_relaxed, memory_order_relaxed);
    return state_of(atomic_load_explicit(&question, memory_order_acquire)) == ANSWERED
               ? &answer
               : NULL;
}

void probe_forget(void)
{
    atomic_store_explicit(&question, IDLE, memory_order_relaxed);
}
