/* SPDX-License-Identifier: MIT */
/*
 * Pools of native threads. A lock for each pool guards all of it: what a call costs is
 * the wake of a thread, 5-50 us, against which a lock-free queue would save nothing.
 *
 * Idle threads sleep each on a condition of its own, the last to fall asleep on top: so
 * work goes to the one with the warmest caches, and with less work than threads those
 * at the bottom stay idle and end. (On one condition for all they would take turns, and
 * none would ever be idle for long.)
 *
 * No thread is left behind: one that ends leaves its name in [ended] and joins the one
 * it found there. So whoever joins the last has waited for all, and no more than one
 * thread that has ended waits to be joined.
 *
 * Who may touch what:
 *   everything   under lock, but
 *   max          constant
 *   next         under pools_lock
 *   gone         an event: set by the last thread to end
 *
 * pools_lock is taken before a pool's lock. Results are set under neither: that may
 * wake greenlets of any worker.
 */
#define _GNU_SOURCE
#include "io/threadpool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <grove/event.h>

#include "sched/answer.h"
#include "sched/guest.h"
#include "sched/helpers.h"
#include "sched/runtime.h"
#include "sched/sanitize.h"
#include "sync/wait_through.h"

/* An idle thread, on its stack. */
struct sleeper {
    struct sleeper *next;
    bool listed; /* false: woken */
    pthread_cond_t wake;
};

struct grove_threadpool {
    pthread_mutex_t lock;
    size_t max; /* 0: GROVE_THREADS */
    size_t threads, queued;
    struct task *first, *last;
    struct sleeper *sleepers;
    bool ending; /* no thread waits for work any more */
    bool has_ended;
    pthread_t ended; /* the last that ended, if [has_ended] */
    grove_event_t gone;
    grove_threadpool_t *next;
};

static grove_threadpool_t default_pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static grove_threadpool_t *pools = &default_pool;

static grove_threadpool_t *pool_or_default(grove_threadpool_t *pool)
{
    return pool ? pool : &default_pool;
}

/* -- Tasks ------------------------------------------------------------------------ */

static void task_release(struct task *task)
{
    /* Acquire of all other releases: nobody uses it any more. */
    if (atomic_fetch_sub_explicit(&task->references, 1, memory_order_acq_rel) > 1)
        return;
    grove_result_destroy(&task->result);
    free(task);
}

/* The pool's last use of it. With an error there is no value. */
static void task_complete(struct task *task, void *value, int error)
{
    if (error)
        grove_result_fail(&task->result, error, NULL);
    else
        grove_result_set(&task->result, value);
    task_release(task);
    helpers_work_ends();
}

static void append(grove_threadpool_t *pool, struct task *task)
{
    task->queued = true;
    task->prev = pool->last;
    if (pool->last)
        pool->last->next = task;
    else
        pool->first = task;
    pool->last = task;
    pool->queued++;
}

static void take_out(grove_threadpool_t *pool, struct task *task)
{
    task->queued = false;
    if (task->prev)
        task->prev->next = task->next;
    else
        pool->first = task->next;
    if (task->next)
        task->next->prev = task->prev;
    else
        pool->last = task->prev;
    task->next = task->prev = NULL;
    pool->queued--;
}

/* All that is queued, as a chain by next. */
static struct task *take_all(grove_threadpool_t *pool)
{
    struct task *first = pool->first;

    for (struct task *task = first; task; task = task->next)
        task->queued = false;
    pool->first = pool->last = NULL;
    pool->queued = 0;
    return first;
}

static void fail_all(struct task *task, int error)
{
    while (task) {
        struct task *next = task->next;
        task_complete(task, NULL, error);
        task = next;
    }
}

/* -- Threads ---------------------------------------------------------------------- */

static void wake_first(grove_threadpool_t *pool)
{
    struct sleeper *sleeper = pool->sleepers;

    pool->sleepers = sleeper->next;
    sleeper->listed = false;
    pthread_cond_signal(&sleeper->wake);
}

static void *pool_thread(void *arg);

/* 0 or an error number. Under the lock. */
static int add_thread(grove_threadpool_t *pool)
{
    sigset_t all, mask;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    int error = pthread_create(&thread, NULL, pool_thread, pool);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (error)
        return error;
    helpers_count(1);
    pool->threads++;
    return 0;
}

/* Sees to it that a thread comes for what is queued: fails, with an error number, only
 * if there is none at all. Under the lock. */
static int provide_thread(grove_threadpool_t *pool)
{
    size_t max = pool->max ? pool->max : (size_t)runtime_config.threads;

    if (pool->sleepers) {
        wake_first(pool);
        return 0;
    }
    int error = pool->threads < max ? add_thread(pool) : 0;
    return pool->threads ? 0 : error;
}

/* Under the lock, which it lets go of. The calling thread does nothing afterwards. */
static void leave(grove_threadpool_t *pool)
{
    bool joins = pool->has_ended;
    pthread_t before = pool->ended;
    struct task *given_up = NULL;
    int error = 0;

    pool->threads--;
    /* Only if a function has ended its thread. */
    if (pool->queued && (error = provide_thread(pool)) != 0)
        given_up = take_all(pool);
    pool->has_ended = true;
    pool->ended = pthread_self();
    helpers_count(-1);
    if (pool->threads == 0)
        grove_event_set(&pool->gone);
    pthread_mutex_unlock(&pool->lock);
    fail_all(given_up, error);
    if (joins)
        pthread_join(before, NULL);
}

/* The function has ended its thread. */
static void abandon(void *arg)
{
    struct task *task = arg;
    grove_threadpool_t *pool = task->pool;

    guest_leave();
    task_complete(task, NULL, ECANCELED);
    pthread_mutex_lock(&pool->lock);
    leave(pool);
}

static void run(struct task *task)
{
    void *value;

    pthread_cleanup_push(abandon, task);
    errno = 0;
    value = task->function(task->argument);
    pthread_cleanup_pop(0);
    /* In a fork's child there is nothing to go back to (sched/fork.h). */
    if (!helpers_self)
        exit(EXIT_SUCCESS);
    task->left_errno = errno;
    guest_leave();
    task_complete(task, value, 0);
}

/* Sleeps until there may be work. False: it has waited long enough. Under the lock. */
static bool wait_for_work(grove_threadpool_t *pool)
{
    nanoseconds deadline = timers_deadline(runtime_config.threads_idle);
    struct timespec until = {deadline / 1000000000, deadline % 1000000000};
    struct sleeper self = {.next = pool->sleepers, .listed = true};
    int error = 0;

    pthread_cond_init(&self.wake, NULL);
    /* Whoever leaves has been taken out: by a waker, or below. */
    /* cppcheck-suppress autoVariables */
    pool->sleepers = &self;
    while (self.listed && error == 0)
        error =
            pthread_cond_clockwait(&self.wake, &pool->lock, CLOCK_MONOTONIC, &until);
    if (self.listed) {
        struct sleeper **link = &pool->sleepers;
        while (*link != &self)
            link = &(*link)->next;
        *link = self.next;
    }
    pthread_cond_destroy(&self.wake);
    return !self.listed;
}

static void *pool_thread(void *arg)
{
    grove_threadpool_t *pool = arg;
    struct task *task;

    helpers_self = true;
    topology_unbind(&runtime_topology);
    pthread_setname_np(pthread_self(), "grove-pool");
    pthread_mutex_lock(&pool->lock);
    do {
        while ((task = pool->first)) {
            take_out(pool, task);
            pthread_mutex_unlock(&pool->lock);
            run(task);
            pthread_mutex_lock(&pool->lock);
        }
    } while (!pool->ending && wait_for_work(pool));
    leave(pool);
    return NULL;
}

/* Fails what is queued, and lets threads end that have nothing to do. Whether all have
 * ended. */
static bool end_threads(grove_threadpool_t *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct task *given_up = take_all(pool);
    pool->ending = true;
    while (pool->sleepers)
        wake_first(pool);
    bool gone = pool->threads == 0;
    bool joins = gone && pool->has_ended;
    pthread_t last = pool->ended;
    if (gone)
        pool->ending = pool->has_ended = false;
    pthread_mutex_unlock(&pool->lock);
    fail_all(given_up, ECANCELED);
    if (joins)
        pthread_join(last, NULL);
    return gone;
}

/* Of all pools. */
static bool end_all(void)
{
    bool gone = true;

    pthread_mutex_lock(&pools_lock);
    for (grove_threadpool_t *pool = pools; pool; pool = pool->next)
        gone &= end_threads(pool);
    pthread_mutex_unlock(&pools_lock);
    return gone;
}

/* In the child of a fork. What was queued or running is the parent's. */
static void forget(void)
{
    pthread_mutex_init(&pools_lock, NULL);
    for (grove_threadpool_t *pool = pools; pool; pool = pool->next) {
        for (struct task *task = pool->first; task; task = task->next)
            SANITIZE_FORGET(task);
        pthread_mutex_init(&pool->lock, NULL);
        pool->threads = pool->queued = 0;
        pool->first = pool->last = NULL;
        pool->sleepers = NULL;
        pool->ending = pool->has_ended = false;
        pool->gone = (grove_event_t)GROVE_EVENT_INIT;
    }
}

__attribute__((constructor)) static void install(void)
{
    static struct helpers_kind pool_threads = {.end = end_all};

    helpers_register(&pool_threads);
    (void)pthread_atfork(NULL, NULL, forget);
}

/* -- Public ----------------------------------------------------------------------- */

grove_threadpool_t *grove_threadpool_new(size_t max)
{
    grove_threadpool_t *pool = calloc(1, sizeof *pool);

    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pool->max = max;
    pthread_mutex_lock(&pools_lock);
    pool->next = pools;
    pools = pool;
    pthread_mutex_unlock(&pools_lock);
    return pool;
}

/* 0 or an error number. */
static int submit(grove_threadpool_t *pool, struct task *task)
{
    helpers_work_begins();
    pthread_mutex_lock(&pool->lock);
    append(pool, task);
    int error = provide_thread(pool);
    if (error)
        take_out(pool, task);
    pthread_mutex_unlock(&pool->lock);
    if (error)
        helpers_work_ends();
    return error;
}

grove_result_t *grove_threadpool_spawn(grove_threadpool_t *pool, grove_fn fn, void *arg)
{
    /* The runtime, whose settings and CPUs threads use, ends after they have. */
    bool held = false;

    if (!fn) {
        errno = EINVAL;
        return NULL;
    }
    struct task *task = calloc(1, sizeof *task);
    if (!task)
        return NULL;
    pool = pool_or_default(pool);
    task->pool = pool;
    task->function = fn;
    task->argument = arg;
    atomic_init(&task->references, 2);
    if (!worker_self && !(held = runtime_hold()))
        goto free_task;
    int error = submit(pool, task);
    if (held)
        runtime_let_go();
    if (!error)
        return &task->result;
    errno = error;
free_task:
    free(task);
    return NULL;
}

int grove_threadpool_cancel(grove_threadpool_t *pool, grove_result_t *result)
{
    struct task *task = (struct task *)result;

    pool = pool_or_default(pool);
    if (!task || task->pool != pool)
        return answer(EINVAL);
    pthread_mutex_lock(&pool->lock);
    bool queued = task->queued;
    if (queued)
        take_out(pool, task);
    pthread_mutex_unlock(&pool->lock);
    if (!queued)
        return answer(EALREADY);
    task_complete(task, NULL, ECANCELED);
    return 0;
}

void grove_threadpool_release(grove_result_t *result)
{
    if (result)
        task_release((struct task *)result);
}

size_t grove_threadpool_size(grove_threadpool_t *pool)
{
    pool = pool_or_default(pool);
    pthread_mutex_lock(&pool->lock);
    size_t threads = pool->threads;
    pthread_mutex_unlock(&pool->lock);
    return threads;
}

size_t grove_threadpool_queued(grove_threadpool_t *pool)
{
    pool = pool_or_default(pool);
    pthread_mutex_lock(&pool->lock);
    size_t queued = pool->queued;
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

static int wait_until_gone(void *pool)
{
    return grove_event_wait(&((grove_threadpool_t *)pool)->gone, GROVE_FOREVER);
}

static void unlist(grove_threadpool_t *pool)
{
    pthread_mutex_lock(&pools_lock);
    grove_threadpool_t **link = &pools;
    while (*link != pool)
        link = &(*link)->next;
    *link = pool->next;
    pthread_mutex_unlock(&pools_lock);
}

void grove_threadpool_free(grove_threadpool_t *pool)
{
    int saved_errno = errno;

    if (!pool)
        return;
    /* A thread that ends is without work, but wakes the caller: no deadlock. */
    helpers_work_begins();
    grove_event_clear(&pool->gone);
    while (!end_threads(pool)) {
        wait_through(wait_until_gone, pool);
        grove_event_clear(&pool->gone);
    }
    helpers_work_ends();
    unlist(pool);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    errno = saved_errno;
}
