/* SPDX-License-Identifier: MIT */
#include "sched/kill_all.h"

#include <errno.h>

#include "sched/record.h"
#include "sched/reference.h"

/*
 * A reference to a record that may be ended and freed at any moment: only if it has one
 * already, as the word is type-stable. What it then holds may be another greenlet than
 * was looked at before, which doesn't matter to who wants all of them.
 */
static bool try_retain(struct grove *greenlet)
{
    uint32_t state = atomic_load_explicit(&greenlet->state, memory_order_relaxed);

    do {
        if (state < GREENLET_REFERENCE || (state & GREENLET_DONE))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&greenlet->state, &state,
        state + GREENLET_REFERENCE, memory_order_acquire, memory_order_relaxed));
    return true;
}

static bool wanted(struct grove *greenlet, struct worker *owner)
{
    return greenlet->function && greenlet != worker_self->current &&
           (!owner ||
               atomic_load_explicit(&greenlet->owner, memory_order_relaxed) == owner);
}

/* One round over all records; counts those that lived. */
static int round_over_all(struct worker *owner, nanoseconds deadline, size_t *lived)
{
    struct grove *greenlet;

    for (size_t i = 0; (greenlet = record_at(i)); i++) {
        if (!wanted(greenlet, owner) || !try_retain(greenlet))
            continue;
        if (!wanted(greenlet, owner)) {
            greenlet_release(greenlet);
            continue;
        }
        ++*lived;
        grove_kill(greenlet, 0);
        double left = (double)(deadline - timers_clock()) / 1e9;
        int error = grove_join(greenlet, left > 0 ? left : 0) == 0 ? 0 : errno;
        greenlet_release(greenlet);
        if (error)
            return error;
    }
    return 0;
}

int kill_all(struct worker *owner, double seconds)
{
    nanoseconds deadline = seconds < 0 ? TIMERS_NEVER : timers_deadline(seconds);
    struct grove *greenlet;
    size_t lived;
    int error;

    /* Ask all before waiting for any: they may wait for each other. */
    for (size_t i = 0; (greenlet = record_at(i)); i++) {
        if (!wanted(greenlet, owner) || !try_retain(greenlet))
            continue;
        if (wanted(greenlet, owner))
            grove_kill(greenlet, 0);
        greenlet_release(greenlet);
    }
    do {
        lived = 0;
        error = round_over_all(owner, deadline, &lived);
    } while (error == 0 && lived > 0);
    return error;
}
