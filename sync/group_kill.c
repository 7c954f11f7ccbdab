/* SPDX-License-Identifier: MIT */
/* Killing the members of a group. */
#include "sched/reference.h"
#include "sync/group_slots.h"

/* Killed with one look at the group. A kill may run links and reach for other workers,
 * so it is done outside the section, with references. */
enum { BATCH = 32 };

/* The next members to be killed, with a reference each. */
static size_t take_batch(
    struct grove_group *group, const struct tasks *tasks, struct grove **batch)
{
    struct member *next;
    size_t n = 0;

    section_enter(&group->slots.section);
    for (struct member *member = group->members; member && n < BATCH; member = next) {
        next = member->next;
        if (tasks && member->tasks != tasks)
            continue;
        group_member_dies(member);
        greenlet_retain(member->greenlet);
        batch[n++] = member->greenlet;
    }
    section_leave(&group->slots.section);
    return n;
}

void group_kill_members(struct grove_group *group, const struct tasks *tasks)
{
    struct grove *batch[BATCH];
    size_t n;

    do {
        n = take_batch(group, tasks, batch);
        for (size_t i = 0; i < n; i++) {
            grove_kill(batch[i], 0);
            greenlet_release(batch[i]);
        }
    } while (n == BATCH);
}

static void count_killer(struct grove_group *group, size_t one)
{
    section_enter(&group->slots.section);
    group->killers += one;
    section_leave(&group->slots.section);
}

int grove_group_kill(grove_group_t *group, double timeout)
{
    if (!group || timeout != timeout)
        return answer(EINVAL);
    /* Maps look at the count before they spawn a further member. */
    waiter_wake_chain(group_count_kill(group), SLOT_UNNEEDED);
    if (timeout == 0) {
        group_kill_members(group, NULL);
        return 0;
    }
    count_killer(group, 1);
    group_kill_members(group, NULL);
    int error = group_wait_empty(group, timeout);
    count_killer(group, (size_t)-1);
    return answer(error);
}

int grove_group_killone(grove_group_t *group, grove_t *g, double timeout)
{
    if (!group || !g || timeout != timeout)
        return answer(EINVAL);
    return group_contains(group, g) ? grove_kill(g, timeout) : 0;
}
