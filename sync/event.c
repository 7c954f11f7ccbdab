/* SPDX-License-Identifier: MIT */
#include <grove/event.h>

#include "sync/blocking.h"
#include "sync/publish.h"

/*
 * The layout behind grove_event_t.
 *   list   see waiter.h
 *   set    written inside the section of list; read anywhere
 */
struct event {
    struct wait_list list;
    _Atomic(uint32_t) set;
};

_Static_assert(sizeof(struct event) == sizeof(grove_event_t), "same object");

static const struct wait_reason reason = {.text = "an event"};

static bool event_ready(const struct event *event)
{
    return atomic_load_explicit(&event->set, memory_order_acquire);
}

int grove_event_set(grove_event_t *opaque)
{
    struct event *event = (struct event *)opaque;

    section_enter(&event->list.section);
    atomic_store_explicit(&event->set, 1, memory_order_release);
    struct waiter *woken = waiter_pop_all(&event->list);
    section_leave(&event->list.section);
    /* The event is not touched any more: who found it set may have freed it. */
    if (woken)
        waiter_wake_chain(woken, 0);
    return 0;
}

int grove_event_clear(grove_event_t *opaque)
{
    struct event *event = (struct event *)opaque;

    section_enter(&event->list.section);
    atomic_store_explicit(&event->set, 0, memory_order_relaxed);
    section_leave(&event->list.section);
    return 0;
}

bool grove_event_is_set(const grove_event_t *opaque)
{
    return event_ready((const struct event *)opaque);
}

int grove_event_wait(grove_event_t *opaque, double timeout)
{
    struct event *event = (struct event *)opaque;
    struct waiter self;
    int error = blocking_begin(timeout);

    if (UNLIKELY(error))
        return answer(error);
    /* Through the section, even if it is set: when this returns the caller may free the
     * event, so the setter must be out of the section by then. */
    section_enter(&event->list.section);
    bool ready = event_ready(event);
    if (!ready && timeout != 0) {
        (void)waiter_init(&self);
        self.reason = &reason;
        waiter_link(&event->list, &self);
    }
    section_leave(&event->list.section);
    if (ready)
        return 0;
    return answer(timeout == 0 ? ETIMEDOUT : waiter_park(&self, timeout));
}

bool event_publish(grove_event_t *opaque, struct waiter *waiter)
{
    struct event *event = (struct event *)opaque;

    section_enter(&event->list.section);
    bool ready = event_ready(event);
    if (!ready)
        waiter_link(&event->list, waiter);
    section_leave(&event->list.section);
    return !ready;
}
