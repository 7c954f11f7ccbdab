/* SPDX-License-Identifier: MIT */
#ifndef SCHED_TOPOLOGY_H
#define SCHED_TOPOLOGY_H

#include <sched.h>
#include <stddef.h>

#include "sched/config.h"

/* The most workers that are started unasked: the upper limit of GROVE_WORKERS. */
#define TOPOLOGY_MOST_WORKERS 256

/*
 * How many workers there are, where each of them sits and whom it steals from first.
 * Written by topology_load, read-only afterwards: any thread may read it.
 *
 * A worker that is pinned has a place; the numbers of one that is not are all -1. When
 * no worker is pinned, none is nearer than another, so each has a single ring.
 */
struct topology_worker {
    int pu;          /* OS index of its hardware thread */
    int core;        /* index of its core on this machine */
    int node;        /* OS index of its NUMA node; -1 also where there is none */
    cpu_set_t *bind; /* topology.set_size bytes; NULL: not pinned */
    /*
     * Every other worker, nearest first. Ring r is victims[ring_end[r - 1]] up to but
     * not including victims[ring_end[r]], where ring_end[-1] is taken as 0: all at the
     * same distance, from the next higher worker round to the next lower one.
     */
    int victim_count;
    int *victims;
    int *ring_end;
    int rings;
};

struct topology {
    int workers;
    struct topology_worker *worker;
    size_t set_size;    /* bytes of every CPU set here */
    cpu_set_t *allowed; /* CPUs this process might use when the topology was loaded */
    int *numbers;       /* backs victims and ring_end of every worker */
    cpu_set_t *sets;    /* backs bind of every worker; NULL when none is pinned */
};

/*
 * Workers: config->workers, or one for each hardware thread (PU) in the main thread's
 * affinity mask, but no more than the CPU quota allows (sched/cgroup.h). Places: one PU
 * of each core in hwloc's order, then the second PU of each, and so on. Workers beyond
 * the last PU are not pinned, so that the kernel can move them to where there is time;
 * for stealing they count as near to the PU they would share.
 *
 * Pinning: config->bind; GROVE_BIND_AUTO pins to cores if there are as many workers as
 * PUs. With fewer, other processes are meant to use the rest, and two programs that
 * each pin two workers would pin them to the same two cores.
 *
 * `synthetic` describes another machine to take instead of this one (NULL): hwloc's
 * synthetic format ("numa:2 core:4 pu:2") or, beginning with '<', its XML. Affinity and
 * quota of this process then do not count.
 *
 * 0, or -1 with *out untouched: ENOMEM; EINVAL for a description hwloc refuses. A
 * machine that hwloc cannot read is no error: nothing is pinned then. Reads files and
 * may take milliseconds; needs the stack of a plain thread.
 */
int topology_load(
    struct topology *out, const struct config *config, const char *synthetic);

/* The same with the quota read below `root`; NULL: no quota. For tests. */
int topology_load_limited(struct topology *out, const struct config *config,
    const char *synthetic, const char *root);

/*
 * Pins the calling thread as that worker; 0 as well when there is nothing to do. -1
 * with errno: callers go on unpinned. A thread started by a pinned one inherits its
 * binding: threads that are no workers call topology_unbind first.
 */
int topology_bind(const struct topology *topology, int worker);

/*
 * Lets the calling thread run on every allowed CPU again: for helper threads, for
 * worker 0 before it gives its thread back to the program, and in the child of a fork.
 */
int topology_unbind(const struct topology *topology);

/* Frees what topology_load made; a zeroed struct is fine. */
void topology_free(struct topology *topology);

#endif
