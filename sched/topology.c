/* SPDX-License-Identifier: MIT */

/*
 * hwloc is loaded only when somebody is to be pinned, asked once, and dropped: what the
 * workers need later is a few numbers each, and a loaded topology of a small machine
 * takes more memory than all of them.
 *
 * The affinity mask comes from sched_getaffinity of the main thread rather than from
 * hwloc's RESTRICT_TO_CPUBINDING. That flag asks every thread of the process and takes
 * the union, and it is of no use where hwloc is not loaded at all: two sources could
 * give two worker counts. Calling from a thread that the program has pinned for itself
 * must not shrink the runtime to one worker either.
 */
#define _GNU_SOURCE
#include "sched/topology.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "sched/cgroup.h"
#include "sched/machine.h"

/* The main thread's affinity mask; NULL: ENOMEM. */
static cpu_set_t *read_affinity(size_t *size)
{
    for (int cpus = 1024;; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (set == NULL)
            return NULL;
        *size = CPU_ALLOC_SIZE(cpus);
        CPU_ZERO_S(*size, set);
        if (sched_getaffinity(getpid(), *size, set) == 0)
            return set;
        /* EINVAL: the kernel's masks are longer. Anything else (a sandbox, say):
         * all CPUs, as the C library counts them. */
        if (errno != EINVAL || cpus >= 1 << 20) {
            long online = sysconf(_SC_NPROCESSORS_ONLN);
            for (long cpu = 0; cpu < online || cpu == 0; cpu++)
                CPU_SET_S((size_t)cpu, *size, set);
            return set;
        }
        CPU_FREE(set);
    }
}

/* Below, at or above 0: a is nearer than b, as near, further. */
static int compare_separation(const struct separation *a, const struct separation *b)
{
    if (a->depth != b->depth)
        return a->depth > b->depth ? -1 : 1;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    return 0;
}

static const struct place *place_of(const struct machine *machine, int worker)
{
    return &machine->places[worker % machine->count];
}

/* The nearest that is further than `after` (NULL: the nearest of all). */
static const struct separation *nearest_after(
    const struct separation *apart, int count, const struct separation *after)
{
    const struct separation *nearest = NULL;
    for (int i = 0; i < count; i++) {
        if ((after == NULL || compare_separation(&apart[i], after) > 0) &&
            (nearest == NULL || compare_separation(&apart[i], nearest) < 0))
            nearest = &apart[i];
    }
    return nearest;
}

/*
 * Lists the victims ring by ring: a machine has few distances, so a pass over all
 * others for each is quicker than sorting them. `machine`: NULL when no worker has a
 * place. `apart`: zeroed scratch for all others, in the order of the worker numbers
 * from self.
 */
static void set_victims(struct topology *topology, int self,
    const struct machine *machine, struct separation *apart)
{
    struct topology_worker *worker = &topology->worker[self];
    int others = topology->workers - 1, listed = 0;
    for (int i = 0; i < others && machine != NULL; i++)
        apart[i] = machine_separation(machine, place_of(machine, self),
            place_of(machine, (self + 1 + i) % topology->workers));

    worker->victims = topology->numbers + (size_t)self * 2 * (size_t)others;
    worker->ring_end = worker->victims + others;
    worker->victim_count = others;
    const struct separation *ring = NULL;
    while ((ring = nearest_after(apart, others, ring)) != NULL) {
        for (int i = 0; i < others; i++) {
            if (compare_separation(&apart[i], ring) == 0)
                worker->victims[listed++] = (self + 1 + i) % topology->workers;
        }
        worker->ring_end[worker->rings++] = listed;
    }
}

static void set_place(
    struct topology *topology, int self, const struct machine *machine, int bind)
{
    struct topology_worker *worker = &topology->worker[self];
    worker->pu = worker->core = worker->node = -1;
    if (machine == NULL || self >= machine->count)
        return;
    const struct place *place = place_of(machine, self);
    worker->pu = (int)place->pu->os_index;
    worker->core = place->core;
    worker->node = machine_node(place);
    worker->bind =
        (cpu_set_t *)((char *)topology->sets + (size_t)self * topology->set_size);
    for (int i = 0; i < machine->count; i++) {
        const struct place *other = &machine->places[i];
        if (other == place || (bind != GROVE_BIND_PU && other->core == place->core))
            CPU_SET_S(other->pu->os_index, topology->set_size, worker->bind);
    }
}

/* Allocates and fills the tables; on failure none of them stays allocated. */
static int build(struct topology *topology, const struct machine *machine, int bind)
{
    size_t workers = (size_t)topology->workers;
    struct separation *scratch = calloc(workers, sizeof(*scratch));
    topology->worker = calloc(workers, sizeof(*topology->worker));
    topology->numbers = calloc(workers * workers, 2 * sizeof(int));
    if (machine != NULL)
        topology->sets = calloc(workers, topology->set_size);
    if (scratch == NULL || topology->worker == NULL || topology->numbers == NULL ||
        (machine != NULL && topology->sets == NULL)) {
        free(topology->sets);
        free(topology->numbers);
        free(topology->worker);
        free(scratch);
        return -1;
    }
    for (int i = 0; i < topology->workers; i++) {
        set_place(topology, i, machine, bind);
        set_victims(topology, i, machine, scratch);
    }
    free(scratch);
    return 0;
}

/* How many workers config and quota make of `cpus` allowed PUs; -1: ENOMEM. */
static int worker_count(const struct config *config, int cpus, const char *root)
{
    if (config->workers > 0)
        return config->workers;
    int limit = root != NULL ? cgroup_cpu_limit(root) : 0;
    if (limit < 0)
        return -1;
    int workers = limit > 0 && limit < cpus ? limit : cpus;
    return workers < TOPOLOGY_MOST_WORKERS ? workers : TOPOLOGY_MOST_WORKERS;
}

static bool is_pinned(const struct config *config, int workers, int cpus)
{
    if (config->bind == GROVE_BIND_NONE)
        return false;
    /* With one CPU to run on there is nothing left to choose. */
    if (config->bind == GROVE_BIND_AUTO)
        return workers >= cpus && cpus > 1;
    return true;
}

/* This machine: hwloc is loaded only if there is somebody to pin. */
static int load_this(
    struct topology *topology, const struct config *config, const char *root)
{
    topology->allowed = read_affinity(&topology->set_size);
    if (topology->allowed == NULL)
        return -1;
    int cpus = CPU_COUNT_S(topology->set_size, topology->allowed);
    topology->workers = worker_count(config, cpus, root);
    if (topology->workers < 0)
        return -1;
    struct machine machine = {0};
    if (is_pinned(config, topology->workers, cpus) &&
        machine_load(&machine, NULL, topology->allowed, topology->set_size) != 0 &&
        errno == ENOMEM)
        return -1;
    int result = build(topology, machine.count > 0 ? &machine : NULL, config->bind);
    machine_drop(&machine);
    if (result != 0)
        errno = ENOMEM;
    return result;
}

static int load_synthetic(struct topology *topology, const struct config *config,
    const char *synthetic, const char *root)
{
    struct machine machine;
    if (machine_load(&machine, synthetic, NULL, 0) != 0)
        return -1;
    int result = -1;
    topology->allowed = machine_cpus(&machine, &topology->set_size);
    topology->workers = worker_count(config, machine.count, root);
    if (topology->allowed != NULL && topology->workers > 0) {
        bool pinned = is_pinned(config, topology->workers, machine.count);
        result = build(topology, pinned ? &machine : NULL, config->bind);
    }
    machine_drop(&machine);
    if (result != 0)
        errno = ENOMEM;
    return result;
}

int topology_load_limited(struct topology *out, const struct config *config,
    const char *synthetic, const char *root)
{
    struct topology topology = {0};
    int result = synthetic == NULL ? load_this(&topology, config, root)
                                   : load_synthetic(&topology, config, synthetic, root);
    if (result != 0) {
        int error = errno;
        CPU_FREE(topology.allowed);
        errno = error;
        return -1;
    }
    *out = topology;
    return 0;
}

int topology_load(
    struct topology *out, const struct config *config, const char *synthetic)
{
    return topology_load_limited(out, config, synthetic, synthetic == NULL ? "" : NULL);
}

int topology_bind(const struct topology *topology, int worker)
{
    const cpu_set_t *bind = topology->worker[worker].bind;
    return bind != NULL ? sched_setaffinity(0, topology->set_size, bind) : 0;
}

int topology_unbind(const struct topology *topology)
{
    if (topology->sets == NULL)
        return 0;
    return sched_setaffinity(0, topology->set_size, topology->allowed);
}

void topology_free(struct topology *topology)
{
    free(topology->sets);
    free(topology->numbers);
    free(topology->worker);
    CPU_FREE(topology->allowed);
    *topology = (struct topology){0};
}
