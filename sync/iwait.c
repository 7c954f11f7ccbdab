/* SPDX-License-Identifier: MIT */
/*
 * Each thing gets a waiter that stands for a function, published for as long as the
 * iteration lasts: so each costs the same however many there are, and their order is
 * that of their functions' calls.
 *
 * Who makes a thing ready has taken its waiter out already and calls the function
 * outside that section, so no section is ever entered inside another.
 */
#include <grove/iwait.h>

#include <stdlib.h>

#include "sched/container.h"
#include "sched/spin.h"
#include "sched/watch.h"
#include "sync/publish.h"

/* A case, and its waiter: a greenlet's end takes a link. */
struct iwait_slot {
    struct link link;
    struct grove_iwait *iwait;
    struct iwait_slot *next_ready;
    bool published;
};

/*
 *   list, first, last, left   under list.section; list holds the readers that wait
 *   called   slots whose function is over: release, as its last access to all this,
 *            acquired by grove_iwait_free
 *   others   constant once all is published
 */
struct grove_iwait {
    struct wait_list list;
    struct iwait_slot *first, *last; /* ready, and not given out yet */
    size_t left;                     /* not given out yet */
    _Atomic(size_t) called;
    size_t published;
    grove_case_t *cases;
    size_t n;
    struct iwait_slot slots[];
};

static void become_ready(struct iwait_slot *slot)
{
    struct grove_iwait *iwait = slot->iwait;

    slot->next_ready = NULL;
    section_enter(&iwait->list.section);
    if (iwait->first)
        iwait->last->next_ready = slot;
    else
        iwait->first = slot;
    iwait->last = slot;
    struct waiter *reader = waiter_pop(&iwait->list);
    section_leave(&iwait->list.section);
    if (reader)
        waiter_wake(reader, 0);
}

static void be_called(struct iwait_slot *slot)
{
    struct grove_iwait *iwait = slot->iwait;

    become_ready(slot);
    atomic_fetch_add_explicit(&iwait->called, 1, memory_order_release);
}

static void on_wake(struct message *message)
{
    be_called(CONTAINER(message, struct iwait_slot, link.waiter.message));
}

static void on_end(struct grove *greenlet, void *slot)
{
    (void)greenlet;
    be_called(slot);
}

/* False: it is ready. */
static bool publish(const grove_case_t *one, struct iwait_slot *slot)
{
    waiter_init_call(&slot->link.waiter, on_wake);
    if (one->kind == GROVE_CASE_EVENT)
        return event_publish(one->of.object, &slot->link.waiter);
    if (one->kind == GROVE_CASE_RESULT)
        return result_publish(one->of.object, &slot->link.waiter);
    slot->link.waiter.detach = NULL; /* which makes it a link */
    slot->link.function = on_end;
    slot->link.arg = slot;
    slot->link.borrowed = true;
    return watch_add(one->of.object, &slot->link.waiter);
}

/* False: its function has been or is being called. */
static bool withdraw(const grove_case_t *one, struct iwait_slot *slot)
{
    if (one->kind == GROVE_CASE_END)
        return watch_remove(one->of.object, &slot->link.waiter);
    return slot->link.waiter.detach(&slot->link.waiter);
}

static bool valid(const grove_case_t *cases, size_t n)
{
    if (n && !cases)
        return false;
    for (size_t i = 0; i < n; i++)
        if (cases[i].kind != GROVE_CASE_NEVER &&
            ((cases[i].kind != GROVE_CASE_EVENT && cases[i].kind != GROVE_CASE_RESULT &&
                 cases[i].kind != GROVE_CASE_END) ||
                !cases[i].of.object))
            return false;
    return true;
}

grove_iwait_t *grove_iwait_new(grove_case_t *cases, size_t n)
{
    if (!valid(cases, n)) {
        errno = EINVAL;
        return NULL;
    }
    if (n > (SIZE_MAX - sizeof(struct grove_iwait)) / sizeof(struct iwait_slot)) {
        errno = ENOMEM;
        return NULL;
    }
    struct grove_iwait *iwait =
        calloc(1, sizeof *iwait + n * sizeof(struct iwait_slot));
    if (!iwait)
        return NULL;
    iwait->cases = cases;
    iwait->n = n;
    /* Before the first is published: nobody reads yet, but functions may be called. */
    for (size_t i = 0; i < n; i++)
        iwait->left += cases[i].kind != GROVE_CASE_NEVER;
    for (size_t i = 0; i < n; i++) {
        struct iwait_slot *slot = &iwait->slots[i];
        if (cases[i].kind == GROVE_CASE_NEVER)
            continue;
        slot->iwait = iwait;
        slot->published = publish(&cases[i], slot);
        iwait->published += slot->published;
        if (!slot->published)
            become_ready(slot);
    }
    return iwait;
}

static void fill_in(grove_case_t *one)
{
    int saved_errno = errno;

    one->error = 0;
    if (one->kind == GROVE_CASE_END) {
        one->item = grove_value(one->of.object);
        one->error = grove_error(one->of.object);
    } else if (one->kind == GROVE_CASE_RESULT) {
        one->item = NULL;
        if (grove_result_get(one->of.object, 0, &one->item) < 0)
            one->error = errno;
    }
    errno = saved_errno;
}

/* Links [reader], if there is one, unless there is something to be given out. */
static struct iwait_slot *take_or_link(
    struct grove_iwait *iwait, struct waiter *reader, bool *all_given)
{
    section_enter(&iwait->list.section);
    struct iwait_slot *slot = iwait->first;
    *all_given = iwait->left == 0;
    if (slot) {
        iwait->first = slot->next_ready;
        iwait->left--;
    } else if (reader && !*all_given) {
        waiter_link(&iwait->list, reader);
    }
    struct waiter *others =
        slot && iwait->left == 0 ? waiter_pop_all(&iwait->list) : NULL;
    section_leave(&iwait->list.section);
    if (others) /* for them there is nothing to wait for any more */
        waiter_wake_chain(others, 0);
    return slot;
}

/* A woken reader that takes nothing gives its wake to the next. */
static void pass_wake_on(struct grove_iwait *iwait)
{
    section_enter(&iwait->list.section);
    struct waiter *next = iwait->first ? waiter_pop(&iwait->list) : NULL;
    section_leave(&iwait->list.section);
    if (next)
        waiter_wake(next, 0);
}

static const struct wait_reason reason = {
    .text = "the next of several", .list_offset = -1};

/* One wait, after which there may be something: 0 or the error of the wait. */
static int wait_for_ready(
    struct grove_iwait *iwait, struct waiter *reader, double timeout)
{
    int error = waiter_park(reader, timeout);

    /* What came since the wake must not find it asleep again, when another has been
     * quicker to take what woke it. */
    if (!error && (error = waiter_interrupt()))
        pass_wake_on(iwait);
    return error;
}

int grove_iwait_next(grove_iwait_t *iwait, double timeout, size_t *index)
{
    nanoseconds deadline = timeout > 0 ? timers_deadline(timeout) : TIMERS_NEVER;
    int error = iwait ? blocking_begin(timeout) : EINVAL;
    struct waiter reader;
    bool all_given;

    while (!error) {
        if (timeout != 0) {
            (void)waiter_init(&reader); /* for each wait anew */
            reader.reason = &reason;
        }
        struct iwait_slot *slot =
            take_or_link(iwait, timeout != 0 ? &reader : NULL, &all_given);
        if (slot) {
            size_t i = (size_t)(slot - iwait->slots);
            fill_in(&iwait->cases[i]);
            if (index)
                *index = i;
            return 1;
        }
        if (all_given)
            return 0;
        error = timeout == 0 ? ETIMEDOUT : wait_for_ready(iwait, &reader, timeout);
        if (timeout > 0)
            timeout = timers_left(deadline);
    }
    return answer(error);
}

void grove_iwait_free(grove_iwait_t *iwait)
{
    struct spin spin = {0};
    size_t removed = 0;

    if (!iwait)
        return;
    for (size_t i = 0; i < iwait->n; i++)
        if (iwait->slots[i].published)
            removed += withdraw(&iwait->cases[i], &iwait->slots[i]);
    while (atomic_load_explicit(&iwait->called, memory_order_acquire) + removed <
           iwait->published)
        spin_once(&spin);
    free(iwait);
}
