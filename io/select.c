/* SPDX-License-Identifier: MIT */
/* grove_select, and the cases of it that only this layer has: descriptors and
 * signals. */
#include "sync/select.h"

#include <grove/io.h>

#include "io/fd_watch.h"
#include "io/signal_source.h"

struct fd_slot {
    struct fd_wait wait;
    struct fd_link link;
    uint64_t generation;
};

_Static_assert(sizeof(struct fd_slot) <= sizeof(struct select_slot), "room");

/* The hub of a plain thread is made here, before anything has been published. */
static int check_fd(const grove_case_t *one)
{
    (void)one;
    return worker_self || worker_enter() ? 0 : errno;
}

static bool attempt_fd(grove_case_t *one)
{
    int events = one->kind == GROVE_CASE_READABLE ? GROVE_READ : GROVE_WRITE;
    int saved_errno = errno;
    int error = grove_wait_fd(one->of.number, events, 0) < 0 ? errno : 0;

    errno = saved_errno;
    if (error == ETIMEDOUT)
        return false;
    one->error = error;
    return true;
}

static enum select_outcome publish_fd(grove_case_t *one, struct select_slot *opaque)
{
    struct fd_slot *slot = (struct fd_slot *)opaque;
    struct fd_watch *watch = fd_watch_of(worker_self, one->of.number);

    if (!watch) /* of a closed one the attempt will tell */
        return errno == EBADF ? SELECT_READY : SELECT_FAILED;
    if (fd_life_state(watch->life) & FD_READY)
        return SELECT_READY;
    slot->generation = watch->generation;
    slot->link = (struct fd_link){
        .watch = watch,
        .wait = &slot->wait,
        .events = one->kind == GROVE_CASE_READABLE ? EV_READ : EV_WRITE,
    };
    slot->wait.links = &slot->link;
    slot->wait.count = 1;
    slot->wait.waiter.detach = fd_watch_detach;
    return fd_watch_link(&slot->wait) == 0 ? SELECT_PUBLISHED : SELECT_FAILED;
}

static void withdraw_fd(grove_case_t *one, struct select_slot *slot)
{
    (void)one;
    fd_watch_detach(&slot->waiter);
}

static void collect_fd(grove_case_t *one, struct select_slot *opaque)
{
    const struct fd_slot *slot = (const struct fd_slot *)opaque;

    one->error = slot->wait.waiter.result;
    /* It may have been closed, and the number given out anew, after the wake. */
    if (!one->error && fd_watch_ended(slot->link.watch, slot->generation))
        one->error = EBADF;
}

static const struct select_kind select_fd = {
    .check = check_fd,
    .attempt = attempt_fd,
    .publish = publish_fd,
    .withdraw = withdraw_fd,
    .collect = collect_fd,
};

/* A signal is caught from before the first round until after the last, so that none
 * gets through in between. */
struct signal_slot {
    struct waiter waiter;
    struct signal_source *source;
    uint64_t seen;
};

_Static_assert(sizeof(struct signal_slot) <= sizeof(struct select_slot), "room");

static int check_signal(const grove_case_t *one)
{
    return signal_source_check(one->of.number);
}

static bool attempt_signal(grove_case_t *one)
{
    (void)one; /* what came before the call isn't meant */
    return false;
}

static int begin_signal(const grove_case_t *one, struct select_slot *opaque)
{
    struct signal_slot *slot = (struct signal_slot *)opaque;

    slot->source = signal_source_hold(one->of.number, &slot->seen);
    return slot->source ? 0 : errno;
}

static void end_signal(struct select_slot *slot)
{
    signal_source_release(((struct signal_slot *)slot)->source);
}

static enum select_outcome publish_signal(grove_case_t *one, struct select_slot *opaque)
{
    struct signal_slot *slot = (struct signal_slot *)opaque;
    int error = 0;

    (void)one;
    if (signal_source_publish(slot->source, &slot->seen, &slot->waiter, &error))
        return SELECT_PUBLISHED;
    errno = error;
    return error ? SELECT_FAILED : SELECT_HAPPENED;
}

static void withdraw_signal(grove_case_t *one, struct select_slot *slot)
{
    (void)one;
    slot->waiter.detach(&slot->waiter);
}

static void collect_signal(grove_case_t *one, struct select_slot *slot)
{
    one->error = slot->waiter.result;
}

static const struct select_kind select_signal = {
    .check = check_signal,
    .attempt = attempt_signal,
    .publish = publish_signal,
    .withdraw = withdraw_signal,
    .collect = collect_signal,
    .begin = begin_signal,
    .end = end_signal,
};

static const struct select_kind *const kinds[] = {
    [GROVE_CASE_GET] = &select_get,
    [GROVE_CASE_PUT] = &select_put,
    [GROVE_CASE_EVENT] = &select_event,
    [GROVE_CASE_RESULT] = &select_result,
    [GROVE_CASE_END] = &select_end,
    [GROVE_CASE_SEMAPHORE] = &select_semaphore,
    [GROVE_CASE_LOCK] = &select_lock,
    [GROVE_CASE_READABLE] = &select_fd,
    [GROVE_CASE_WRITABLE] = &select_fd,
    [GROVE_CASE_TIMER] = NULL, /* select_run's own */
    [GROVE_CASE_SIGNAL] = &select_signal,
};

int grove_select(grove_case_t *cases, size_t n, double timeout)
{
    return select_run(cases, n, timeout, kinds, sizeof kinds / sizeof *kinds);
}
