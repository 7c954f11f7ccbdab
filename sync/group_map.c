/* SPDX-License-Identifier: MIT */
/* Mapping: all results at once, in the order of the items. */
#include <grove/iter.h>

#include <stdlib.h>

#include "sched/reference.h"
#include "sched/spawn.h"
#include "sync/tasks.h"

struct map {
    struct tasks tasks; /* first: found through it */
    void **out;
    size_t failed; /* the first failed item; n: none. As error, under the section */
    int error;
};

static struct waiter *finish(struct tasks *tasks, size_t item, void *value, int error)
{
    struct map *map = (struct map *)tasks;

    if (map->out)
        map->out[item] = value;
    if (UNLIKELY(error != 0) && item < map->failed) {
        map->failed = item;
        map->error = error;
    }
    return NULL;
}

static int map_over(
    struct grove_group *group, grove_fn fn, void **in, void **out, size_t n)
{
    struct map map = {.out = out, .failed = n};
    int error = blocking_begin(GROVE_FOREVER);

    if (error)
        return error;
    tasks_init(&map.tasks, group, fn, in, n, finish);
    error = tasks_run(&map.tasks);
    return error ? error : map.error;
}

int grove_group_map(grove_group_t *group, grove_fn fn, void **in, void **out, size_t n)
{
    if (!group || !fn || (n && !in))
        return answer(EINVAL);
    return answer(map_over(group, fn, in, out, n));
}

struct async {
    struct link link; /* on the greenlet */
    struct grove_group *group;
    grove_fn fn;
    void **in, **out;
    size_t n;
};

static void *run_async(void *arg)
{
    const struct async *async = arg;
    int error = map_over(async->group, async->fn, async->in, async->out, async->n);

    worker_self->current->error = error;
    return error ? NULL : async->out;
}

/* Also if it never ran. */
static void async_ended(struct grove *g, void *arg)
{
    struct async *async = arg;

    group_release(async->group);
    free(async);
    greenlet_release(g);
}

grove_t *grove_group_map_async(
    grove_group_t *group, grove_fn fn, void **in, void **out, size_t n)
{
    if (!group || !fn || (n && !in)) {
        errno = EINVAL;
        return NULL;
    }
    struct async *async = calloc(1, sizeof *async);
    if (!async)
        return NULL;
    *async = (struct async){
        .link = {.function = async_ended, .arg = async, .borrowed = true},
        .group = group,
        .fn = fn,
        .in = in,
        .out = out,
        .n = n,
    };
    struct grove *g = spawn_prepare(run_async, async, CALL_SITE, &async->link.waiter);
    if (!g) {
        free(async);
        return NULL;
    }
    group_retain(group);
    spawn_launch(g, tasks_feeder_affinity(group));
    return g;
}
