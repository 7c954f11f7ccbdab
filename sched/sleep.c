/* SPDX-License-Identifier: MIT */
/* Giving up the thread without waiting for anybody: yield, sleep, idle. */
#include <errno.h>
#include <sched.h>
#include <time.h>

#include <grove/greenlet.h>

#include "sched/answer.h"
#include "sched/container.h"
#include "sched/scheduler.h"
#include "sched/waiter.h"

void grove_yield(void)
{
    struct worker *worker = worker_self;

    if (__builtin_expect(!worker || !worker->current, 0)) {
        sched_yield();
        return;
    }
    struct grove *me = worker->current;
    struct grove *next;
    if (__builtin_expect(worker->ready.first != NULL, 1)) {
        runqueue_push(&worker->ready, me);
    } else {
        /* Only new work could go before us: one of it, then us. */
        if (!(next = deque_pop(&worker->deque)) && worker->budget > 1) {
            worker->budget--;
            return;
        }
        if (next)
            runqueue_push(&worker->ready, next);
        runqueue_push(&worker->ready, me);
    }
    struct thread_state state;
    thread_state_save(worker, &state);
    next = scheduler_next(worker);
    scheduler_switch(worker, me, next);
    thread_state_restore(worker, &state);
}

/* Who stops the timer ends the sleep: it has fired when it isn't running any more. */
static bool detach_sleeper(struct waiter *waiter)
{
    if (waiter->timer.id == 0)
        return false;
    timers_remove(&waiter->home->timers, &waiter->timer);
    return true;
}

static const struct wait_reason sleeping = {.text = "the end of a sleep"};
static const struct wait_reason idling = {.text = "a moment with nothing to do"};

static int sleep_thread(double seconds)
{
    nanoseconds deadline = timers_deadline(seconds);
    struct timespec until = {deadline / 1000000000, deadline % 1000000000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    return 0;
}

/* Its own timer ends a sleep well; a grove_timeout or a kill ends it with an error. */
static void sleep_over(struct timer *timer)
{
    waiter_wake(CONTAINER(timer, struct waiter, timer), 0);
}

int grove_sleep(double seconds)
{
    struct waiter waiter;

    if (seconds != seconds)
        return answer(EINVAL);
    int error = waiter_interrupt();
    if (error)
        return answer(error);
    if (waiter_init(&waiter) < 0)
        return -1;
    if (seconds <= 0) {
        grove_yield();
        error = waiter_interrupt();
        return answer(error);
    }
    if (!waiter.greenlet)
        return sleep_thread(seconds);
    waiter.reason = &sleeping;
    waiter.detach = detach_sleeper;
    waiter.timer.fire = sleep_over;
    if (timers_add(&waiter.home->timers, &waiter.timer, timers_deadline(seconds)) < 0)
        return -1;
    error = waiter_park(&waiter, GROVE_FOREVER);
    return answer(error);
}

static bool detach_idler(struct waiter *waiter)
{
    return runqueue_remove(&waiter->home->idlers, waiter->greenlet);
}

int grove_idle(void)
{
    struct waiter waiter;
    int error = waiter_interrupt();

    if (error)
        return answer(error);
    if (waiter_init(&waiter) < 0)
        return -1;
    if (!waiter.greenlet)
        return 0;
    waiter.reason = &idling;
    waiter.detach = detach_idler;
    runqueue_push(&waiter.home->idlers, waiter.greenlet);
    error = waiter_park(&waiter, GROVE_FOREVER);
    return answer(error);
}
