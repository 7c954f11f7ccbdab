/* SPDX-License-Identifier: MIT */
#ifndef SCHED_MACHINE_H
#define SCHED_MACHINE_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

#include <hwloc.h>

/*
 * What hwloc says about the machine, as far as sched/topology.c needs it; loaded for
 * the time of making a topology. One thread only.
 */

/* One allowed hardware thread (PU). */
struct place {
    hwloc_obj_t pu;
    int core;    /* logical index of its core */
    int sibling; /* how many allowed PUs of the same core come before it */
};

struct machine {
    hwloc_topology_t hwloc;
    struct hwloc_distances_s *distances; /* between NUMA nodes; NULL: not known */
    struct place *places;                /* in the order workers take them */
    int count;
};

/* How far apart two places are: the deeper, then the smaller distance, is the nearer.
 */
struct separation {
    int depth;         /* of the nearest object that holds both */
    uint64_t distance; /* between their NUMA nodes; 0: the same, or not known */
};

/*
 * Loads this machine (`synthetic` NULL) as far as the PUs in `allowed`, or another one
 * by its description with all of its PUs (`allowed` NULL). 0, or -1 with *out
 * untouched: ENOMEM, EINVAL for a bad description, or what hwloc failed with.
 */
int machine_load(struct machine *out, const char *synthetic, const cpu_set_t *allowed,
    size_t set_size);

/* Frees it; a zeroed struct is fine. */
void machine_drop(struct machine *machine);

/* All places as a set for CPU_FREE, of *size bytes; NULL: ENOMEM. */
cpu_set_t *machine_cpus(const struct machine *machine, size_t *size);

/* OS index of the NUMA node of a place; -1: none. */
int machine_node(const struct place *place);

struct separation machine_separation(
    const struct machine *machine, const struct place *a, const struct place *b);

#endif
