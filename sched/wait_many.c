/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the first of many greenlets: a link on each, which put the ended ones
 * into a list and wake the one waiter when there are enough.
 *
 * Two lists with locks of their own take part, a greenlet's watchers and ours; no lock
 * is taken under another, as links are called when the greenlet's list is closed
 * already. The links are ours until each was either called or taken out.
 */
#include <errno.h>
#include <stdlib.h>

#include "sched/section.h"
#include "sched/spin.h"
#include "sched/waiter.h"
#include "sched/watch.h"

/*
 *   everything   under list.section, but
 *   called       a link's last access to all this: release, acquired by the waiter
 */
struct gathering {
    struct wait_list list;
    size_t wanted, ended;
    grove_t **done;
    _Atomic(size_t) called;
};

static void gather(grove_t *g, void *arg)
{
    struct gathering *gathering = arg;
    struct waiter *waiter = NULL;

    section_enter(&gathering->list.section);
    if (gathering->ended < gathering->wanted) {
        gathering->done[gathering->ended++] = g;
        if (gathering->ended == gathering->wanted)
            waiter = waiter_pop(&gathering->list);
    }
    section_leave(&gathering->list.section);
    if (waiter)
        waiter_wake(waiter, 0);
    atomic_fetch_add_explicit(&gathering->called, 1, memory_order_release);
}

/* 0 when there are enough, or the time is over. */
static int wait_enough(struct gathering *gathering, double timeout)
{
    /* Its list is none of the program's objects. */
    static const struct wait_reason reason = {
        .text = "the ends of several greenlets", .list_offset = -1};
    struct waiter waiter;

    if (waiter_init(&waiter) < 0)
        return errno;
    waiter.reason = &reason;
    section_enter(&gathering->list.section);
    if (gathering->ended >= gathering->wanted || timeout == 0) {
        section_leave(&gathering->list.section);
        return 0;
    }
    int error = waiter_block(&gathering->list, &waiter, timeout);
    return waiter.expired ? 0 : error;
}

/* Takes the links out and waits (a few instructions) for those being called. */
static void unlink_all(
    struct gathering *gathering, struct link *links, grove_t **gs, size_t n)
{
    struct spin spin = {0};
    size_t removed = 0;

    for (size_t i = 0; i < n; i++)
        removed += watch_remove(gs[i], &links[i].waiter);
    while (atomic_load_explicit(&gathering->called, memory_order_acquire) + removed < n)
        spin_once(&spin);
}

ssize_t grove_wait(grove_t **gs, size_t n, size_t count, double timeout, grove_t **done)
{
    if ((n && (!gs || !done)) || timeout != timeout) {
        errno = EINVAL;
        return -1;
    }
    int error = timeout == 0 ? 0 : waiter_interrupt();
    if (error) {
        errno = error;
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (!gs[i]) {
            errno = EINVAL;
            return -1;
        }
    }
    if (n == 0)
        return 0;
    struct link *links = calloc(n, sizeof *links);
    if (!links)
        return -1;
    struct gathering gathering = {
        .wanted = count == 0 || count > n ? n : count, .done = done};
    for (size_t i = 0; i < n; i++) {
        links[i].function = gather;
        links[i].arg = &gathering;
        links[i].borrowed = true;
        if (!watch_add(gs[i], &links[i].waiter))
            gather(gs[i], &gathering);
    }
    error = wait_enough(&gathering, timeout);
    unlink_all(&gathering, links, gs, n);
    free(links);
    if (error) {
        errno = error;
        return -1;
    }
    return (ssize_t)gathering.ended;
}
