/* SPDX-License-Identifier: MIT */
#include <grove/waitgroup.h>

#include "sync/blocking.h"

/*
 * The layout behind grove_waitgroup_t.
 *   list    see waiter.h; nobody is in it while count is 0
 *   count   written inside the section of list; read anywhere
 */
struct waitgroup {
    struct wait_list list;
    _Atomic(int32_t) count;
};

_Static_assert(sizeof(struct waitgroup) == sizeof(grove_waitgroup_t), "same object");

static int32_t waitgroup_count(const struct waitgroup *group)
{
    return atomic_load_explicit(&group->count, memory_order_acquire);
}

int grove_waitgroup_add(grove_waitgroup_t *opaque, int n)
{
    struct waitgroup *group = (struct waitgroup *)opaque;
    struct waiter *woken = NULL;

    section_enter(&group->list.section);
    int64_t sum = (int64_t)waitgroup_count(group) + n;
    int error = sum < 0 ? EINVAL : sum > INT32_MAX ? EOVERFLOW : 0;
    if (!error)
        atomic_store_explicit(&group->count, (int32_t)sum, memory_order_release);
    if (sum == 0)
        woken = waiter_pop_all(&group->list);
    section_leave(&group->list.section);
    /* The group is not touched any more: who found it at 0 may have freed it. */
    if (woken)
        waiter_wake_chain(woken, 0);
    return answer(error);
}

int grove_waitgroup_done(grove_waitgroup_t *group)
{
    return grove_waitgroup_add(group, -1);
}

static const struct wait_reason reason = {.text = "a wait group"};

int grove_waitgroup_wait(grove_waitgroup_t *opaque, double timeout)
{
    struct waitgroup *group = (struct waitgroup *)opaque;
    struct waiter self;
    int error = blocking_begin(timeout);

    if (UNLIKELY(error))
        return answer(error);
    /* Through the section, even if it is 0: when this returns the caller may free the
     * group, so the last done must be out of the section by then. */
    section_enter(&group->list.section);
    bool over = waitgroup_count(group) == 0;
    if (!over && timeout != 0) {
        (void)waiter_init(&self);
        self.reason = &reason;
        waiter_link(&group->list, &self);
    }
    section_leave(&group->list.section);
    if (over)
        return 0;
    return answer(timeout == 0 ? ETIMEDOUT : waiter_park(&self, timeout));
}

int grove_waitgroup_count(const grove_waitgroup_t *group)
{
    return waitgroup_count((const struct waitgroup *)group);
}
