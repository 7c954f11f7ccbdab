/* SPDX-License-Identifier: MIT */
#include "sched/watch.h"

#include <errno.h>
#include <stdlib.h>

#include "sched/finish.h"
#include "sched/spin.h"

/* False: the greenlet has ended, the lock isn't taken. */
static bool lock(struct grove *greenlet)
{
    struct spin spin = {0};
    uint32_t state = atomic_load_explicit(&greenlet->state, memory_order_acquire);

    for (;;) {
        if (state & GREENLET_DONE)
            return false;
        if (state & GREENLET_LOCK) {
            spin_once(&spin);
            state = atomic_load_explicit(&greenlet->state, memory_order_acquire);
            continue;
        }
        if (atomic_compare_exchange_weak_explicit(&greenlet->state, &state,
                state | GREENLET_LOCK, memory_order_acquire, memory_order_acquire))
            return true;
    }
}

static bool watched(struct grove *greenlet)
{
    return atomic_load_explicit(&greenlet->state, memory_order_relaxed) &
           GREENLET_WATCHED;
}

/* Flips the lock bit off, and WATCHED on or off with it. */
static void unlock(struct grove *greenlet, uint32_t flip)
{
    atomic_fetch_xor_explicit(
        &greenlet->state, GREENLET_LOCK | flip, memory_order_release);
}

/* Under the lock. */
static void remove_locked(struct grove *greenlet, struct waiter *watcher)
{
    if (watcher->prev)
        watcher->prev->next = watcher->next;
    else
        greenlet->first = watcher->next;
    if (watcher->next)
        watcher->next->prev = watcher->prev;
    else
        greenlet->last = watcher->prev;
}

/* Under the lock. */
static struct link *find_locked(struct grove *greenlet,
    bool (*wanted)(const struct link *link, const void *arg), const void *arg)
{
    struct waiter *watcher = watched(greenlet) ? greenlet->first : NULL;

    for (; watcher; watcher = watcher->next) {
        struct link *link = (struct link *)(void *)watcher;
        if (watcher->detach == NULL && wanted(link, arg))
            return link;
    }
    return NULL;
}

/* Under the lock, which it lets go of. */
static void add_locked(struct grove *greenlet, struct waiter *watcher)
{
    bool others = watched(greenlet);
    watcher->next = NULL;
    watcher->prev = others ? greenlet->last : NULL;
    if (others)
        greenlet->last->next = watcher;
    else
        greenlet->first = watcher;
    greenlet->last = watcher;
    unlock(greenlet, others ? 0 : GREENLET_WATCHED);
}

bool watch_add(struct grove *greenlet, struct waiter *watcher)
{
    if (!lock(greenlet))
        return false;
    add_locked(greenlet, watcher);
    return true;
}

bool watch_add_unless(struct grove *greenlet, struct waiter *watcher,
    bool (*unwanted)(const struct link *link, const void *arg), const void *arg)
{
    if (!lock(greenlet))
        return false;
    if (find_locked(greenlet, unwanted, arg)) {
        unlock(greenlet, 0);
        return false;
    }
    add_locked(greenlet, watcher);
    return true;
}

bool watch_remove(struct grove *greenlet, struct waiter *watcher)
{
    if (!lock(greenlet))
        return false;
    remove_locked(greenlet, watcher);
    unlock(greenlet, greenlet->first ? 0 : GREENLET_WATCHED);
    return true;
}

void greenlet_call_link(struct waiter *waiter, struct grove *greenlet)
{
    struct link *link = (struct link *)(void *)waiter;
    void (*function)(struct grove *, void *) = link->function;
    void *arg = link->arg;

    if (!link->borrowed)
        free(link);
    function(greenlet, arg);
}

int grove_link(grove_t *g, void (*fn)(grove_t *g, void *arg), void *arg)
{
    if (!fn) {
        errno = EINVAL;
        return -1;
    }
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return -1;
    link->function = fn;
    link->arg = arg;
    if (!watch_add(g, &link->waiter)) {
        free(link);
        fn(g, arg);
    }
    return 0;
}

struct link *watch_find(struct grove *greenlet,
    bool (*wanted)(const struct link *link, const void *arg), const void *arg,
    bool take)
{
    if (!lock(greenlet))
        return NULL;
    struct link *found = find_locked(greenlet, wanted, arg);
    take = take && found;
    if (take)
        remove_locked(greenlet, &found->waiter);
    unlock(greenlet, take && !greenlet->first ? GREENLET_WATCHED : 0);
    return found;
}

static bool same_call(const struct link *link, const void *arg)
{
    const struct link *sought = arg;

    return link->function == sought->function && link->arg == sought->arg;
}

int grove_unlink(grove_t *g, void (*fn)(grove_t *g, void *arg), void *arg)
{
    struct link sought = {.function = fn, .arg = arg};
    struct link *found = watch_find(g, same_call, &sought, true);

    if (!found) {
        errno = ENOENT;
        return -1;
    }
    free(found);
    return 0;
}
