/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/harness.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hwloc.h>

#include "sched/topology.h"

static struct topology load(const char *machine, int workers, int bind)
{
    struct topology topology = {0};
    struct config config = {.workers = workers, .bind = bind};
    CHECK_EQUAL(topology_load(&topology, &config, machine), 0);
    return topology;
}

/* The victims of a worker as "1 2|3 4": rings split by bars. */
static const char *victims(const struct topology *topology, int worker)
{
    static char text[4096];
    const struct topology_worker *w = &topology->worker[worker];
    size_t at = 0;
    int ring = 0;
    for (int i = 0; i < w->victim_count; i++) {
        const char *before = i == 0 ? "" : " ";
        if (ring < w->rings && i == w->ring_end[ring]) {
            before = "|";
            ring++;
        }
        at += (size_t)snprintf(
            text + at, sizeof(text) - at, "%s%d", before, w->victims[i]);
    }
    text[at] = '\0';
    return text;
}

/* The CPUs a worker is pinned to, as "0,1"; "-" when it is not. */
static const char *pinned_to(const struct topology *topology, int worker)
{
    static char text[256];
    const cpu_set_t *set = topology->worker[worker].bind;
    size_t at = 0;
    if (set == NULL)
        return "-";
    for (size_t cpu = 0; cpu < topology->set_size * 8; cpu++) {
        if (CPU_ISSET_S(cpu, topology->set_size, set))
            at += (size_t)snprintf(
                text + at, sizeof(text) - at, "%s%zu", at == 0 ? "" : ",", cpu);
    }
    return text;
}

/* Every worker has every other one once, and the rings end where the victims do. */
static void check_victims(const struct topology *topology)
{
    for (int self = 0; self < topology->workers; self++) {
        const struct topology_worker *w = &topology->worker[self];
        bool seen[256] = {false};
        int last = 0;
        CHECK_EQUAL(w->victim_count, topology->workers - 1);
        for (int i = 0; i < w->victim_count; i++) {
            int victim = w->victims[i];
            if (!CHECK(victim >= 0 && victim < topology->workers && victim != self))
                return;
            CHECK(!seen[victim]);
            seen[victim] = true;
        }
        for (int ring = 0; ring < w->rings; ring++) {
            CHECK(w->ring_end[ring] > last);
            last = w->ring_end[ring];
        }
        CHECK_EQUAL(last, w->victim_count);
    }
}

static void one_worker_for_every_pu(void)
{
    struct topology t = load("numa:2 core:4 pu:2", 0, GROVE_BIND_AUTO);
    CHECK_EQUAL(t.workers, 16);
    check_victims(&t);
    topology_free(&t);
}

static void first_pus_of_all_cores_come_first(void)
{
    struct topology t = load("numa:2 core:2 pu:2", 0, GROVE_BIND_PU);
    static const int pu[] = {0, 2, 4, 6, 1, 3, 5, 7};
    static const int core[] = {0, 1, 2, 3, 0, 1, 2, 3};
    static const int node[] = {0, 0, 1, 1, 0, 0, 1, 1};
    for (int i = 0; i < 8; i++) {
        CHECK_EQUAL(t.worker[i].pu, pu[i]);
        CHECK_EQUAL(t.worker[i].core, core[i]);
        CHECK_EQUAL(t.worker[i].node, node[i]);
    }
    topology_free(&t);
}

static void victims_by_core_node_and_machine(void)
{
    struct topology t = load("numa:2 core:2 pu:2", 0, GROVE_BIND_AUTO);
    CHECK_STRING(victims(&t, 0), "4|1 5|2 3 6 7");
    CHECK_STRING(victims(&t, 4), "0|5 1|6 7 2 3");
    CHECK_STRING(victims(&t, 3), "7|6 2|4 5 0 1");
    check_victims(&t);
    topology_free(&t);
}

static void victims_by_shared_cache(void)
{
    struct topology t = load("pack:1 l3:2 l2:2 core:2 pu:1", 0, GROVE_BIND_AUTO);
    CHECK_STRING(victims(&t, 0), "1|2 3|4 5 6 7");
    CHECK_STRING(victims(&t, 6), "7|4 5|0 1 2 3");
    topology_free(&t);
}

static void flat_machine_has_one_ring(void)
{
    struct topology t = load("core:4 pu:1", 0, GROVE_BIND_AUTO);
    CHECK_STRING(victims(&t, 2), "3 0 1");
    CHECK_EQUAL(t.worker[2].rings, 1);
    topology_free(&t);
}

static void no_cores_shown(void)
{
    struct topology t = load("pack:2 pu:2", 0, GROVE_BIND_CORE);
    CHECK_EQUAL(t.workers, 4);
    CHECK_STRING(pinned_to(&t, 1), "1");
    CHECK_STRING(victims(&t, 0), "1|2 3");
    topology_free(&t);
}

/* A ring of four nodes, 10 to 30 apart, as firmware might describe it. */
static char *ring_of_nodes(void)
{
    hwloc_topology_t hwloc;
    hwloc_obj_t nodes[4];
    hwloc_uint64_t values[16];
    char *xml = NULL;
    int length;
    hwloc_topology_init(&hwloc);
    hwloc_topology_set_synthetic(hwloc, "pack:4 [numa] core:1 pu:1");
    hwloc_topology_load(hwloc);
    for (int i = 0; i < 4; i++) {
        nodes[i] = hwloc_get_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, (unsigned)i);
        for (int j = 0; j < 4; j++) {
            int steps = abs(i - j);
            values[4 * i + j] = 10 + 10 * (hwloc_uint64_t)(steps == 3 ? 1 : steps);
        }
    }
    hwloc_distances_add_handle_t handle =
        hwloc_distances_add_create(hwloc, "NUMALatency",
            HWLOC_DISTANCES_KIND_FROM_OS | HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0);
    hwloc_distances_add_values(hwloc, handle, 4, nodes, values, 0);
    hwloc_distances_add_commit(hwloc, handle, 0);
    hwloc_topology_export_xmlbuffer(hwloc, &xml, &length, 0);
    char *copy = strdup(xml);
    hwloc_free_xmlbuffer(hwloc, xml);
    hwloc_topology_destroy(hwloc);
    return copy;
}

static void victims_by_distance_between_nodes(void)
{
    char *xml = ring_of_nodes();
    struct topology t = load(xml, 0, GROVE_BIND_AUTO);
    CHECK_STRING(victims(&t, 0), "1 3|2");
    CHECK_STRING(victims(&t, 1), "2 0|3");
    CHECK_STRING(victims(&t, 3), "0 2|1");
    topology_free(&t);
    free(xml);
}

static void core_binding_takes_every_pu_of_the_core(void)
{
    struct topology t = load("core:2 pu:2", 0, GROVE_BIND_CORE);
    CHECK_STRING(pinned_to(&t, 0), "0,1");
    CHECK_STRING(pinned_to(&t, 1), "2,3");
    CHECK_STRING(pinned_to(&t, 2), "0,1");
    topology_free(&t);
}

static void pu_binding_takes_one(void)
{
    struct topology t = load("core:2 pu:2", 0, GROVE_BIND_PU);
    CHECK_STRING(pinned_to(&t, 0), "0");
    CHECK_STRING(pinned_to(&t, 1), "2");
    CHECK_STRING(pinned_to(&t, 2), "1");
    topology_free(&t);
}

static void no_binding_has_no_places(void)
{
    struct topology t = load("numa:2 core:2 pu:1", 0, GROVE_BIND_NONE);
    CHECK_EQUAL(t.workers, 4);
    for (int i = 0; i < 4; i++) {
        CHECK_STRING(pinned_to(&t, i), "-");
        CHECK_EQUAL(t.worker[i].pu, -1);
        CHECK_EQUAL(t.worker[i].core, -1);
        CHECK_EQUAL(t.worker[i].node, -1);
    }
    CHECK_STRING(victims(&t, 1), "2 3 0");
    topology_free(&t);
}

static void auto_binding_pins_when_workers_cover_all_pus(void)
{
    struct topology t = load("core:4 pu:2", 0, GROVE_BIND_AUTO);
    CHECK_STRING(pinned_to(&t, 0), "0,1");
    topology_free(&t);
    t = load("core:4 pu:2", 7, GROVE_BIND_AUTO);
    for (int i = 0; i < 7; i++)
        CHECK_STRING(pinned_to(&t, i), "-");
    topology_free(&t);
    t = load("core:4 pu:2", 7, GROVE_BIND_CORE);
    CHECK_STRING(pinned_to(&t, 6), "4,5");
    topology_free(&t);
}

static void fewer_workers_take_a_core_each(void)
{
    struct topology t = load("numa:2 core:2 pu:2", 3, GROVE_BIND_PU);
    CHECK_EQUAL(t.workers, 3);
    CHECK_STRING(pinned_to(&t, 0), "0");
    CHECK_STRING(pinned_to(&t, 1), "2");
    CHECK_STRING(pinned_to(&t, 2), "4");
    CHECK_STRING(victims(&t, 0), "1|2");
    topology_free(&t);
}

static void surplus_workers_are_not_pinned(void)
{
    struct topology t = load("core:2 pu:1", 5, GROVE_BIND_PU);
    CHECK_EQUAL(t.workers, 5);
    CHECK_STRING(pinned_to(&t, 1), "1");
    CHECK_STRING(pinned_to(&t, 2), "-");
    CHECK_EQUAL(t.worker[2].pu, -1);
    CHECK_STRING(victims(&t, 0), "2 4|1 3");
    check_victims(&t);
    topology_free(&t);
}

static void one_worker_has_no_victims(void)
{
    struct topology t = load("core:2 pu:2", 1, GROVE_BIND_CORE);
    CHECK_EQUAL(t.worker[0].victim_count, 0);
    CHECK_EQUAL(t.worker[0].rings, 0);
    topology_free(&t);
}

static void no_more_than_256_workers(void)
{
    struct topology t = load("numa:4 core:64 pu:2", 0, GROVE_BIND_PU);
    CHECK_EQUAL(t.workers, 256);
    check_victims(&t);
    CHECK_STRING(pinned_to(&t, 255), "510");
    topology_free(&t);
}

static void cpus_past_1024(void)
{
    struct topology t = load("core:1100 pu:1", 256, GROVE_BIND_PU);
    CHECK(CPU_ISSET_S(1099, t.set_size, t.allowed));
    CHECK_EQUAL(CPU_COUNT_S(t.set_size, t.allowed), 1100);
    CHECK_STRING(pinned_to(&t, 255), "255");
    topology_free(&t);
}

/* A directory whose control group grants `cpus`; removed by remove_quota. */
static char quota_root[] = "/tmp/test_topology.XXXXXX";
static const char *const quota_directories[] = {"/proc", "/proc/self", "/cg"};
static const char *const quota_files[][2] = {
    {"/proc/self/cgroup", "0::/\n"},
    {"/proc/self/mountinfo", "3 2 0:2 / /cg rw - cgroup2 cgroup2 rw\n"},
    {"/cg/cpu.max", "250000 100000\n"},
};

static void make_quota(void)
{
    char path[256];
    memcpy(quota_root + sizeof(quota_root) - 7, "XXXXXX", 6);
    CHECK(mkdtemp(quota_root) != NULL);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", quota_root, quota_directories[i]);
        CHECK_EQUAL(mkdir(path, 0700), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", quota_root, quota_files[i][0]);
        FILE *file = fopen(path, "w");
        if (!CHECK(file != NULL))
            return;
        fputs(quota_files[i][1], file);
        fclose(file);
    }
}

static void remove_quota(void)
{
    char path[256];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", quota_root, quota_files[i][0]);
        remove(path);
    }
    for (size_t i = 3; i-- > 0;) {
        snprintf(path, sizeof(path), "%s%s", quota_root, quota_directories[i]);
        remove(path);
    }
    remove(quota_root);
}

static struct topology load_limited(const char *machine, int workers)
{
    struct topology topology = {0};
    struct config config = {.workers = workers, .bind = GROVE_BIND_AUTO};
    CHECK_EQUAL(topology_load_limited(&topology, &config, machine, quota_root), 0);
    return topology;
}

static void quota_caps_the_workers(void)
{
    make_quota();
    struct topology t = load_limited("core:8 pu:1", 0);
    CHECK_EQUAL(t.workers, 3);
    CHECK_STRING(pinned_to(&t, 0), "-");
    topology_free(&t);
    t = load_limited("core:2 pu:1", 0);
    CHECK_EQUAL(t.workers, 2);
    topology_free(&t);
    t = load_limited("core:8 pu:1", 6);
    CHECK_EQUAL(t.workers, 6);
    topology_free(&t);
    remove_quota();
}

static void bad_description_is_refused(void)
{
    static const char *const bad[] = {"", "core:", "core:0", "nonsense:4", "<xml/>"};
    struct config config = {.bind = GROVE_BIND_AUTO};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct topology t = {.workers = 99};
        errno = 0;
        if (!CHECK_EQUAL(topology_load(&t, &config, bad[i]), -1))
            printf("description: %s\n", bad[i]);
        CHECK_EQUAL(errno, EINVAL);
        CHECK_EQUAL(t.workers, 99);
    }
}

static int allowed_here(void)
{
    cpu_set_t set;
    CHECK_EQUAL(sched_getaffinity(0, sizeof(set), &set), 0);
    return CPU_COUNT(&set);
}

static void this_machine(void)
{
    struct topology t = load(NULL, 0, GROVE_BIND_PU);
    CHECK(t.workers >= 1);
    CHECK(t.workers <= allowed_here());
    CHECK_EQUAL(CPU_COUNT_S(t.set_size, t.allowed), allowed_here());
    for (int i = 0; i < t.workers; i++)
        CHECK(CPU_ISSET_S((size_t)t.worker[i].pu, t.set_size, t.allowed));
    check_victims(&t);
    topology_free(&t);
}

static void affinity_limits_workers_and_places(void)
{
    cpu_set_t before, last;
    CHECK_EQUAL(sched_getaffinity(0, sizeof(before), &before), 0);
    int cpu = CPU_SETSIZE - 1;
    while (!CPU_ISSET(cpu, &before))
        cpu--;
    CPU_ZERO(&last);
    CPU_SET(cpu, &last);
    CHECK_EQUAL(sched_setaffinity(0, sizeof(last), &last), 0);
    struct topology t = load(NULL, 0, GROVE_BIND_CORE);
    CHECK_EQUAL(t.workers, 1);
    CHECK_EQUAL(t.worker[0].pu, cpu);
    CHECK_EQUAL(CPU_COUNT_S(t.set_size, t.worker[0].bind), 1);
    topology_free(&t);
    CHECK_EQUAL(sched_setaffinity(0, sizeof(before), &before), 0);
}

static void loading_leaves_the_binding_alone(void)
{
    cpu_set_t before, after;
    CHECK_EQUAL(sched_getaffinity(0, sizeof(before), &before), 0);
    struct topology t = load(NULL, 0, GROVE_BIND_PU);
    CHECK_EQUAL(sched_getaffinity(0, sizeof(after), &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
    topology_free(&t);
}

static void bind_and_unbind(void)
{
    cpu_set_t before, bound, after;
    CHECK_EQUAL(sched_getaffinity(0, sizeof(before), &before), 0);
    struct topology t = load(NULL, 0, GROVE_BIND_PU);
    int last = t.workers - 1;
    CHECK_EQUAL(topology_bind(&t, last), 0);
    CHECK_EQUAL(sched_getaffinity(0, sizeof(bound), &bound), 0);
    CHECK_EQUAL(CPU_COUNT(&bound), 1);
    CHECK(CPU_ISSET(t.worker[last].pu, &bound));
    CHECK_EQUAL(topology_unbind(&t), 0);
    CHECK_EQUAL(sched_getaffinity(0, sizeof(after), &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
    topology_free(&t);
}

static void unpinned_worker_is_not_bound(void)
{
    cpu_set_t before, after;
    CHECK_EQUAL(sched_getaffinity(0, sizeof(before), &before), 0);
    struct topology t = load(NULL, 2, GROVE_BIND_NONE);
    CHECK_EQUAL(topology_bind(&t, 1), 0);
    CHECK_EQUAL(topology_unbind(&t), 0);
    CHECK_EQUAL(sched_getaffinity(0, sizeof(after), &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
    topology_free(&t);
}

static void bind_to_a_missing_cpu_fails(void)
{
    struct topology t = load("core:512 pu:1", 256, GROVE_BIND_PU);
    CPU_ZERO_S(t.set_size, t.worker[0].bind);
    errno = 0;
    CHECK_EQUAL(topology_bind(&t, 0), -1);
    CHECK_EQUAL(errno, EINVAL);
    topology_free(&t);
}

static void free_of_a_zeroed_struct(void)
{
    struct topology t = {0};
    topology_free(&t);
    topology_free(&t);
    CHECK(t.worker == NULL);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__clang__)
/*
 * Allocations of this program itself, told from those inside hwloc and the C library by
 * where the call comes from: hwloc does not survive a failing one. The sanitizers bring
 * their own allocator.
 */
#define INJECTS 1

extern char __executable_start, etext;
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
static int countdown; /* allocations until one fails; 0: none does */

static bool must_fail(void *caller)
{
    bool ours = (char *)caller >= &__executable_start && (char *)caller < &etext;
    return ours && countdown > 0 && --countdown == 0;
}

void *malloc(size_t size)
{
    if (!must_fail(__builtin_return_address(0)))
        return __libc_malloc(size);
    errno = ENOMEM;
    return NULL;
}

void *calloc(size_t count, size_t size)
{
    if (!must_fail(__builtin_return_address(0)))
        return __libc_calloc(count, size);
    errno = ENOMEM;
    return NULL;
}

/* Fails each allocation in turn until a load gets by without; returns how many failed.
 */
static int fail_each_allocation(const char *machine, int bind)
{
    struct config config = {.bind = bind};
    for (int failed = 0;; failed++) {
        struct topology t = {.workers = 99};
        countdown = failed + 1;
        errno = 0;
        int result = topology_load_limited(&t, &config, machine, "");
        bool injected = countdown == 0;
        countdown = 0;
        if (!injected) {
            CHECK_EQUAL(result, 0);
            topology_free(&t);
            return failed;
        }
        CHECK_EQUAL(result, -1);
        CHECK_EQUAL(errno, ENOMEM);
        CHECK_EQUAL(t.workers, 99);
    }
}

static void allocation_failures_are_reported(void)
{
    CHECK(fail_each_allocation(NULL, GROVE_BIND_NONE) >= 5);
    CHECK(fail_each_allocation(NULL, GROVE_BIND_PU) >= 7);
    CHECK(fail_each_allocation("numa:2 core:2 pu:2", GROVE_BIND_PU) >= 7);
}
#endif

int main(void)
{
    static const struct harness_test tests[] = {
        {"one worker for every PU", one_worker_for_every_pu},
        {"the first PUs of all cores come first", first_pus_of_all_cores_come_first},
        {"victims by core, node, machine", victims_by_core_node_and_machine},
        {"victims by shared cache", victims_by_shared_cache},
        {"a flat machine has one ring", flat_machine_has_one_ring},
        {"no cores shown", no_cores_shown},
        {"victims by distance between nodes", victims_by_distance_between_nodes},
        {"core binding takes every PU of the core",
            core_binding_takes_every_pu_of_the_core},
        {"PU binding takes one", pu_binding_takes_one},
        {"no binding has no places", no_binding_has_no_places},
        {"auto binding pins when workers cover all PUs",
            auto_binding_pins_when_workers_cover_all_pus},
        {"fewer workers take a core each", fewer_workers_take_a_core_each},
        {"surplus workers are not pinned", surplus_workers_are_not_pinned},
        {"one worker has no victims", one_worker_has_no_victims},
        {"no more than 256 workers", no_more_than_256_workers},
        {"CPUs past 1024", cpus_past_1024},
        {"a quota caps the workers", quota_caps_the_workers},
        {"a bad description is refused", bad_description_is_refused},
        {"this machine", this_machine},
        {"affinity limits workers and places", affinity_limits_workers_and_places},
        {"loading leaves the binding alone", loading_leaves_the_binding_alone},
        {"bind and unbind", bind_and_unbind},
        {"an unpinned worker is not bound", unpinned_worker_is_not_bound},
        {"binding to a missing CPU fails", bind_to_a_missing_cpu_fails},
        {"free of a zeroed struct", free_of_a_zeroed_struct},
#ifdef INJECTS
        {"allocation failures are reported", allocation_failures_are_reported},
#endif
    };
    return harness_main("topology", tests, sizeof(tests) / sizeof(tests[0]));
}
