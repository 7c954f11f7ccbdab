/* SPDX-License-Identifier: MIT */
/*
 * Waiting for signals and handling them. A handler is a waiter that stands for a
 * function: a delivery takes it out of the source's list and calls it, on the signal
 * thread, where it makes the greenlet and links itself again. No delivery can come in
 * between, as only that thread delivers.
 *
 * The greenlets know their handler by its number, not its address: they may start after
 * it was cancelled, or be killed without ever starting, so they could neither trust nor
 * give back a reference.
 *
 *   handlers, listed, cancelled, published   under lock
 *   waiter                                   see waiter.h
 *   everything else                          constant
 */
#include <grove/signal.h>

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <grove/greenlet.h>

#include "io/signal_source.h"
#include "sched/container.h"
#include "sched/sanitize.h"
#include "sched/spawn.h"
#include "sync/blocking.h"

#define PAUSE_NANOSECONDS 10000000

static const struct wait_reason reason = {.text = "a signal", .list_offset = -1};

struct grove_signal {
    struct waiter waiter;
    struct signal_source *source;
    uint64_t id;
    int number;
    int home; /* index of the worker, -1: any */
    void (*function)(int number, void *arg);
    void *arg;
    bool listed;
    bool published; /* in the source's list, or about to be called from it */
    bool cancelled;
    struct grove_signal *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct grove_signal *handlers;
static uint64_t last_id;

static int wait_for(struct signal_source *source, uint64_t seen, double timeout)
{
    struct waiter self;
    int error = 0;

    if (waiter_init(&self) < 0)
        return errno;
    self.reason = &reason;
    if (!signal_source_publish(source, &seen, &self, &error))
        return error;
    return waiter_park(&self, timeout);
}

int grove_signal_wait(int number, double timeout)
{
    uint64_t seen;
    int error = signal_source_check(number);

    if (!error)
        error = blocking_begin(timeout);
    if (error || timeout == 0)
        return answer(error ? error : ETIMEDOUT);
    struct signal_source *source = signal_source_hold(number, &seen);
    if (!source)
        return -1;
    error = wait_for(source, seen, timeout);
    signal_source_release(source);
    return answer(error);
}

/* -- The list ---------------------------------------------------------------------- */

static void enlist(struct grove_signal *handler)
{
    pthread_mutex_lock(&lock);
    handler->id = ++last_id;
    handler->listed = true;
    handler->published = true;
    handler->next = handlers;
    handlers = handler;
    pthread_mutex_unlock(&lock);
}

/* Whether it was there. Under the lock; the caller then releases the source. */
static bool unlist(struct grove_signal *handler)
{
    struct grove_signal **link = &handlers;

    if (!handler->listed)
        return false;
    while (*link != handler)
        link = &(*link)->next;
    *link = handler->next;
    handler->listed = false;
    return true;
}

/* -- A delivery -------------------------------------------------------------------- */

/* The greenlet. */
static void *run(void *id)
{
    struct grove_signal *handler, found = {.function = NULL};

    pthread_mutex_lock(&lock);
    for (handler = handlers; handler; handler = handler->next)
        if (handler->id == (uintptr_t)id) {
            found.function = handler->function;
            found.number = handler->number;
            found.arg = handler->arg;
        }
    pthread_mutex_unlock(&lock);
    if (found.function)
        found.function(found.number, found.arg);
    return NULL;
}

/* On the signal thread, which exists only while the workers do. Without memory the
 * other signals have to wait as well. */
static void start(const struct grove_signal *handler)
{
    static const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    int worker = handler->home >= 0 ? handler->home : (int)(handler->id % worker_count);
    struct grove *greenlet;

    while (!(greenlet = greenlet_spawn_on(workers[worker], run,
                 (void *)(uintptr_t)handler->id, (void *)handler->function))) {
        if (signal_source_closing())
            return;
        nanosleep(&pause, NULL);
    }
    grove_release(greenlet);
}

static bool publish(struct grove_signal *handler, uint64_t *seen, int *error)
{
    return signal_source_publish(handler->source, seen, &handler->waiter, error);
}

/* After a delivery, on the signal thread; or, with an error, on the one that shuts the
 * runtime down. */
static void call(struct message *message)
{
    struct waiter *waiter = CONTAINER(message, struct waiter, message);
    struct grove_signal *handler = CONTAINER(waiter, struct grove_signal, waiter);
    struct signal_source *source = handler->source;
    uint64_t seen = atomic_load_explicit(&source->deliveries, memory_order_relaxed);
    int error = waiter->result;

    if (!error)
        start(handler);
    pthread_mutex_lock(&lock);
    handler->published =
        !error && !handler->cancelled && publish(handler, &seen, &error);
    bool dropped = !handler->published && unlist(handler);
    bool unused = !handler->published && handler->cancelled;
    pthread_mutex_unlock(&lock);
    if (dropped)
        signal_source_release(source);
    if (unused)
        free(handler);
}

/* -- Public ------------------------------------------------------------------------ */

static struct grove_signal *handler_new(
    int number, void (*fn)(int number, void *arg), void *arg)
{
    struct grove_signal *handler = calloc(1, sizeof *handler);

    if (!handler)
        return NULL;
    waiter_init_call(&handler->waiter, call);
    handler->number = number;
    handler->function = fn;
    handler->arg = arg;
    return handler;
}

/* 0 or an error number. */
static int begin(struct grove_signal *handler, uint64_t seen)
{
    bool missed = false;
    int error = 0;

    while (!publish(handler, &seen, &error)) {
        if (error)
            return error;
        missed = true;
    }
    if (missed)
        signal_source_repeat(handler->source);
    return 0;
}

grove_signal_t *grove_signal_handle(
    int number, void (*fn)(int number, void *arg), void *arg)
{
    uint64_t seen;
    int error = fn ? signal_source_check(number) : EINVAL;

    if (error) {
        errno = error;
        return NULL;
    }
    struct grove_signal *handler = handler_new(number, fn, arg);
    if (!handler)
        return NULL;
    handler->source = signal_source_hold(number, &seen);
    error = handler->source ? 0 : errno;
    if (error)
        goto free_handler;
    handler->home = worker_self ? worker_self->index : -1;
    enlist(handler);
    error = begin(handler, seen);
    if (!error)
        return handler;
    pthread_mutex_lock(&lock);
    unlist(handler);
    pthread_mutex_unlock(&lock);
    signal_source_release(handler->source);
free_handler:
    free(handler);
    errno = error;
    return NULL;
}

void grove_signal_cancel(grove_signal_t *handler)
{
    int saved_errno = errno;

    if (!handler)
        return;
    struct signal_source *source = handler->source;
    pthread_mutex_lock(&lock);
    bool listed = unlist(handler);
    handler->cancelled = true;
    if (handler->published && handler->waiter.detach(&handler->waiter))
        handler->published = false;
    bool unused = !handler->published;
    pthread_mutex_unlock(&lock);
    if (listed)
        signal_source_release(source);
    if (unused)
        free(handler);
    errno = saved_errno;
}

/* In the child of a fork. */
static void forget(void)
{
    pthread_mutex_init(&lock, NULL);
    for (struct grove_signal *handler = handlers; handler; handler = handler->next)
        SANITIZE_FORGET(handler);
    handlers = NULL;
}

__attribute__((constructor)) static void install_hooks(void)
{
    (void)pthread_atfork(NULL, NULL, forget);
}
