/* SPDX-License-Identifier: MIT */
/*
 * From the signal handler to the waiters. The handler may run on any thread in any
 * state: inside a section, in malloc, on a thread of the program that has no worker. So
 * all it does is to set a flag of the source and to post a semaphore. Beyond that there
 * is one thread, made when first a signal is held and ended by grove_shutdown, that
 * sleeps on the semaphore, takes waiters off their lists and wakes them as any plain
 * thread would.
 *
 * Rejected: a message to worker 0, sent by the handler. Pushing to an inbox and ringing
 * a hub would be async-signal-safe, but the main greenlet may compute, or sit in a call
 * of the system, for as long as it likes, and all signals would wait for it. And as a
 * handler may run arbitrarily late on a thread that was preempted at its first
 * instruction, it could meet a hub that a shutdown has freed.
 *
 * The same lateness here: a handler that comes after the thread has ended must do
 * nothing. Dekker, seq_cst throughout:
 *
 *   handler    inside++;  accepting?  -> flag, post;  inside--
 *   closer     accepting = false;  wait while inside > 0;  end the thread
 *
 * The flag of the source keeps the semaphore at one post for each number, so it can't
 * overflow. From post to delivery a signal counts as work of a helper, so that virtual
 * time doesn't jump over the wake that is under way.
 *
 *   thread_lock    guards [thread] and [thread_exists]; taken before lock, and never by
 *                  the signal thread, which is joined under it
 *   lock           of the sources what their table says
 *   accepting      written under thread_lock, read by handlers and the signal thread
 *   inside         counted up and down by handlers, read by the closer
 *   bell           posted by handlers and the closer, awaited by the signal thread
 */
#define _GNU_SOURCE
#include "io/signal_source.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include "sched/deadlock.h"
#include "sched/helpers.h"
#include "sched/probe.h"
#include "sched/runtime.h"
#include "sched/spin.h"

static struct signal_source sources[NSIG];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t thread_lock = PTHREAD_MUTEX_INITIALIZER;
static bool thread_exists;
static pthread_t thread;
static _Atomic(bool) accepting;
static _Atomic(int) inside;
static sem_t bell;

/* -- On whatever thread the kernel chooses ---------------------------------------- */

/* Async-signal-safe. */
static void ring(struct signal_source *source)
{
    atomic_fetch_add_explicit(&inside, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&accepting, memory_order_seq_cst) &&
        !atomic_exchange_explicit(&source->caught, true, memory_order_seq_cst)) {
        helpers_work_begins();
        sem_post(&bell);
    }
    atomic_fetch_sub_explicit(&inside, 1, memory_order_seq_cst);
}

static void handle(int number)
{
    int saved_errno = errno;

    ring(&sources[number]);
    errno = saved_errno;
}

void signal_source_repeat(struct signal_source *source)
{
    ring(source);
}

/* -- The signal thread ------------------------------------------------------------- */

static void deliver(struct signal_source *source)
{
    section_enter(&source->list.section);
    atomic_fetch_add_explicit(&source->deliveries, 1, memory_order_relaxed);
    struct waiter *woken = waiter_pop_all(&source->list);
    section_leave(&source->list.section);
    waiter_wake_chain(woken, 0);
}

bool signal_source_closing(void)
{
    return !atomic_load_explicit(&accepting, memory_order_seq_cst);
}

static void *signal_thread(void *arg)
{
    helpers_self = true;
    topology_unbind(&runtime_topology);
    pthread_setname_np(pthread_self(), "grove-signal");
    for (;;) {
        while (sem_wait(&bell) < 0)
            continue;
        if (signal_source_closing())
            return arg;
        /* Before the delivery: one that comes meanwhile gets a delivery of its own. */
        for (int number = 1; number < NSIG; number++)
            if (atomic_exchange_explicit(
                    &sources[number].caught, false, memory_order_seq_cst))
                deliver(&sources[number]);
        helpers_work_ends();
    }
}

/* 0 or an error number. Under thread_lock, as the next. */
static int provide_thread(void)
{
    sigset_t all, mask;

    if (thread_exists)
        return 0;
    sem_init(&bell, 0, 0);
    atomic_store_explicit(&accepting, true, memory_order_seq_cst);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    int error = pthread_create(&thread, NULL, signal_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    thread_exists = error == 0;
    if (thread_exists)
        helpers_count(1);
    else
        atomic_store_explicit(&accepting, false, memory_order_seq_cst);
    return error;
}

static void end_thread(void)
{
    struct spin spin = {0};

    if (!thread_exists)
        return;
    atomic_store_explicit(&accepting, false, memory_order_seq_cst);
    while (atomic_load_explicit(&inside, memory_order_seq_cst) > 0)
        spin_once(&spin);
    sem_post(&bell);
    pthread_join(thread, NULL);
    thread_exists = false;
    helpers_count(-1);
    /* Of what was posted too late as many are left as were posted: the thread has taken
     * one, and the closer added one. */
    while (sem_trywait(&bell) == 0)
        helpers_work_ends();
    for (int number = 1; number < NSIG; number++)
        atomic_store_explicit(&sources[number].caught, false, memory_order_relaxed);
    sem_destroy(&bell);
}

/* -- Who awaits a signal ----------------------------------------------------------- */

static int number_of(const struct signal_source *source)
{
    return (int)(source - sources);
}

int signal_source_check(int number)
{
    /* Those between are glibc's own. */
    if (number < 1 || number > SIGRTMAX || (number >= 32 && number < SIGRTMIN))
        return EINVAL;
    switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
    case SIGSYS:
        return EINVAL;
    default:
        return number == PROBE_SIGNAL ? EBUSY : 0;
    }
}

static void set_listening(struct signal_source *source, bool listening)
{
    section_enter(&source->list.section);
    source->listening = listening;
    section_leave(&source->list.section);
    deadlock_outside(listening ? 1 : -1);
}

/* 0 or an error number. Under the lock, as the next. */
static int install(struct signal_source *source)
{
    struct sigaction action = {
        .sa_handler = handle,
        .sa_flags = SA_RESTART | SA_ONSTACK,
    };

    sigemptyset(&action.sa_mask);
    if (sigaction(number_of(source), &action, &source->previous) < 0)
        return errno;
    set_listening(source, true);
    return 0;
}

/* Not if the program has installed something else meanwhile. */
static void restore_previous(struct signal_source *source)
{
    struct sigaction now;

    if (sigaction(number_of(source), NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
        now.sa_handler == handle)
        sigaction(number_of(source), &source->previous, NULL);
}

static void uninstall(struct signal_source *source)
{
    restore_previous(source);
    set_listening(source, false);
}

/* Under thread_lock, so that no shutdown comes in between. */
static int hold(struct signal_source *source, uint64_t *seen)
{
    int error = provide_thread();

    if (error)
        return error;
    /* Before it is installed. */
    *seen = atomic_load_explicit(&source->deliveries, memory_order_relaxed);
    pthread_mutex_lock(&lock);
    if (!source->listening)
        error = install(source);
    if (!error)
        source->holds++;
    pthread_mutex_unlock(&lock);
    return error;
}

struct signal_source *signal_source_hold(int number, uint64_t *seen)
{
    bool held = false; /* the runtime, in which the thread is to live */
    int error = signal_source_check(number);

    if (error) {
        errno = error;
        return NULL;
    }
    if (!worker_self && !(held = runtime_hold()))
        return NULL;
    pthread_mutex_lock(&thread_lock);
    error = hold(&sources[number], seen);
    pthread_mutex_unlock(&thread_lock);
    if (held)
        runtime_let_go();
    if (!error)
        return &sources[number];
    errno = error;
    return NULL;
}

void signal_source_release(struct signal_source *source)
{
    pthread_mutex_lock(&lock);
    if (--source->holds == 0 && source->listening)
        uninstall(source);
    pthread_mutex_unlock(&lock);
}

bool signal_source_publish(
    struct signal_source *source, uint64_t *seen, struct waiter *waiter, int *error)
{
    section_enter(&source->list.section);
    uint64_t now = atomic_load_explicit(&source->deliveries, memory_order_relaxed);
    bool listening = source->listening;
    bool missed = now != *seen;
    if (listening && !missed)
        waiter_link(&source->list, waiter);
    section_leave(&source->list.section);
    if (missed)
        *seen = now;
    else if (!listening)
        *error = ECANCELED;
    return listening && !missed;
}

/* -- Shutdown and fork --------------------------------------------------------------
 */

/* Those who hold it still have to release it. */
static void drop(struct signal_source *source)
{
    pthread_mutex_lock(&lock);
    if (source->listening)
        uninstall(source);
    pthread_mutex_unlock(&lock);
    section_enter(&source->list.section);
    struct waiter *woken = waiter_pop_all(&source->list);
    section_leave(&source->list.section);
    waiter_wake_chain(woken, ECANCELED);
}

static bool end_all(void)
{
    pthread_mutex_lock(&thread_lock);
    for (int number = 1; number < NSIG; number++)
        drop(&sources[number]);
    end_thread();
    pthread_mutex_unlock(&thread_lock);
    return true;
}

/* In the child of a fork. The signals do what they did before; what held or awaited
 * them is the parent's. */
static void forget(void)
{
    atomic_store_explicit(&accepting, false, memory_order_relaxed);
    atomic_store_explicit(&inside, 0, memory_order_relaxed);
    pthread_mutex_init(&lock, NULL);
    pthread_mutex_init(&thread_lock, NULL);
    thread_exists = false;
    for (int number = 1; number < NSIG; number++) {
        if (sources[number].listening)
            restore_previous(&sources[number]);
        sources[number] = (struct signal_source){0};
    }
}

__attribute__((constructor)) static void install_hooks(void)
{
    static struct helpers_kind signal_threads = {.end = end_all};

    helpers_register(&signal_threads);
    /* Before the runtime's own (sched/fork.h): no signal counts as work after that has
     * been forgotten. */
    (void)pthread_atfork(NULL, NULL, forget);
}
