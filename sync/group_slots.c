/* SPDX-License-Identifier: MIT */
/* The slots of a group: taking, giving, waiting for one, waiting for all. */
#include "sync/group_slots.h"

#include <stdlib.h>

struct group_waiter {
    struct waiter waiter;
    struct grove_group *group;
    struct wait_list *list;
    bool takes;             /* in [slots]: a slot; else it only wants to know of one */
    struct slot_feed *feed; /* whose waiter this is, or NULL */
};

static const struct wait_reason waits_for_slot = {
    .text = "a slot of a pool", .list_offset = offsetof(struct grove_group, slots)};
static const struct wait_reason waits_for_all = {.text = "the members of a group",
    .list_offset = offsetof(struct grove_group, joiners)};

static void set_size(_Atomic(size_t) *size, size_t value)
{
    atomic_store_explicit(size, value, memory_order_relaxed);
}

static size_t size_of(const _Atomic(size_t) *size)
{
    return atomic_load_explicit(size, memory_order_relaxed);
}

/* A waiter has left the list of [slots]. Inside the section. */
static void no_longer_taking(struct group_waiter *self)
{
    if (!self->takes)
        return;
    set_size(&self->group->takers, size_of(&self->group->takers) - 1);
    if (self->feed)
        atomic_store_explicit(&self->feed->waiter, NULL, memory_order_relaxed);
}

/* waiter_detach_list, but under the section of the group. */
static bool detach(struct waiter *waiter)
{
    struct group_waiter *self = (struct group_waiter *)waiter;

    if (atomic_load_explicit(&waiter->list, memory_order_acquire) == NULL)
        return false;
    section_enter(&self->group->slots.section);
    bool linked = atomic_load_explicit(&waiter->list, memory_order_relaxed) != NULL;
    if (linked) {
        waiter_unlink(self->list, waiter);
        no_longer_taking(self);
    }
    section_leave(&self->group->slots.section);
    return linked;
}

/* Inside the section, in a call that began with blocking_begin. */
static void link_waiter(
    struct grove_group *group, struct wait_list *list, struct group_waiter *self)
{
    (void)waiter_init(&self->waiter);
    self->waiter.detach = detach;
    self->waiter.reason = list == &group->joiners ? &waits_for_all : &waits_for_slot;
    self->group = group;
    self->list = list;
    waiter_link(list, &self->waiter);
}

static bool has_free_slot(const struct grove_group *group)
{
    return size_of(&group->used) < group->limit;
}

static uint32_t kills_of(const struct grove_group *group)
{
    return atomic_load_explicit(&group->kills, memory_order_relaxed);
}

int group_take_slot(struct grove_group *group, double timeout, struct slot_feed *feed)
{
    struct group_waiter self = {.takes = true, .feed = feed};
    int error = group->limit == GROUP_UNLIMITED ? 0 : blocking_begin(timeout);

    if (error)
        return error;
    section_enter(&group->slots.section);
    bool unneeded = feed && (feed->sated || feed->kills != kills_of(group));
    bool taken = !unneeded && has_free_slot(group);
    if (taken) {
        set_size(&group->used, size_of(&group->used) + 1);
    } else if (!unneeded && timeout != 0) {
        link_waiter(group, &group->slots, &self);
        set_size(&group->takers, size_of(&group->takers) + 1);
        if (feed)
            atomic_store_explicit(&feed->waiter, &self.waiter, memory_order_relaxed);
    }
    section_leave(&group->slots.section);
    if (taken)
        return 0;
    if (unneeded)
        return SLOT_UNNEEDED;
    return timeout == 0 ? EAGAIN : waiter_park(&self.waiter, timeout);
}

struct waiter *group_slot_given(struct grove_group *group)
{
    struct waiter *woken = NULL, **end = &woken, *waiter;
    bool taken = false;

    while (!taken && (waiter = waiter_pop(&group->slots))) {
        struct group_waiter *first = (struct group_waiter *)waiter;
        no_longer_taking(first);
        taken = first->takes;
        *end = waiter;
        end = &waiter->next;
    }
    *end = NULL;
    if (taken)
        return woken;
    size_t used = size_of(&group->used) - 1;
    set_size(&group->used, used);
    if (used == 0)
        *end = waiter_pop_all(&group->joiners);
    return woken;
}

struct waiter *group_feed_sated(struct slot_feed *feed)
{
    struct waiter *waiter = atomic_load_explicit(&feed->waiter, memory_order_relaxed);

    feed->sated = true;
    if (!waiter)
        return NULL;
    struct group_waiter *self = (struct group_waiter *)waiter;
    waiter_unlink(self->list, waiter);
    no_longer_taking(self);
    return waiter;
}

struct waiter *group_count_kill(struct grove_group *group)
{
    struct waiter *feeders = NULL, *next;

    section_enter(&group->slots.section);
    atomic_store_explicit(&group->kills, kills_of(group) + 1, memory_order_relaxed);
    for (struct waiter *waiter = group->slots.first; waiter; waiter = next) {
        struct group_waiter *self = (struct group_waiter *)waiter;
        next = waiter->next;
        if (!self->feed)
            continue;
        waiter_unlink(&group->slots, waiter);
        no_longer_taking(self);
        waiter->next = feeders;
        feeders = waiter;
    }
    section_leave(&group->slots.section);
    return feeders;
}

void group_give_slot(struct grove_group *group)
{
    section_enter(&group->slots.section);
    struct waiter *woken = group_slot_given(group);
    section_leave(&group->slots.section);
    waiter_wake_chain(woken, 0);
}

int group_wait_empty(struct grove_group *group, double timeout)
{
    struct group_waiter self = {.takes = false};
    int error = blocking_begin(timeout);

    if (error)
        return error;
    /* Through the section, even if it is empty: when this returns the caller may free
     * the group, so the last member must be out of the section by then. */
    section_enter(&group->slots.section);
    bool empty = size_of(&group->used) == 0;
    if (!empty && timeout != 0)
        link_waiter(group, &group->joiners, &self);
    section_leave(&group->slots.section);
    if (empty)
        return 0;
    return timeout == 0 ? ETIMEDOUT : waiter_park(&self.waiter, timeout);
}

int grove_group_join(grove_group_t *group, double timeout)
{
    return answer(group ? group_wait_empty(group, timeout) : EINVAL);
}

int grove_group_wait_available(grove_group_t *group, double timeout)
{
    struct group_waiter self = {.takes = false};
    int error = group ? blocking_begin(timeout) : EINVAL;

    if (error)
        return answer(error);
    section_enter(&group->slots.section);
    bool available = has_free_slot(group);
    if (!available && timeout != 0)
        link_waiter(group, &group->slots, &self);
    section_leave(&group->slots.section);
    if (available)
        return 0;
    return answer(timeout == 0 ? EAGAIN : waiter_park(&self.waiter, timeout));
}

size_t grove_group_size(const grove_group_t *group)
{
    return size_of(&group->used);
}

bool grove_group_full(const grove_group_t *group)
{
    return !has_free_slot(group);
}

size_t grove_group_free_count(const grove_group_t *group)
{
    return group->limit == GROUP_UNLIMITED ? SIZE_MAX
                                           : group->limit - size_of(&group->used);
}
