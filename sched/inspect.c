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
    const char *text = greenlet_done(g) && g->extra ? g->extra->error_text : NULL;

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
    _Atomic(char *) *slot = &((struct grove *)g)->name;
    char *name = atomic_load_explicit(slot, memory_order_acquire);
    char *made;

    if (name)
        return name;
    if (asprintf(&made, "greenlet-%llu", (unsigned long long)g->id) < 0)
        return "greenlet";
    if (atomic_compare_exchange_strong_explicit(
            slot, &name, made, memory_order_acq_rel, memory_order_acquire))
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
