/* SPDX-License-Identifier: MIT */
#include <grove/timeout.h>

#include <math.h>

#include "sched/timeouts.h"
#include "sched/waiter.h"

/* The public struct begins with a timer under other names, as its header is private. */
_Static_assert(
    sizeof(((grove_timeout_t *)0)->timer_) == sizeof(struct timer), "same layout");

static struct timer *timer_of(grove_timeout_t *t)
{
    return (struct timer *)(void *)&t->timer_;
}

static void fire(struct timer *timer)
{
    grove_timeout_t *t = (grove_timeout_t *)(void *)timer;
    struct grove *greenlet = t->greenlet_;
    struct waiter *waiter = greenlet->activation->waiting;

    t->fired_ = true;
    if (waiter && waiter->detach(waiter)) {
        waiter_wake(waiter, ETIMEDOUT);
        return;
    }
    t->pending_ = true;
    greenlet->attention += ATTENTION_TIMEOUT;
}

static void take_pending(grove_timeout_t *t)
{
    t->pending_ = false;
    t->greenlet_->attention -= ATTENTION_TIMEOUT;
}

void timeouts_take_pending(struct grove *greenlet)
{
    /* There is one. */
    grove_timeout_t *t = greenlet->activation->timeouts;
    grove_timeout_t *oldest = t;

    while ((t = t->next_))
        if (t->pending_)
            oldest = t;
    take_pending(oldest);
}

int grove_timeout_start(grove_timeout_t *t, double seconds)
{
    struct worker *worker = worker_enter();

    if (!worker)
        return -1;
    struct grove *me = worker->current;
    if (!me) {
        errno = EPERM;
        return -1;
    }
    if (isnan(seconds)) {
        errno = EINVAL;
        return -1;
    }
    struct timer *timer = timer_of(t);
    timer->fire = fire;
    timer->id = 0;
    /* Zero fires at the next blocking call, without a turn of the hub. */
    bool at_once = seconds == 0;
    if (seconds > 0 && timers_add(&worker->timers, timer, timers_deadline(seconds)) < 0)
        return -1;
    t->greenlet_ = me;
    t->fired_ = t->pending_ = at_once;
    me->attention += at_once ? ATTENTION_TIMEOUT : 0;
    t->next_ = me->activation->timeouts;
    me->activation->timeouts = t;
    return 0;
}

bool grove_timeout_stop(grove_timeout_t *t)
{
    struct worker *worker = worker_self;
    grove_timeout_t **link = &t->greenlet_->activation->timeouts;

    while (*link && *link != t)
        link = &(*link)->next_;
    if (*link) {
        *link = t->next_;
        timers_remove(&worker->timers, timer_of(t));
        if (t->pending_)
            take_pending(t);
    }
    return t->fired_;
}

void timeouts_stop_all(struct grove *greenlet)
{
    while (greenlet->activation->timeouts)
        grove_timeout_stop(greenlet->activation->timeouts);
}

bool grove_timeout_fired(const grove_timeout_t *t)
{
    return t->fired_;
}

int grove_with_timeout(double seconds, grove_fn fn, void *arg, void **value)
{
    grove_timeout_t t;

    if (!fn) {
        errno = EINVAL;
        return -1;
    }
    if (grove_timeout_start(&t, seconds) < 0)
        return -1;
    void *result = fn(arg);
    /* One that no call has reported ended nothing: the value has come all the same. */
    bool reported = !t.pending_;
    if (grove_timeout_stop(&t) && reported) {
        errno = ETIMEDOUT;
        return -1;
    }
    if (value)
        *value = result;
    return 0;
}
