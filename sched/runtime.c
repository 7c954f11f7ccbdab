/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sched/runtime.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <grove/runtime.h>

#include "sched/barrier.h"
#include "sched/chance.h"
#include "sched/clock.h"
#include "sched/extra.h"
#include "sched/fork.h"
#include "sched/guest.h"
#include "sched/helpers.h"
#include "sched/hub.h"
#include "sched/idle.h"
#include "sched/inject.h"
#include "sched/kill_all.h"
#include "sched/lane.h"
#include "sched/monitor.h"
#include "sched/numbers.h"
#include "sched/overflow.h"
#include "sched/reference.h"
#include "sched/sanitize.h"
#include "sched/scheduler.h"
#include "sched/stack.h"

#define TEXT_(number) #number
#define TEXT(number) TEXT_(number)
#define VERSION \
    TEXT(GROVE_VERSION_MAJOR) \
    "." TEXT(GROVE_VERSION_MINOR) "." TEXT(GROVE_VERSION_PATCH)

nanoseconds runtime_switch_interval;
struct topology runtime_topology;
struct config runtime_config;
_Atomic(bool) runtime_stop;

/* Held while the runtime starts or stops. */
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(bool) running;
/* A shutdown is under way, which leaves the lock while it waits for greenlets; under
 * the lock, as [opened]. */
static bool closing;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;

bool runtime_running(void)
{
    return atomic_load_explicit(&running, memory_order_acquire);
}

const char *grove_version(void)
{
    return VERSION;
}

/* The main greenlet of a worker's own thread does nothing but let others run. */
static void *worker_thread(void *arg)
{
    struct worker *worker = arg;
    char name[16];

    snprintf(name, sizeof name, "grove-%d", worker->index);
    pthread_setname_np(pthread_self(), name);
    topology_bind(&runtime_topology, worker->index);
    overflow_thread_enter();
    stats_worker_start(worker->stats, runtime_topology.worker[worker->index].pu);
    worker_adopt_thread(worker);
    while (!runtime_stopping(worker)) {
        worker->current = NULL;
        scheduler_switch(worker, worker->main, scheduler_next(worker));
    }
    stats_worker_stop(worker->stats);
    worker_self = NULL;
    overflow_thread_leave();
    return NULL;
}

static void join_threads(int count)
{
    atomic_store_explicit(&runtime_stop, true, memory_order_seq_cst);
    for (int i = 0; i < count; i++) {
        if (!workers[i]->thread)
            continue;
        hub_ring(workers[i]->hub);
        pthread_join((pthread_t)workers[i]->thread, NULL);
    }
}

static int start_threads(bool main_is_worker)
{
    for (int i = main_is_worker; i < worker_count; i++) {
        pthread_t thread;
        /* Set before it runs: it asks whether it has one. */
        workers[i]->thread = workers[i];
        int error = pthread_create(&thread, NULL, worker_thread, workers[i]);
        if (error) {
            workers[i]->thread = NULL;
            join_threads(i);
            errno = error;
            return -1;
        }
        workers[i]->thread = (void *)thread;
    }
    return 0;
}

static int start_monitor(void)
{
    if (monitor_start() == 0)
        return 0;
    int error = errno;
    join_threads(worker_count);
    errno = error;
    return -1;
}

static int make_workers(void)
{
    workers = calloc((size_t)runtime_topology.workers, sizeof *workers);
    if (!workers)
        return -1;
    for (worker_count = 0; worker_count < runtime_topology.workers; worker_count++)
        if (!(workers[worker_count] = worker_new(worker_count)))
            return -1;
    return 0;
}

static void free_workers(void)
{
    for (int i = 0; i < worker_count; i++)
        worker_free(workers[i]);
    free(workers);
    workers = NULL;
    worker_count = 0;
}

static const char *overflow_subject(void *owner, uint64_t *id)
{
    struct grove *greenlet = owner;

    *id = greenlet->id;
    return extra_name(greenlet);
}

static const struct stack *running_stack(void)
{
    struct worker *worker = worker_self;

    return worker && worker->current ? worker->current->activation->stack : NULL;
}

static const struct overflow_hooks overflow_hooks = {overflow_subject, running_stack};

const char *runtime_backend(void)
{
    static const char *const names[] = {
        [GROVE_BACKEND_EPOLL] = "epoll",
        [GROVE_BACKEND_POLL] = "poll",
        [GROVE_BACKEND_SELECT] = "select",
        [GROVE_BACKEND_IOURING] = "iouring",
    };

    return names[runtime_config.backend];
}

static int start(void)
{
    static const char *const binds[] = {"", "auto", "core", "pu", "none"};
    static bool forks_prepared;
    bool is_main = gettid() == getpid();

    if (!forks_prepared && fork_prepare() < 0)
        return -1;
    forks_prepared = true;
    barrier_init();
    runtime_switch_interval = (nanoseconds)(runtime_config.switch_interval * 1e9);
    if (topology_load(&runtime_topology, &runtime_config, NULL) < 0)
        return -1;
    int error = -stack_init(runtime_config.stack_size, runtime_config.stack_cache);
    if (error)
        goto free_topology;
    struct stats_setup setup = {
        .workers = runtime_topology.workers,
        .stack_size = runtime_config.stack_size,
        .version = VERSION,
        .bind = binds[runtime_config.bind],
        .backend = runtime_backend(),
    };
    stats_close(); /* open still in the child of a fork */
    error = -stats_open(&setup);
    if (error)
        goto destroy_stacks;
    overflow_install(&overflow_hooks);
    idle_reset();
    numbers_reset();
    chance_start(runtime_config.seed);
    clock_start(runtime_config.clock == GROVE_CLOCK_VIRTUAL);
    atomic_store_explicit(&runtime_stop, false, memory_order_relaxed);
    if (make_workers() < 0)
        goto free_made;
    if (is_main) {
        overflow_thread_enter();
        stats_worker_start(workers[0]->stats, runtime_topology.worker[0].pu);
        worker_adopt_thread(workers[0]);
    }
    if (start_threads(is_main) == 0 && start_monitor() == 0) {
        /* Last: threads inherit the binding of who makes them, and would begin by
         * competing for this core. */
        if (is_main)
            topology_bind(&runtime_topology, 0);
        return 0;
    }
    error = errno;
    if (is_main) {
        stats_worker_stop(workers[0]->stats);
        worker_self = NULL;
        overflow_thread_leave();
    }
    errno = error;
free_made:
    error = errno;
    free_workers();
    stats_close();
destroy_stacks:
    stack_depot_destroy();
free_topology:
    topology_free(&runtime_topology);
    errno = error;
    return -1;
}

/* Under the lock. */
static int start_locked(const grove_config_t *config)
{
    if (runtime_running())
        return 0;
    if (config_load(&runtime_config, config) < 0 || start() < 0)
        return -1;
    atomic_store_explicit(&running, true, memory_order_release);
    return 0;
}

/* Under the lock, which it lets go meanwhile: waits for the end of a shutdown. */
static void wait_until_open(void)
{
    while (closing)
        pthread_cond_wait(&opened, &start_lock);
}

int runtime_start(const grove_config_t *config)
{
    int result;

    pthread_mutex_lock(&start_lock);
    result = start_locked(config);
    pthread_mutex_unlock(&start_lock);
    return result;
}

bool runtime_hold(void)
{
    pthread_mutex_lock(&start_lock);
    /* A helper would wait for the shutdown, which waits for the helper. */
    if (!helpers_self)
        wait_until_open();
    if (start_locked(NULL) == 0)
        return true;
    pthread_mutex_unlock(&start_lock);
    return false;
}

void runtime_let_go(void)
{
    pthread_mutex_unlock(&start_lock);
}

int grove_init(const grove_config_t *config)
{
    return runtime_start(config);
}

static void stop(void)
{
    monitor_stop();
    join_threads(worker_count);
    lane_stop();
    if (worker_self) {
        stats_worker_stop(worker_self->stats);
        overflow_thread_leave();
        topology_unbind(&runtime_topology);
    }
    free_workers();
    worker_free_retired();
    worker_self = NULL;
    for (struct grove *ended; (ended = inject_pop());)
        greenlet_release(ended);
    stack_depot_destroy();
    stats_close();
    topology_free(&runtime_topology);
    atomic_store_explicit(&running, false, memory_order_release);
}

/* The main greenlet of worker 0; if that is a thread of the library, as another thread
 * than the main one was first, any plain thread. */
static bool may_shut_down(void)
{
    struct worker *worker = worker_self;

    return worker ? worker->index == 0 && worker->current == worker->main
                  : workers[0]->thread != NULL;
}

/* Under the lock. 0: the caller closes the runtime; 1: it is stopped; -1 with errno. */
static int begin_shutdown(void)
{
    wait_until_open();
    if (!runtime_running())
        return 1;
    if (!may_shut_down() || guest_count() > 0) {
        errno = EPERM;
        return -1;
    }
    closing = true;
    return 0;
}

int grove_shutdown(double timeout)
{
    if (timeout != timeout) {
        errno = EINVAL;
        return -1;
    }
    pthread_mutex_lock(&start_lock);
    int begun = begin_shutdown();
    pthread_mutex_unlock(&start_lock);
    if (begun != 0)
        return begun < 0 ? -1 : 0;
    int error = kill_all(timeout);
    pthread_mutex_lock(&start_lock);
    if (error == 0)
        stop();
    closing = false;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&start_lock);
    errno = error ? error : errno;
    return error ? -1 : 0;
}

struct worker *worker_attend(void)
{
    int saved_errno = errno;

    if (worker_self)
        return worker_self;
    if (!runtime_running() && runtime_start(NULL) < 0)
        return NULL;
    errno = worker_self ? saved_errno : 0;
    return worker_self;
}

struct worker *worker_enter(void)
{
    int saved_errno = errno;
    struct worker *worker = worker_attend();

    if (worker || errno)
        return worker;
    if ((worker = guest_new()))
        errno = saved_errno;
    return worker;
}

double grove_now(void)
{
    return (double)timers_clock() / 1e9;
}

int grove_worker_count(void)
{
    if (!runtime_running() && runtime_start(NULL) < 0)
        return -1;
    return worker_count;
}

int grove_worker_self(void)
{
    return worker_self ? worker_self->index : -1;
}

void runtime_forget(void)
{
    pthread_mutex_init(&start_lock, NULL);
    pthread_cond_init(&opened, NULL);
    closing = false;
    atomic_store_explicit(&runtime_stop, false, memory_order_relaxed);
    atomic_store_explicit(&running, false, memory_order_relaxed);
    SANITIZE_FORGET(runtime_topology.worker);
    SANITIZE_FORGET(runtime_topology.allowed);
    SANITIZE_FORGET(runtime_topology.numbers);
    SANITIZE_FORGET(runtime_topology.sets);
    runtime_topology = (struct topology){0};
}
