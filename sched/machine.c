/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sched/machine.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>

void machine_drop(struct machine *machine)
{
    free(machine->places);
    if (machine->distances != NULL)
        hwloc_distances_release(machine->hwloc, machine->distances);
    if (machine->hwloc != NULL)
        hwloc_topology_destroy(machine->hwloc);
    *machine = (struct machine){0};
}

static int describe(hwloc_topology_t hwloc, const char *synthetic)
{
    int result;
    if (synthetic == NULL)
        return hwloc_topology_set_flags(hwloc,
            HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM |
                HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING |
                HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS);
    if (*synthetic == '<')
        result =
            hwloc_topology_set_xmlbuffer(hwloc, synthetic, (int)strlen(synthetic) + 1);
    else
        result = hwloc_topology_set_synthetic(hwloc, synthetic);
    if (result != 0 && errno != ENOMEM)
        errno = EINVAL;
    return result;
}

/* Of all object types only those that say who is near whom; each costs time to find. */
static void keep_what_matters(hwloc_topology_t hwloc)
{
    static const hwloc_obj_type_t structure[] = {HWLOC_OBJ_PACKAGE, HWLOC_OBJ_DIE,
        HWLOC_OBJ_GROUP, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L2CACHE};
    hwloc_topology_set_all_types_filter(hwloc, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(hwloc, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    for (size_t i = 0; i < sizeof(structure) / sizeof(structure[0]); i++)
        hwloc_topology_set_type_filter(
            hwloc, structure[i], HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    /* cpuid instead of /sys: would visit each CPU in turn, and knows no cpuset. */
    hwloc_topology_set_components(
        hwloc, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
}

static void load_distances(struct machine *machine)
{
    unsigned found = 1;
    int result = hwloc_distances_get_by_type(machine->hwloc, HWLOC_OBJ_NUMANODE, &found,
        &machine->distances,
        HWLOC_DISTANCES_KIND_FROM_OS | HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0);
    if (result != 0 || found == 0)
        machine->distances = NULL;
}

/*
 * Lists the allowed PUs, all first PUs of a core before all second ones. Cores are
 * taken in hwloc's order, which fills one package before the next: workers that pass
 * work and messages to each other are better off close together.
 */
static int list_places(struct machine *machine, const cpu_set_t *allowed, size_t size)
{
    int total = hwloc_get_nbobjs_by_type(machine->hwloc, HWLOC_OBJ_PU);
    if (total <= 0) {
        errno = EINVAL;
        return -1;
    }
    struct place *found = calloc((size_t)total, 2 * sizeof(*found));
    if (found == NULL)
        return -1;
    int count = 0, most_siblings = 0;
    for (int i = 0; i < total; i++) {
        hwloc_obj_t pu =
            hwloc_get_obj_by_type(machine->hwloc, HWLOC_OBJ_PU, (unsigned)i);
        if (allowed != NULL && !CPU_ISSET_S(pu->os_index, size, allowed))
            continue;
        /* Some virtual machines show no cores: each PU is one then. */
        hwloc_obj_t core =
            hwloc_get_ancestor_obj_by_type(machine->hwloc, HWLOC_OBJ_CORE, pu);
        struct place *place = &found[count];
        place->pu = pu;
        place->core = (int)(core != NULL ? core : pu)->logical_index;
        if (count > 0 && place[-1].core == place->core)
            place->sibling = place[-1].sibling + 1;
        if (place->sibling > most_siblings)
            most_siblings = place->sibling;
        count++;
    }
    struct place *ordered = found + total;
    int next = 0;
    for (int sibling = 0; sibling <= most_siblings; sibling++) {
        for (int i = 0; i < count; i++) {
            if (found[i].sibling == sibling)
                ordered[next++] = found[i];
        }
    }
    memmove(found, ordered, (size_t)count * sizeof(*found));
    machine->places = found;
    machine->count = count;
    return 0;
}

/*
 * hwloc loads its plugins when the first topology is made, those for graphics cards
 * with X11 and OpenCL behind them: most of the time and memory of a start, for nothing
 * that is asked here. Only the environment can hide them, and only while there is one
 * thread may it be changed; a program that has more already waits those milliseconds.
 */
static int init_without_plugins(hwloc_topology_t *out)
{
    static const char name[] = "HWLOC_PLUGINS_PATH";
    bool hide = __libc_single_threaded && getenv(name) == NULL &&
                setenv(name, "/nonexistent", 1) == 0;
    int result = hwloc_topology_init(out);
    if (hide) {
        int error = errno;
        unsetenv(name);
        errno = error;
    }
    return result;
}

int machine_load(struct machine *out, const char *synthetic, const cpu_set_t *allowed,
    size_t set_size)
{
    struct machine machine = {0};
    if (init_without_plugins(&machine.hwloc) != 0)
        return -1;
    keep_what_matters(machine.hwloc);
    if (describe(machine.hwloc, synthetic) != 0 ||
        hwloc_topology_load(machine.hwloc) != 0 ||
        list_places(&machine, allowed, set_size) != 0) {
        int error = errno;
        machine_drop(&machine);
        errno = error;
        return -1;
    }
    load_distances(&machine);
    *out = machine;
    return 0;
}

cpu_set_t *machine_cpus(const struct machine *machine, size_t *size)
{
    unsigned highest = 0;
    for (int i = 0; i < machine->count; i++) {
        if (machine->places[i].pu->os_index > highest)
            highest = machine->places[i].pu->os_index;
    }
    cpu_set_t *set = CPU_ALLOC(highest + 1);
    if (set == NULL)
        return NULL;
    *size = CPU_ALLOC_SIZE(highest + 1);
    CPU_ZERO_S(*size, set);
    for (int i = 0; i < machine->count; i++)
        CPU_SET_S(machine->places[i].pu->os_index, *size, set);
    return set;
}

int machine_node(const struct place *place)
{
    return hwloc_bitmap_first(place->pu->nodeset);
}

static hwloc_obj_t node_object(const struct machine *machine, const struct place *place)
{
    int node = machine_node(place);
    return node < 0
               ? NULL
               : hwloc_get_numanode_obj_by_os_index(machine->hwloc, (unsigned)node);
}

struct separation machine_separation(
    const struct machine *machine, const struct place *a, const struct place *b)
{
    struct separation result = {
        .depth = hwloc_get_common_ancestor_obj(machine->hwloc, a->pu, b->pu)->depth};
    if (machine->distances == NULL || machine_node(a) == machine_node(b))
        return result;
    hwloc_obj_t from = node_object(machine, a), to = node_object(machine, b);
    hwloc_uint64_t out = 0, back = 0;
    if (from != NULL && to != NULL &&
        hwloc_distances_obj_pair_values(machine->distances, from, to, &out, &back) == 0)
        result.distance = out;
    return result;
}
