/* SPDX-License-Identifier: MIT */
#include "sched/waiter.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sched/chance.h"
#include "sched/cancellation.h"
#include "sched/container.h"
#include "sched/scheduler.h"
#include "sched/timeouts.h"

/* waiter_interrupt where there is something to attend to. */
static __attribute__((noinline)) int attend(struct grove *me)
{
    if (me->attention & ATTENTION_CHANCE)
        chance_at_wait(me);
    int error = atomic_load_explicit(&me->kill_error, memory_order_relaxed);
    if (error)
        return error;
    if (me->attention & ATTENTION_CANCELLATION)
        return cancellation_notice(me);
    if (me->attention < ATTENTION_TIMEOUT)
        return 0;
    timeouts_take_pending(me);
    return ETIMEDOUT;
}

int waiter_interrupt(void)
{
    struct worker *worker = worker_self;

    if (!worker)
        return 0;
    struct grove *me = worker->current;
    if (!me)
        return EDEADLK;
    if (__builtin_expect(me->attention != 0 || atomic_load_explicit(&me->kill_error,
                                                   memory_order_relaxed) != 0,
            0))
        return attend(me);
    return 0;
}

int waiter_init_slow(struct waiter *waiter)
{
    int saved_errno = errno;
    struct worker *worker = waiter->home = worker_attend();

    waiter->greenlet = NULL;
    if (!worker) {
        if (errno)
            return -1;
        errno = saved_errno;
        atomic_store_explicit(&waiter->awake, 0, memory_order_relaxed);
        return 0;
    }
    waiter->greenlet = worker->current;
    if (!waiter->greenlet) {
        errno = EDEADLK;
        return -1;
    }
    return 0;
}

void waiter_init_call(struct waiter *waiter, void (*call)(struct message *message))
{
    *waiter = (struct waiter){
        .message.deliver = call,
        .detach = waiter_detach_list,
    };
}

struct waiter *waiter_pop_all(struct wait_list *list)
{
    struct waiter *first = NULL, **end = &first, *waiter;

    while ((waiter = waiter_pop(list))) {
        *end = waiter;
        end = &waiter->next;
    }
    *end = NULL;
    return first;
}

bool waiter_detach_list(struct waiter *waiter)
{
    /* Acquire: pairs with the release of waiter_unlink. */
    struct wait_list *list = atomic_load_explicit(&waiter->list, memory_order_acquire);

    if (!list)
        return false;
    section_enter(&list->section);
    bool linked = atomic_load_explicit(&waiter->list, memory_order_relaxed) == list;
    if (linked)
        waiter_unlink(list, waiter);
    section_leave(&list->section);
    return linked;
}

void waiter_cancel(struct waiter *waiter, int error)
{
    if (waiter->detach(waiter))
        waiter_wake(waiter, error);
}

static void fire(struct timer *timer)
{
    struct waiter *waiter = CONTAINER(timer, struct waiter, timer);

    if (!waiter->detach(waiter))
        return;
    waiter->expired = true;
    waiter_wake(waiter, ETIMEDOUT);
}

void waiter_deliver(struct message *message)
{
    struct waiter *waiter = CONTAINER(message, struct waiter, message);

    scheduler_ready(waiter->home, waiter->greenlet);
}

static void futex(_Atomic(uint32_t) *word, int operation, uint32_t value,
    const struct timespec *until)
{
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, until, NULL,
        FUTEX_BITSET_MATCH_ANY);
}

void waiter_wake_elsewhere(struct waiter *waiter)
{
    if (waiter->home) {
        worker_send(waiter->home, &waiter->message);
        return;
    }
    if (waiter->message.deliver != waiter_deliver) {
        waiter->message.deliver(&waiter->message);
        return;
    }
    if (waiter->choice)
        waiter = waiter->choice->parked;
    /* The waiter may return as soon as it sees this. A wake of a word that is gone is
     * a spurious wake of somebody at worst, which every futex user has to stand. */
    atomic_store_explicit(&waiter->awake, 1, memory_order_release);
    futex(&waiter->awake, FUTEX_WAKE, INT_MAX, NULL);
}

void waiter_wake_chain(struct waiter *first, int result)
{
    while (first) {
        struct waiter *next = first->next;
        waiter_wake(first, result);
        first = next;
    }
}

static int park_thread(struct waiter *waiter, double timeout)
{
    nanoseconds deadline = timeout < 0 ? TIMERS_NEVER : timers_deadline(timeout);
    struct timespec until = {deadline / 1000000000, deadline % 1000000000};
    int saved_errno = errno;

    while (atomic_load_explicit(&waiter->awake, memory_order_acquire) == 0) {
        if (deadline != TIMERS_NEVER && timers_clock() >= deadline) {
            if (waiter->detach(waiter)) {
                waiter->expired = true;
                return ETIMEDOUT;
            }
            deadline = TIMERS_NEVER; /* its wake is on the way */
        }
        futex(&waiter->awake, FUTEX_WAIT_BITSET, 0,
            deadline == TIMERS_NEVER ? NULL : &until);
    }
    errno = saved_errno;
    return waiter->result;
}

int waiter_park(struct waiter *waiter, double timeout)
{
    struct grove *me = waiter->greenlet;

    if (!me)
        return park_thread(waiter, timeout);
    struct worker *worker = waiter->home;
    if (timeout >= 0) {
        waiter->timer.fire = fire;
        if (timers_add(&worker->timers, &waiter->timer, timers_deadline(timeout)) < 0 &&
            waiter->detach(waiter))
            return ENOMEM;
    }
    waiter->since = worker->last_tick;
    me->activation->waiting = waiter;
    scheduler_park(worker, me);
    me->activation->waiting = NULL;
    if (__builtin_expect(waiter->timer.id != 0, 0))
        timers_remove(&worker->timers, &waiter->timer);
    return waiter->result;
}

int waiter_block(struct wait_list *list, struct waiter *waiter, double timeout)
{
    waiter_link(list, waiter);
    section_leave(&list->section);
    return waiter_park(waiter, timeout);
}
