/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sched/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/extra.h"
#include "sched/finish.h"
#include "sched/fork.h"
#include "sched/hub.h"
#include "sched/numbers.h"
#include "sched/record.h"
#include "sched/reference.h"
#include "sched/runtime.h"

#define DEQUE_FIRST_CAPACITY 1024

/* Of the C++ runtime; weak, as C programs have none. */
extern struct thread_exceptions *__cxa_get_globals(void) __attribute__((weak));

__thread struct worker *worker_self;
struct worker **workers;
int worker_count;

/*
 * The structs of workers are made once and kept for ever, also while no runtime runs: a
 * section may still be biased to a worker of an earlier run, and its revoker reads
 * in_section.
 */
static struct worker *slots[WORKER_MAX];

struct worker *worker_of_bias(uint32_t bias)
{
    return slots[bias - 1];
}

#if SANITIZE_SWITCHES
/* Of the greenlet that forked: the child's main thread goes on on that one. */
static struct sanitize_stack forked;

static struct sanitize_stack own_stack(void)
{
    struct sanitize_stack stack = {0};
    pthread_attr_t attributes;
    void *bottom = NULL;

    if ((uintptr_t)__builtin_frame_address(0) - (uintptr_t)forked.bottom < forked.size)
        return forked;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &bottom, &stack.size);
        pthread_attr_destroy(&attributes);
    }
    stack.bottom = bottom;
    return stack;
}
#endif

/* Sanitizers have to know the bounds of the thread's own stack to return to it. */
static void describe_stack(struct worker *worker)
{
#if SANITIZE_SWITCHES
    struct sanitize_stack *stack = &worker->main_activation.sanitize;

    *stack = own_stack();
    if (stack->size > 0)
        SANITIZE_ROOT(stack->bottom, stack->size);
#if SANITIZE_THREAD
    stack->fiber = __tsan_get_current_fiber();
#endif
#else
    (void)worker;
#endif
}

static void forget_stack(struct worker *worker)
{
#if SANITIZE_SWITCHES
    struct sanitize_stack *stack = &worker->main_activation.sanitize;

    if (stack->size > 0)
        SANITIZE_UNROOT(stack->bottom, stack->size);
    stack->size = 0;
#else
    (void)worker;
#endif
}

static int make_main(struct worker *worker, const char *name)
{
    struct extra *extra = calloc(1, sizeof *extra);

    if (!extra)
        return -1;
    char *copy = strdup(name);
    struct grove *greenlet = copy ? record_new_plain() : NULL;
    if (!greenlet) {
        free(copy);
        free(extra);
        return -1;
    }
    /* The rest is as in every free record. */
    greenlet->function = NULL;
    greenlet->value = NULL;
    greenlet->joiner = NULL;
    greenlet->error = 0;
    greenlet->attention = 0;
    greenlet->spawned_at = NULL;
    extra->greenlet = greenlet;
    atomic_init(&extra->name, copy);
    greenlet->id = numbers_next(worker);
    greenlet->activation = &worker->main_activation;
    greenlet->stack_pointer = greenlet->activation; /* it has started */
    atomic_store_explicit(&greenlet->kill_error, 0, memory_order_relaxed);
    atomic_store_explicit(&greenlet->owner, worker, memory_order_relaxed);
    atomic_store_explicit(&greenlet->extra, extra, memory_order_relaxed);
    /* Who ends all looks at every record, also while a lane thread is made. */
    atomic_store_explicit(
        &greenlet->state, GREENLET_REFERENCE | GREENLET_MAIN, memory_order_release);
    worker->main = greenlet;
    return 0;
}

static void set_numbers(struct worker *worker, int index)
{
    static _Atomic(uint64_t) guests;
    uint64_t number =
        index >= 0 ? (uint64_t)index + 1
                   : WORKER_MAX + 1 +
                         atomic_fetch_add_explicit(&guests, 1, memory_order_relaxed);

    worker->index = index;
    worker->bias = index >= 0 && barrier_asymmetric && !SANITIZE_THREAD
                       ? (uint32_t)index + 1
                       : WORKER_UNBIASED;
    worker->next_id = numbers_take_block();
    worker->ids_before = 0;
    worker->next_lock_wait = number << 40;
    worker->random = (uint32_t)number * 2654435761u;
    worker->budget = worker->tick_switches = 1;
}

/*
 * Guests that have ended, with their hubs and inboxes, for the next ones: a thread that
 * sends something to a guest may still hold its address when the guest ends. What it
 * then does reaches the next guest, as a ring for nothing or as the kill of a greenlet
 * that has ended.
 */
static pthread_mutex_t retired_lock = PTHREAD_MUTEX_INITIALIZER;
static struct worker *retired; /* by next_guest */

static void retire(struct worker *guest)
{
    pthread_mutex_lock(&retired_lock);
    guest->next_guest = retired;
    retired = guest;
    pthread_mutex_unlock(&retired_lock);
}

static struct worker *take_retired(void)
{
    pthread_mutex_lock(&retired_lock);
    struct worker *guest = retired;
    if (guest)
        retired = guest->next_guest;
    pthread_mutex_unlock(&retired_lock);
    return guest;
}

void worker_free_retired(void)
{
    struct worker *guest;

    while ((guest = take_retired())) {
        hub_free(guest->hub);
        free(guest);
    }
}

/* The struct of a worker, zero but for what others may still send to. */
static struct worker *slot(int index)
{
    struct worker *worker = index >= 0 ? slots[index] : take_retired();

    if (worker) {
        struct hub *hub = worker->hub;
        memset(worker, 0, index >= 0 ? sizeof *worker : offsetof(struct worker, inbox));
        worker->hub = index >= 0 ? NULL : hub;
        return worker;
    }
    if (!(worker = aligned_alloc(128, (sizeof *worker + 127) & ~(size_t)127)))
        return NULL;
    memset(worker, 0, sizeof *worker);
    if (index >= 0)
        slots[index] = worker;
    return worker;
}

struct worker *worker_new(int index)
{
    char name[32];
    struct worker *worker = slot(index);

    if (!worker)
        return NULL;
    set_numbers(worker, index);
    stack_cache_init(&worker->stacks);
    worker->stats = stats_worker(index);
    if (index == 0)
        snprintf(name, sizeof name, "main");
    else
        snprintf(name, sizeof name, index > 0 ? "worker-%d" : "thread", index);
    if (deque_init(&worker->deque, DEQUE_FIRST_CAPACITY) < 0)
        goto free_worker;
    if (!worker->hub && !(worker->hub = hub_new(runtime_backend())))
        goto free_deque;
    if (make_main(worker, name) < 0)
        goto free_hub;
    return worker;
free_hub:
    hub_free(worker->hub);
    worker->hub = NULL;
free_deque:
    deque_free(&worker->deque);
free_worker:
    if (index < 0)
        retire(worker);
    return NULL;
}

void worker_adopt_thread(struct worker *worker)
{
    worker->errno_address = &errno;
    worker->exceptions = __cxa_get_globals ? __cxa_get_globals() : NULL;
    worker->current = worker->main;
    describe_stack(worker);
    worker_self = worker;
    worker->last_tick = worker->last_poll = timers_clock(); /* its own: clock.h */
}

/* What still lies in a queue has ended: its queue's reference is all that is left. */
static void empty_queues(struct worker *worker)
{
    struct grove *greenlet;

    while ((greenlet = runqueue_pop(&worker->ready)) ||
           (greenlet = deque_pop(&worker->deque)))
        greenlet_release(greenlet);
}

void worker_free(struct worker *worker)
{
    int saved_errno = errno;

    /* Who joins it goes on; and as it is done, a late kill of it is not taken for one
     * of the thread that gets this struct next. */
    greenlet_publish_end(worker->main);
    empty_queues(worker);
    if (worker->index < 0)
        hub_clear(worker->hub);
    else
        hub_free(worker->hub);
    if (worker->spare)
        stack_release(&worker->stacks, worker->spare);
    stack_cache_drain(&worker->stacks);
    timers_free(&worker->timers);
    deque_free(&worker->deque);
    greenlet_release(worker->main);
    record_drain(worker);
    forget_stack(worker);
    if (worker_self == worker)
        worker_self = NULL;
    if (worker->index < 0)
        retire(worker);
    errno = saved_errno;
}

void worker_send(struct worker *worker, struct message *message)
{
    inbox_push(&worker->inbox, message);
    /* seq_cst: after the push, as the worker looks at its inbox after setting this. */
    if (!atomic_load_explicit(&worker->sleeping, memory_order_seq_cst) ||
        !atomic_exchange_explicit(&worker->sleeping, false, memory_order_seq_cst))
        return;
    if (worker_self)
        stats_add(worker_self->stats, wakes_sent, 1);
    hub_ring(worker->hub);
}

void worker_forget(void)
{
#if SANITIZE_SWITCHES
    if (worker_self && worker_self->current)
        forked = worker_self->current->activation->sanitize;
#endif
    memset(slots, 0, sizeof slots);
    pthread_mutex_init(&retired_lock, NULL);
    SANITIZE_FORGET(workers);
    SANITIZE_FORGET(retired);
    retired = NULL;
    worker_self = NULL;
    workers = NULL;
    worker_count = 0;
}
