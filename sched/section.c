/* SPDX-License-Identifier: MIT */
#include "sched/section.h"

#include <sched.h>

#include "sched/spin.h"

/*
 * Who finds the section taken stays away for half a microsecond: fifty times as long as
 * most are inside. Two workers that use an object in tight loops would otherwise take
 * turns at every operation, which moves the object's cache lines each time (130 ns an
 * item of a queue); so one of them gets a run of operations instead (40 ns).
 */
enum { PAUSES = 32, ROUNDS_BEFORE_YIELD = 16 };

void section_lock_contended(struct section *section)
{
    int rounds = 0;

    do {
        do {
            /* Its holder was evidently descheduled inside. */
            if (++rounds > ROUNDS_BEFORE_YIELD)
                sched_yield();
            for (int i = 0; i < PAUSES; i++)
                cpu_relax();
        } while (atomic_load_explicit(&section->lock, memory_order_relaxed) != 0);
    } while (atomic_exchange_explicit(&section->lock, 1, memory_order_acquire) != 0);
}

/* Called under the section's lock, so that one revoker works at a time. */
static void section_revoke(struct section *section, uint32_t bias)
{
    struct spin spin = {0};
    struct worker *owner = worker_of_bias(bias);

    atomic_store_explicit(&section->bias, SECTION_SHARED, memory_order_relaxed);
    barrier_heavy(); /* pairs with barrier_light in section_enter */
    while (atomic_load_explicit(&owner->in_section, memory_order_acquire) == section)
        spin_once(&spin);
}

void section_enter_slow(struct section *section, struct worker *worker)
{
    uint32_t bias = 0;

    /* A worker that claims a fresh section is inside at once: in_section is set
     * already, and a revoker that finds the new bias waits for it. */
    if (worker && worker->bias != WORKER_UNBIASED &&
        atomic_compare_exchange_strong_explicit(&section->bias, &bias, worker->bias,
            memory_order_seq_cst, memory_order_relaxed))
        return;
    if (worker)
        atomic_store_explicit(&worker->in_section, NULL, memory_order_release);
    section_lock(section);
    bias = atomic_load_explicit(&section->bias, memory_order_relaxed);
    if (bias == 0 && atomic_compare_exchange_strong_explicit(&section->bias, &bias,
                         SECTION_SHARED, memory_order_seq_cst, memory_order_relaxed))
        return;
    if (bias != SECTION_SHARED)
        section_revoke(section, bias);
}
