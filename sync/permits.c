/* SPDX-License-Identifier: MIT */
#include "sync/permits.h"

#include <grove/greenlet.h>

#include "sched/container.h"
#include "sched/lock_wait.h"
#include "sched/spin.h"
#include "sync/publish.h"

/* While nobody has it, who had it last is of no interest. */
static uint64_t holder(const struct waiter *waiter)
{
    struct wait_list *list = atomic_load_explicit(&waiter->list, memory_order_acquire);
    const struct permits *permits = CONTAINER(list, struct permits, waiters);

    if (!list || permits_value(permits) > 0)
        return 0;
    return atomic_load_explicit(&permits->holder, memory_order_relaxed);
}

const struct wait_reason permits_of_lock = {.text = "a lock", .holder = holder};
const struct wait_reason permits_of_semaphore = {.text = "a semaphore"};

/* How a woken waiter watches permits that other threads use: see permits_watch. Permits
 * that were taken so often while one waited are in use in a tight loop. */
enum { WATCH_LOOKS = 6, WATCH_FIRST_PAUSES = 16, HOT_TURNS = 16 };

struct waiter *permits_next(struct permits *permits)
{
    uint32_t value = permits_value(permits);
    struct permit_waiter *first;

    if (value == 0)
        return NULL;
    while ((first = (struct permit_waiter *)permits->waiters.first)) {
        if (!first->impatient && permits->woken >= value)
            return NULL;
        bool claimed = waiter_claim(&first->waiter);
        waiter_unlink(&permits->waiters, &first->waiter);
        if (!claimed)
            continue;
        if (first->impatient)
            first->handed = permits_take(permits, first->waiter.greenlet);
        else
            permits->woken++;
        break;
    }
    return first ? &first->waiter : NULL;
}

static uint32_t permits_turns(const struct permits *permits)
{
    return atomic_load_explicit(&permits->turns, memory_order_relaxed);
}

/* Whether other workers use them in a tight loop, judged by who waited meanwhile. */
static bool permits_hot(const struct permits *permits, const struct permit_waiter *self)
{
    return atomic_load_explicit(&permits->waiters.section.bias, memory_order_relaxed) ==
               SECTION_SHARED &&
           permits_turns(permits) - self->turns > HOT_TURNS;
}

/* Lets the others of this worker run; alone, just some time. */
static void pass_time(unsigned pauses)
{
    struct worker *worker = worker_self;

    if (worker && worker->ready.length > 0) {
        grove_yield();
        return;
    }
    while (pauses-- > 0)
        cpu_relax();
}

/*
 * Before it asks anew, a woken waiter watches for a short time until nobody else seems
 * to be using the permits. While another worker takes and releases a lock in a tight
 * loop, taking part would move the lock's cache line, and what it guards, at every
 * turn: 100 ns instead of 10 for each. This way the workers use it in turns of some
 * microseconds. Permits that nobody took since the last look are asked for at once.
 */
static void permits_watch(struct permits *permits)
{
    uint32_t turns = permits_turns(permits);
    unsigned pauses = WATCH_FIRST_PAUSES;

    for (int looks = 0; looks < WATCH_LOOKS; looks++, pauses *= 2) {
        pass_time(pauses);
        uint32_t now = permits_turns(permits);
        if (now == turns && permits_value(permits) > 0)
            return;
        turns = now;
    }
}

/* In front of all that have not been woken yet. Inside the section. */
static void link_first(struct wait_list *list, struct waiter *waiter)
{
    struct waiter *second = list->first;

    if (!second) {
        waiter_link(list, waiter);
        return;
    }
    waiter->prev = NULL;
    waiter->next = second;
    second->prev = waiter;
    list->first = waiter;
    atomic_store_explicit(&waiter->list, list, memory_order_relaxed);
}

/* Takes a permit, or links the waiter: true if taken. */
static bool take_or_link(
    struct permits *permits, struct permit_waiter *self, bool woken)
{
    section_enter(&permits->waiters.section);
    bool taken = permits_take(permits, self->waiter.greenlet);
    self->turns = permits_turns(permits);
    if (woken)
        permits->woken--;
    if (!taken && woken) {
        self->impatient = true;
        link_first(&permits->waiters, &self->waiter);
    } else if (!taken) {
        waiter_link(&permits->waiters, &self->waiter);
    }
    section_leave(&permits->waiters.section);
    return taken;
}

/* The last try of a woken waiter that is out of time. If it finds no permit, there is
 * no wake to pass on either: the next release wakes another. */
static int take_or_leave(struct permits *permits, const struct permit_waiter *self)
{
    section_enter(&permits->waiters.section);
    bool taken = permits_take(permits, self->waiter.greenlet);
    permits->woken--;
    section_leave(&permits->waiters.section);
    return taken ? 0 : ETIMEDOUT;
}

/* A woken one that takes no permit gives its wake to the next. */
static void pass_wake_on(struct permits *permits)
{
    section_enter(&permits->waiters.section);
    permits->woken--;
    struct waiter *next = permits_next(permits);
    section_leave(&permits->waiters.section);
    if (next)
        waiter_wake(next, 0);
}

int permits_wait(
    struct permits *permits, double timeout, const struct wait_reason *reason)
{
    struct permit_waiter self = {.impatient = false};
    nanoseconds deadline = TIMERS_NEVER;
    bool woken = false;

    if (timeout == 0)
        return ETIMEDOUT;
    if (timeout > 0)
        deadline = timers_deadline(timeout);
    for (;;) {
        (void)waiter_init(&self.waiter); /* for each wait anew */
        self.waiter.reason = reason;
        if (take_or_link(permits, &self, woken))
            return 0;
        int error = lock_wait_park(&self.waiter, timers_left(deadline));
        if (error || self.handed)
            return error;
        woken = true;
        if (permits_hot(permits, &self))
            permits_watch(permits);
        /* Not a last try here: success would swallow a grove_timeout. */
        if ((error = waiter_interrupt())) {
            pass_wake_on(permits);
            return error;
        }
        if (timers_left(deadline) == 0)
            return take_or_leave(permits, &self);
    }
}

int permits_acquire_slow(
    struct permits *permits, double timeout, const struct wait_reason *reason)
{
    int error = blocking_begin(timeout);

    if (UNLIKELY(error))
        return error;
    section_enter(&permits->waiters.section);
    bool taken = permits_take(permits, worker_self ? worker_self->current : NULL);
    section_leave(&permits->waiters.section);
    return taken ? 0 : permits_wait(permits, timeout, reason);
}

int permits_release_inside(struct permits *permits, int error)
{
    struct waiter *next = NULL;
    uint32_t value = permits_value(permits);
    if (value < permits->limit) {
        error = 0;
        permits_set(permits, value + 1);
        next = permits_next(permits);
    }
    section_leave(&permits->waiters.section);
    if (next)
        waiter_wake(next, 0);
    return error;
}

int permits_release_slow(struct permits *permits, int error)
{
    section_enter(&permits->waiters.section);
    return permits_release_inside(permits, error);
}

bool permits_publish(struct permits *permits, struct permit_waiter *self)
{
    self->impatient = true;
    self->handed = false;
    section_enter(&permits->waiters.section);
    bool none = permits_value(permits) == 0;
    if (none)
        waiter_link(&permits->waiters, &self->waiter);
    section_leave(&permits->waiters.section);
    return none;
}

static bool detach_never(struct waiter *waiter)
{
    (void)waiter;
    return false;
}

/* Takes a permit, or waits once. */
static void take_or_park(
    struct permits *permits, struct permit_waiter *self, bool woken)
{
    (void)waiter_init(&self->waiter);
    self->waiter.reason = &permits_of_lock;
    self->waiter.detach = detach_never;
    if (take_or_link(permits, self, woken))
        self->handed = true;
    else
        (void)lock_wait_park(&self->waiter, GROVE_FOREVER);
}

void permits_resume(struct permits *permits, struct permit_waiter *self)
{
    while (!self->handed) {
        if (permits_hot(permits, self))
            permits_watch(permits);
        take_or_park(permits, self, true);
    }
}

void permits_acquire_surely(struct permits *permits)
{
    struct permit_waiter self = {.handed = false};

    take_or_park(permits, &self, false);
    permits_resume(permits, &self);
}

void permits_adopt(struct permits *permits, struct permit_waiter *waiter)
{
    section_enter(&permits->waiters.section);
    waiter->turns = permits_turns(permits);
    bool wake = permits->woken < permits_value(permits);
    if (wake) {
        permits->woken++;
    } else {
        waiter->waiter.reason = &permits_of_lock;
        waiter_link(&permits->waiters, &waiter->waiter);
    }
    section_leave(&permits->waiters.section);
    if (wake)
        waiter_wake(&waiter->waiter, 0);
}

int permits_await(struct permits *permits, double timeout)
{
    struct permit_waiter self = {.impatient = false};
    int error = blocking_begin(timeout);

    if (error)
        return error;
    section_enter(&permits->waiters.section);
    bool available = permits_value(permits) > 0;
    if (!available && timeout != 0) {
        (void)waiter_init(&self.waiter);
        self.waiter.reason = &permits_of_semaphore;
        waiter_link(&permits->waiters, &self.waiter);
    }
    section_leave(&permits->waiters.section);
    if (available)
        return 0;
    error = timeout == 0 ? ETIMEDOUT : waiter_park(&self.waiter, timeout);
    if (!error)
        pass_wake_on(permits);
    return error;
}
