/* SPDX-License-Identifier: MIT */
#include "sched/extra.h"

#include <stdlib.h>

struct extra *extra_demand(struct grove *greenlet)
{
    struct extra *extra = extra_of(greenlet);

    if (extra)
        return extra;
    struct extra *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->greenlet = greenlet;
    if (atomic_compare_exchange_strong_explicit(
            &greenlet->extra, &extra, made, memory_order_acq_rel, memory_order_acquire))
        return made;
    free(made); /* another thread was first */
    return extra;
}

void extra_free(struct extra *extra)
{
    if (!extra)
        return;
    free(atomic_load_explicit(&extra->name, memory_order_relaxed));
    free(extra->error_text);
    free(extra);
}
