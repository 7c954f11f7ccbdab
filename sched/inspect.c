/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
/* What can be asked of a greenlet, and references. */
#include <stdio.h>
#include <stdlib.h>

#include "sched/extra.h"
#include "sched/reference.h"
#include "sched/worker.h"

bool grove_started(const grove_t *g)
{
    return atomic_load_explicit(&g->owner, memory_order_acquire) != NULL &&
           !greenlet_done(g);
}

bool grove_ready(const grove_t *g)
{
    return greenlet_done(g);
}

bool grove_successful(const grove_t *g)
{
    return greenlet_done(g) && g->error == 0;
}

void *grove_value(const grove_t *g)
{
    return grove_successful(g) ? g->value : NULL;
}

int grove_error(const grove_t *g)
{
    return greenlet_done(g) ? g->error : 0;
}

const char *grove_error_text(const grove_t *g)
{
    const struct extra *extra = greenlet_done(g) ? extra_of(g) : NULL;
    const char *text = extra ? extra->error_text : NULL;

    return text ? text : "";
}

grove_t *grove_current(void)
{
    return worker_self ? worker_self->current : NULL;
}

uint64_t grove_id(const grove_t *g)
{
    return g->id;
}

/* Made when first asked for: formatting a name costs more than a greenlet. */
const char *grove_name(const grove_t *g)
{
    char *name = extra_name(g);
    char *made;

    if (name)
        return name;
    struct extra *extra = extra_demand((struct grove *)g);
    if (!extra || asprintf(&made, "greenlet-%llu", (unsigned long long)g->id) < 0)
        return "greenlet";
    if (atomic_compare_exchange_strong_explicit(
            &extra->name, &name, made, memory_order_acq_rel, memory_order_acquire))
        return made;
    free(made); /* another thread was first */
    return name;
}

grove_t *grove_retain(grove_t *g)
{
    greenlet_retain(g);
    return g;
}

void grove_release(grove_t *g)
{
    if (g)
        greenlet_release(g);
}
