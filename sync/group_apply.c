/* SPDX-License-Identifier: MIT */
/* One task in a member of a group. */
#include <stdlib.h>

#include "sched/reference.h"
#include "sched/spawn.h"
#include "sync/group.h"

static grove_affinity_t affinity_of(const struct grove_group *group)
{
    return atomic_load_explicit(&group->affinity, memory_order_relaxed);
}

static struct grove *current(void)
{
    return worker_self ? worker_self->current : NULL;
}

int grove_group_apply(
    grove_group_t *group, grove_fn fn, void *arg, double timeout, void **value)
{
    struct grove *me = current();

    if (!group || !fn || timeout != timeout)
        return answer(EINVAL);
    if (me && group_contains(group, me)) {
        void *got = fn(arg);
        if (value)
            *value = got;
        return 0;
    }
    nanoseconds deadline = timeout > 0 ? timers_deadline(timeout) : TIMERS_NEVER;
    struct grove *g =
        group_spawn(group, affinity_of(group), fn, arg, timeout, CALL_SITE);
    if (!g)
        return -1;
    if (timeout > 0)
        timeout = timers_left(deadline);
    int result = grove_get(g, timeout, value);
    int error = errno;
    greenlet_release(g);
    errno = error;
    return result;
}

/* A greenlet that becomes a member when there is a slot. */
struct late_member {
    struct member member;
    grove_fn fn;
    void *arg;
};

/* Killed before fn began. */
static void *end_late(int error)
{
    if (error == ECANCELED)
        return GROVE_KILLED;
    worker_self->current->error = error;
    return NULL;
}

static void *run_late(void *arg)
{
    struct late_member *late = arg;
    grove_fn fn = late->fn;
    void *fn_arg = late->arg;
    struct grove_group *group = late->member.group;
    int error = group_take_slot(group, GROVE_FOREVER, NULL);

    if (error)
        return end_late(error);
    if (group_enroll(&late->member))
        grove_kill(worker_self->current, 0);
    group_release(group); /* the member has one now */
    /* From here on it may be discarded, and gone. */
    error = waiter_interrupt();
    return error ? end_late(error) : fn(fn_arg);
}

static void late_member_ended(struct grove *greenlet, struct member *member)
{
    if (atomic_load_explicit(&member->enrolled, memory_order_relaxed)) {
        member_ended(greenlet, member);
        return;
    }
    group_release(member->group);
    free(member);
    greenlet_release(greenlet);
}

static struct grove *spawn_late(
    struct grove_group *group, grove_fn fn, void *arg, void *site)
{
    struct late_member *late = member_new(sizeof *late, late_member_ended);

    if (!late)
        return NULL;
    struct grove *g = spawn_prepare(run_late, late, site, &late->member.link.waiter);
    if (!g) {
        free(late);
        return NULL;
    }
    group_retain(group);
    late->member.group = group;
    late->member.greenlet = g;
    late->fn = fn;
    late->arg = arg;
    spawn_launch(g, affinity_of(group));
    return g;
}

grove_t *grove_group_apply_async(grove_group_t *group, grove_fn fn, void *arg)
{
    if (!group || !fn) {
        errno = EINVAL;
        return NULL;
    }
    struct grove *g = group_spawn(group, affinity_of(group), fn, arg, 0, CALL_SITE);
    if (g || errno != EAGAIN)
        return g;
    return spawn_late(group, fn, arg, CALL_SITE);
}
