/* SPDX-License-Identifier: MIT */
/* The cases of a select that this layer has: queues, events, results, greenlets, locks
 * and semaphores. */
#include "sync/select.h"

#include "sched/spin.h"
#include "sched/watch.h"
#include "sync/publish.h"

static int check_object(const grove_case_t *one)
{
    return one->of.object ? 0 : EINVAL;
}

static void withdraw_waiter(grove_case_t *one, struct select_slot *slot)
{
    (void)one;
    slot->waiter.detach(&slot->waiter);
}

static enum select_outcome published(bool linked)
{
    return linked ? SELECT_PUBLISHED : SELECT_READY;
}

/* Queues. */

_Static_assert(sizeof(struct queue_waiter) <= sizeof(struct select_slot), "room");

static bool attempt_get(grove_case_t *one)
{
    void *item = NULL;
    int saved_errno = errno;

    int error = grove_queue_get(one->of.object, 0, &item) < 0 ? errno : 0;
    if (error == EAGAIN) {
        errno = saved_errno;
        return false;
    }
    one->item = item;
    one->error = error;
    return true;
}

static enum select_outcome publish_get(grove_case_t *one, struct select_slot *slot)
{
    return published(queue_publish_get(one->of.object, (struct queue_waiter *)slot));
}

static void collect_get(grove_case_t *one, struct select_slot *slot)
{
    one->error = slot->waiter.result;
    one->item = one->error ? NULL : slot->waiter.item;
}

const struct select_kind select_get = {
    .check = check_object,
    .attempt = attempt_get,
    .publish = publish_get,
    .withdraw = withdraw_waiter,
    .collect = collect_get,
};

static bool attempt_put(grove_case_t *one)
{
    int saved_errno = errno;

    int error = grove_queue_put(one->of.object, one->item, 0) < 0 ? errno : 0;
    if (error == EAGAIN) {
        errno = saved_errno;
        return false;
    }
    one->error = error;
    return true;
}

static enum select_outcome publish_put(grove_case_t *one, struct select_slot *slot)
{
    slot->waiter.item = one->item;
    return published(queue_publish_put(one->of.object, (struct queue_waiter *)slot));
}

static void collect_error(grove_case_t *one, struct select_slot *slot)
{
    one->error = slot->waiter.result;
}

const struct select_kind select_put = {
    .check = check_object,
    .attempt = attempt_put,
    .publish = publish_put,
    .withdraw = withdraw_waiter,
    .collect = collect_error,
};

/* Events and results. */

static bool attempt_event(grove_case_t *one)
{
    /* By a wait, not a look: see grove_event_wait. */
    int saved_errno = errno;

    if (grove_event_wait(one->of.object, 0) < 0) {
        errno = saved_errno;
        return false;
    }
    one->error = 0;
    return true;
}

static enum select_outcome publish_event(grove_case_t *one, struct select_slot *slot)
{
    return published(event_publish(one->of.object, &slot->waiter));
}

const struct select_kind select_event = {
    .check = check_object,
    .attempt = attempt_event,
    .publish = publish_event,
    .withdraw = withdraw_waiter,
    .collect = collect_error,
};

static void take_result(grove_case_t *one)
{
    void *value = NULL;
    int saved_errno = errno;

    one->error = grove_result_get(one->of.object, 0, &value) < 0 ? errno : 0;
    one->item = value;
    errno = saved_errno;
}

static bool attempt_result(grove_case_t *one)
{
    if (!grove_result_ready(one->of.object))
        return false;
    take_result(one);
    return true;
}

static enum select_outcome publish_result(grove_case_t *one, struct select_slot *slot)
{
    return published(result_publish(one->of.object, &slot->waiter));
}

static void collect_result(grove_case_t *one, struct select_slot *slot)
{
    (void)slot;
    take_result(one);
}

const struct select_kind select_result = {
    .check = check_object,
    .attempt = attempt_result,
    .publish = publish_result,
    .withdraw = withdraw_waiter,
    .collect = collect_result,
};

/* Permits. */

_Static_assert(sizeof(struct permit_waiter) <= sizeof(struct select_slot), "room");

static bool attempt_permit(grove_case_t *one)
{
    if (permits_acquire(one->of.object, 0, NULL) != 0)
        return false;
    one->error = 0;
    return true;
}

static enum select_outcome publish_permit(grove_case_t *one, struct select_slot *slot)
{
    return published(permits_publish(one->of.object, (struct permit_waiter *)slot));
}

const struct select_kind select_semaphore = {
    .check = check_object,
    .attempt = attempt_permit,
    .publish = publish_permit,
    .withdraw = withdraw_waiter,
    .collect = collect_error,
};

const struct select_kind select_lock = {
    .check = check_object,
    .attempt = attempt_permit,
    .publish = publish_permit,
    .withdraw = withdraw_waiter,
    .collect = collect_error,
};

/* The end of a greenlet. It has no wait list but its watchers, of which a link is the
 * kind that may be more than a parked greenlet. */

struct end_slot {
    struct link link;
    /* The link's last access to the slot: release, acquired by withdraw. */
    _Atomic(bool) called;
};

_Static_assert(sizeof(struct end_slot) <= sizeof(struct select_slot), "room");

static bool attempt_end(grove_case_t *one)
{
    grove_t *greenlet = one->of.object;

    if (!greenlet_done(greenlet))
        return false;
    one->item = grove_value(greenlet);
    one->error = grove_error(greenlet);
    return true;
}

static void on_end(struct grove *greenlet, void *arg)
{
    struct end_slot *slot = arg;

    (void)greenlet;
    if (waiter_claim(&slot->link.waiter))
        waiter_wake(&slot->link.waiter, 0);
    atomic_store_explicit(&slot->called, true, memory_order_release);
}

static enum select_outcome publish_end(grove_case_t *one, struct select_slot *opaque)
{
    struct end_slot *slot = (struct end_slot *)opaque;

    slot->link.waiter.detach = NULL;
    slot->link.function = on_end;
    slot->link.arg = slot;
    slot->link.borrowed = true;
    atomic_store_explicit(&slot->called, false, memory_order_relaxed);
    return published(watch_add(one->of.object, &slot->link.waiter));
}

static void withdraw_end(grove_case_t *one, struct select_slot *opaque)
{
    struct end_slot *slot = (struct end_slot *)opaque;
    struct spin spin = {0};

    if (watch_remove(one->of.object, &slot->link.waiter))
        return;
    while (!atomic_load_explicit(&slot->called, memory_order_acquire))
        spin_once(&spin);
}

static void collect_end(grove_case_t *one, struct select_slot *slot)
{
    (void)slot;
    (void)attempt_end(one);
}

const struct select_kind select_end = {
    .check = check_object,
    .attempt = attempt_end,
    .publish = publish_end,
    .withdraw = withdraw_end,
    .collect = collect_end,
};
