/* SPDX-License-Identifier: MIT */
/* Threads of the program that spawn greenlets without being workers. */
#include "sched/guest.h"

#include <errno.h>
#include <pthread.h>

#include "sched/finish.h"
#include "sched/fork.h"
#include "sched/kill_all.h"
#include "sched/overflow.h"
#include "sched/runtime.h"

#define SECONDS_TO_END 1.0

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;
static _Atomic(int) guests;

/* Runs when the thread ends; it may still switch. What doesn't end in time keeps its
 * memory: it can't be run by anybody else. */
static void guest_end(void *value)
{
    struct worker *guest = value;

    worker_self = guest;
    /* What the main greenlet was threatened with would cut the wait short. */
    grove_kill_clear();
    greenlet_clean_up(guest->main);
    if (kill_all_here(SECONDS_TO_END) == 0) {
        stats_guest_detach(guest->stats);
        worker_free(guest);
    }
    worker_self = NULL;
    overflow_thread_leave();
    atomic_fetch_sub_explicit(&guests, 1, memory_order_relaxed);
}

static void make_key(void)
{
    key_error = pthread_key_create(&key, guest_end);
}

static struct worker *make_guest(void)
{
    struct worker *guest = worker_new(-1);

    if (!guest)
        return NULL;
    int error = pthread_setspecific(key, guest);
    if (error) {
        worker_free(guest);
        errno = error;
        return NULL;
    }
    overflow_thread_enter();
    guest->stats = stats_guest_attach();
    atomic_fetch_add_explicit(&guests, 1, memory_order_relaxed);
    worker_adopt_thread(guest);
    return guest;
}

struct worker *guest_new(void)
{
    pthread_once(&key_once, make_key);
    if (key_error) {
        errno = key_error;
        return NULL;
    }
    /* Counted before a shutdown can look. */
    if (!runtime_hold())
        return NULL;
    struct worker *guest = make_guest();
    runtime_let_go();
    return guest;
}

void guest_leave(void)
{
    struct worker *guest = worker_self;

    if (!guest || guest->index >= 0 || guest->lane)
        return;
    pthread_setspecific(key, NULL);
    guest_end(guest);
}

int guest_count(void)
{
    return atomic_load_explicit(&guests, memory_order_relaxed);
}

void guest_forget(void)
{
    atomic_store_explicit(&guests, 0, memory_order_relaxed);
    if (pthread_once(&key_once, make_key) == 0 && !key_error)
        pthread_setspecific(key, NULL);
}
