/* SPDX-License-Identifier: MIT */
#include "sync/group.h"

#include <stdlib.h>

#include "sched/reference.h"
#include "sched/spawn.h"
#include "sync/group_slots.h"

static grove_group_t *group_create(size_t limit)
{
    struct grove_group *group = calloc(1, sizeof *group);

    if (!group)
        return NULL;
    group->limit = limit;
    group->references = 1;
    return group;
}

grove_group_t *grove_group_new(void)
{
    return group_create(GROUP_UNLIMITED);
}

grove_group_t *grove_pool_new(size_t size)
{
    return group_create(size);
}

void group_retain(struct grove_group *group)
{
    section_enter(&group->slots.section);
    group->references++;
    section_leave(&group->slots.section);
}

void group_release(struct grove_group *group)
{
    section_enter(&group->slots.section);
    bool last = --group->references == 0;
    section_leave(&group->slots.section);
    if (last)
        free(group);
}

void grove_group_free(grove_group_t *group)
{
    if (group)
        group_release(group);
}

/* Inside the section. */
static void push(struct member **list, struct member *member)
{
    member->next = *list;
    member->linked = list;
    if (*list)
        (*list)->linked = &member->next;
    *list = member;
}

static void unlink_member(struct member *member)
{
    *member->linked = member->next;
    if (member->next)
        member->next->linked = member->linked;
}

void group_member_dies(struct member *member)
{
    unlink_member(member);
    push(&member->group->dying, member);
}

/* The link of every member, by which it is known among the links of its greenlet. */
static void call_ended(struct grove *greenlet, void *arg)
{
    struct member *member = arg;

    member->ended(greenlet, member);
}

void *member_new(
    size_t size, void (*ended)(struct grove *greenlet, struct member *member))
{
    struct member *member = calloc(1, size);

    if (!member)
        return NULL;
    member->ended = ended;
    member->link.function = call_ended;
    member->link.arg = member;
    member->link.borrowed = true;
    return member;
}

bool group_enroll(struct member *member)
{
    struct grove_group *group = member->group;

    section_enter(&group->slots.section);
    bool dies = group->killers > 0;
    push(dies ? &group->dying : &group->members, member);
    /* Now that it is in the list: who sees this may discard it at once. */
    atomic_store_explicit(&member->enrolled, true, memory_order_relaxed);
    group->references++;
    section_leave(&group->slots.section);
    return dies;
}

int group_begin(struct grove_group *group, struct member *member,
    grove_affinity_t affinity, grove_fn fn, void *arg, void *site, struct grove **made)
{
    struct grove *greenlet = spawn_prepare(fn, arg, site, &member->link.waiter);

    if (!greenlet)
        return errno;
    member->group = group;
    member->greenlet = greenlet;
    bool dies = group_enroll(member);
    /* Before it starts, so that a member can tell from the count of its references
     * whether somebody knows of it. */
    bool keep = made || dies;
    if (!keep)
        greenlet_release(greenlet);
    spawn_launch(greenlet, affinity);
    /* From here on the member may be gone. */
    if (dies)
        grove_kill(greenlet, 0);
    if (made)
        *made = greenlet;
    else if (keep)
        greenlet_release(greenlet);
    return 0;
}

void group_leave(struct member *member, bool frees_slot, struct slot_feed *sated)
{
    struct grove_group *group = member->group;
    struct waiter *woken = NULL, *feeder = NULL;

    section_enter(&group->slots.section);
    unlink_member(member);
    if (sated)
        feeder = group_feed_sated(sated);
    if (frees_slot)
        woken = group_slot_given(group);
    bool last = --group->references == 0;
    section_leave(&group->slots.section);
    if (feeder)
        waiter_wake(feeder, SLOT_UNNEEDED);
    waiter_wake_chain(woken, 0);
    if (last)
        free(group);
}

void member_ended(struct grove *greenlet, struct member *member)
{
    group_leave(member, true, NULL);
    free(member);
    greenlet_release(greenlet);
}

struct grove *group_spawn(struct grove_group *group, grove_affinity_t affinity,
    grove_fn fn, void *arg, double timeout, void *site)
{
    struct grove *greenlet = NULL;
    int error = group && fn ? group_take_slot(group, timeout, NULL) : EINVAL;

    if (error) {
        errno = error;
        return NULL;
    }
    struct member *member = member_new(sizeof *member, member_ended);
    if (!member) {
        error = errno;
        goto give_slot;
    }
    error = group_begin(group, member, affinity, fn, arg, site, &greenlet);
    if (error)
        goto free_member;
    return greenlet;
free_member:
    free(member);
give_slot:
    group_give_slot(group);
    errno = error;
    return NULL;
}

grove_t *grove_group_spawn(grove_group_t *group, grove_fn fn, void *arg)
{
    return group_spawn(group, GROVE_LOCAL, fn, arg, GROVE_FOREVER, CALL_SITE);
}

grove_t *grove_group_go(grove_group_t *group, grove_fn fn, void *arg)
{
    return group_spawn(group, GROVE_ANY, fn, arg, GROVE_FOREVER, CALL_SITE);
}

static bool is_member(const struct link *link, const void *group)
{
    const struct member *member = link->arg;

    return link->function == call_ended && member->group == group &&
           atomic_load_explicit(&member->enrolled, memory_order_relaxed);
}

static bool is_own_member(const struct link *link, const void *group)
{
    return is_member(link, group) && !((const struct member *)link->arg)->tasks;
}

bool group_contains(struct grove_group *group, struct grove *greenlet)
{
    return watch_find(greenlet, is_member, group, false) != NULL;
}

bool grove_group_contains(grove_group_t *group, grove_t *g)
{
    return group && g && group_contains(group, g);
}

int grove_group_discard(grove_group_t *group, grove_t *g)
{
    if (!group || !g)
        return answer(EINVAL);
    struct link *link = watch_find(g, is_own_member, group, true);
    if (link)
        member_ended(g, link->arg);
    return 0;
}

/* With a slot of the caller's. */
static int add_member(struct grove_group *group, struct grove *greenlet)
{
    struct member *member = member_new(sizeof *member, member_ended);

    if (!member) {
        group_give_slot(group);
        return ENOMEM;
    }
    member->group = group;
    member->greenlet = greenlet;
    greenlet_retain(greenlet);
    bool dies = group_enroll(member);
    /* Enrolled first, as its end may come at once. Or another call that waited for a
     * slot has made it a member meanwhile. */
    if (!watch_add_unless(greenlet, &member->link.waiter, is_member, group))
        member_ended(greenlet, member);
    else if (dies)
        grove_kill(greenlet, 0);
    return 0;
}

int grove_group_add(grove_group_t *group, grove_t *g, double timeout)
{
    if (!group || !g || timeout != timeout)
        return answer(EINVAL);
    if (greenlet_done(g) || group_contains(group, g))
        return 0;
    int error = group_take_slot(group, timeout, NULL);
    return answer(error ? error : add_member(group, g));
}

int grove_group_spread(grove_group_t *group, grove_affinity_t affinity)
{
    if (!group || (unsigned)affinity > GROVE_CPU)
        return answer(EINVAL);
    atomic_store_explicit(&group->affinity, affinity, memory_order_relaxed);
    return 0;
}
