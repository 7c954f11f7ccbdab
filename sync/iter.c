/* SPDX-License-Identifier: MIT */
/* Results of tasks read one by one. */
#include <grove/iter.h>

#include <stdlib.h>

#include "sched/reference.h"
#include "sched/spawn.h"
#include "sync/tasks.h"

struct outcome {
    void *value;
    size_t item;
    int error;
    bool done;
};

/*
 * The feeder is a greenlet of its own, so the iterator has two users: it and the
 * readers. Who may touch what: as of tasks, under its section, but
 *   references, failed, index   anybody
 *   ordered, ahead, feeder      constant
 */
struct grove_iter {
    struct tasks tasks;       /* first: found through it */
    struct wait_list readers; /* its own section isn't used */
    size_t read;              /* results that were given to readers */
    size_t completed;         /* items that have ended, if not ordered */
    size_t ahead;
    bool ordered;
    struct link link; /* on the feeder */
    struct grove *feeder;
    _Atomic(int) references;
    _Atomic(bool) failed;
    _Atomic(size_t) index;
    struct outcome outcome[]; /* in the order in which they are read */
};

struct reader {
    struct waiter waiter; /* its item is the outcome it was given; NULL: the end */
    struct grove_iter *iter;
};

static const struct wait_reason waits_for_result = {
    .text = "the next result of", .list_offset = offsetof(struct grove_iter, readers)};

static void iter_release(struct grove_iter *iter)
{
    if (atomic_fetch_sub_explicit(&iter->references, 1, memory_order_acq_rel) > 1)
        return;
    greenlet_release(iter->feeder);
    group_release(iter->tasks.group);
    free(iter);
}

/* Items may begin up to [ahead] after what was read. Inside the section. */
static void admit(struct grove_iter *iter)
{
    size_t left = iter->tasks.n - iter->read;

    iter->tasks.admitted =
        iter->read + (iter->ahead == 0 || iter->ahead > left ? left : iter->ahead);
}

static bool at_end(const struct grove_iter *iter)
{
    return iter->read == iter->tasks.n;
}

/* Inside the section. */
static bool result_ready(const struct grove_iter *iter)
{
    return !at_end(iter) && iter->outcome[iter->read].done;
}

static struct outcome *take_result(struct grove_iter *iter)
{
    struct outcome *outcome = &iter->outcome[iter->read++];

    admit(iter);
    return outcome;
}

/* Gives what is ready to those who wait, and, if that was all, the end to the others.
 * Inside the section; returns whom to wake. */
static struct waiter *serve_readers(struct grove_iter *iter)
{
    struct waiter *woken = NULL, **end = &woken;

    while (iter->readers.first && (result_ready(iter) || at_end(iter))) {
        struct waiter *reader = waiter_pop(&iter->readers);
        reader->item = at_end(iter) ? NULL : take_result(iter);
        *end = reader;
        end = &reader->next;
    }
    *end = NULL;
    return woken;
}

static struct waiter *finish(struct tasks *tasks, size_t item, void *value, int error)
{
    struct grove_iter *iter = (struct grove_iter *)tasks;
    size_t place = iter->ordered ? item : iter->completed++;

    iter->outcome[place] =
        (struct outcome){.value = value, .item = item, .error = error, .done = true};
    return UNLIKELY(iter->readers.first) ? serve_readers(iter) : NULL;
}

static void *feed(void *arg)
{
    struct grove_iter *iter = arg;

    tasks_run(&iter->tasks);
    return NULL;
}

/* Also if it never ran: then nobody else ends the items. */
static void feeder_ended(struct grove *g, void *arg)
{
    struct grove_iter *iter = arg;

    tasks_fail_rest(&iter->tasks, g->error ? g->error : ECANCELED);
    greenlet_release(g);
    iter_release(iter);
}

static struct grove_iter *iter_new(struct grove_group *group, grove_fn fn, void **in,
    size_t n, size_t ahead, bool ordered)
{
    struct grove_iter *iter = NULL;
    size_t results;

    if (__builtin_mul_overflow(n, sizeof(struct outcome), &results) ||
        __builtin_add_overflow(results, sizeof *iter, &results)) {
        errno = ENOMEM;
        return NULL;
    }
    if (!(iter = calloc(1, results)))
        return NULL;
    tasks_init(&iter->tasks, group, fn, in, n, finish);
    iter->ahead = ahead;
    iter->ordered = ordered;
    iter->link = (struct link){.function = feeder_ended, .arg = iter, .borrowed = true};
    atomic_init(&iter->references, 2);
    atomic_init(&iter->index, SIZE_MAX);
    admit(iter);
    return iter;
}

static grove_iter_t *begin(struct grove_group *group, grove_fn fn, void **in, size_t n,
    size_t ahead, bool ordered)
{
    if (!group || !fn || (n && !in)) {
        errno = EINVAL;
        return NULL;
    }
    struct grove_iter *iter = iter_new(group, fn, in, n, ahead, ordered);
    if (!iter)
        return NULL;
    iter->feeder = spawn_prepare(feed, iter, (void *)fn, &iter->link.waiter);
    if (!iter->feeder) {
        free(iter);
        return NULL;
    }
    group_retain(group);
    spawn_launch(iter->feeder, tasks_feeder_affinity(group));
    return iter;
}

grove_iter_t *grove_group_imap(grove_group_t *group, grove_fn fn, void **in, size_t n)
{
    return begin(group, fn, in, n, 0, true);
}

grove_iter_t *grove_group_imap_unordered(
    grove_group_t *group, grove_fn fn, void **in, size_t n)
{
    return begin(group, fn, in, n, 0, false);
}

grove_iter_t *grove_group_imap_bounded(
    grove_group_t *group, grove_fn fn, void **in, size_t n, size_t ahead)
{
    return begin(group, fn, in, n, ahead, true);
}

grove_iter_t *grove_group_imap_unordered_bounded(
    grove_group_t *group, grove_fn fn, void **in, size_t n, size_t ahead)
{
    return begin(group, fn, in, n, ahead, false);
}

/* waiter_detach_list, but under the section of the tasks. */
static bool detach(struct waiter *waiter)
{
    struct grove_iter *iter = ((struct reader *)waiter)->iter;

    if (atomic_load_explicit(&waiter->list, memory_order_acquire) == NULL)
        return false;
    tasks_enter(&iter->tasks);
    bool linked = atomic_load_explicit(&waiter->list, memory_order_relaxed) != NULL;
    if (linked)
        waiter_unlink(&iter->readers, waiter);
    tasks_leave(&iter->tasks, NULL);
    return linked;
}

/* Waits for a result, or NULL for the end: 0 or the error of the wait. */
static int next_result(
    struct grove_iter *iter, double timeout, const struct outcome **outcome)
{
    struct reader self = {.iter = iter};
    int error = blocking_begin(timeout);

    if (error)
        return error;
    tasks_enter(&iter->tasks);
    bool ready = result_ready(iter), ended = at_end(iter);
    *outcome = ready ? take_result(iter) : NULL;
    if (!ready && !ended && timeout != 0) {
        (void)waiter_init(&self.waiter);
        self.waiter.detach = detach;
        self.waiter.reason = &waits_for_result;
        waiter_link(&iter->readers, &self.waiter);
    }
    /* Nobody else waits while a result is ready: see finish. So there is nobody whom
     * the one that takes the last has to tell of the end. */
    tasks_leave(&iter->tasks, NULL);
    if (ready || ended)
        return 0;
    error = timeout == 0 ? ETIMEDOUT : waiter_park(&self.waiter, timeout);
    if (!error)
        *outcome = self.waiter.item;
    return error;
}

int grove_iter_next(grove_iter_t *iter, double timeout, void **value)
{
    const struct outcome *outcome = NULL;
    int error = iter ? next_result(iter, timeout, &outcome) : EINVAL;

    if (!iter)
        return answer(error);
    atomic_store_explicit(
        &iter->failed, outcome && outcome->error, memory_order_relaxed);
    if (error)
        return answer(error);
    if (!outcome)
        return 0;
    atomic_store_explicit(&iter->index, outcome->item, memory_order_relaxed);
    if (outcome->error)
        return answer(outcome->error);
    if (value)
        *value = outcome->value;
    return 1;
}

bool grove_iter_failed(const grove_iter_t *iter)
{
    return atomic_load_explicit(&iter->failed, memory_order_relaxed);
}

size_t grove_iter_index(const grove_iter_t *iter)
{
    return atomic_load_explicit(&iter->index, memory_order_relaxed);
}

void grove_iter_free(grove_iter_t *iter)
{
    if (!iter)
        return;
    /* At once, as [in] is the caller's again; what runs is killed by the feeder. */
    tasks_fail_rest(&iter->tasks, ECANCELED);
    grove_kill(iter->feeder, 0);
    iter_release(iter);
}
