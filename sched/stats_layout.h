/* SPDX-License-Identifier: MIT */
#ifndef SCHED_STATS_LAYOUT_H
#define SCHED_STATS_LAYOUT_H

/*
 * Layout of the stats segment: what a process that uses libgrove shows to grove-stat.
 *
 *   stats_header | block of worker 0 .. workers-1 | guest blocks | ended-guests block
 *
 * This is an agreement between one libgrove and the grove-stat of the same version, not
 * a public interface: it depends on nothing else, and a change to any of it raises
 * STATS_LAYOUT_VERSION. The sizes in the header catch a change that forgot to.
 *
 * Every field is a 64-bit word (or a fixed byte string) at its natural alignment, so a
 * word is never seen half written; words may be of slightly different age.
 */

#include <stdint.h>

#define STATS_SEGMENT_NAME "grove-stats"
/* "grovstat" on a little-endian machine; another byte order does not match. */
#define STATS_MAGIC UINT64_C(0x74617473766f7267)
#define STATS_LAYOUT_VERSION 1
#define STATS_WORKERS_MAX 4096
#define STATS_GUESTS 16
/* Two lines: the adjacent-line prefetcher makes neighbours share pairs of lines. */
#define STATS_ALIGNMENT 128

/*
 * The counters of a worker: X(field, kind, unit, column title, meaning).
 *
 * COUNTER only grows; grove-stat also shows it per second. GAUGE is the value now.
 * SPAN is a counter of nanoseconds to which the running span is added by the reader.
 * A field with an empty title has no column and is seen with --json only.
 * The order is that of the columns, and of the fields in memory.
 */
#define STATS_FIELDS(X) \
    X(switches, COUNTER, "switches", "SWITCH", "switches into a greenlet") \
    X(spawns, COUNTER, "greenlets", "SPAWN", "greenlets spawned by this worker") \
    X(finished, COUNTER, "greenlets", "", "greenlets that ended on this worker") \
    X(run_queue_length, GAUGE, "greenlets", "RUNQ", \
        "started or local greenlets ready") \
    X(deque_length, GAUGE, "greenlets", "DEQUE", \
        "unstarted greenlets open to thieves") \
    X(inbox_deliveries, COUNTER, "wakes", "", "greenlets made ready by other threads") \
    X(wakes_sent, COUNTER, "wakes", "WAKE", "sleeping workers woken by this one") \
    X(wakes_received, COUNTER, "wakes", "", "times this worker was woken by another") \
    X(steals_won, COUNTER, "greenlets", "STOLEN", "greenlets brought by steals") \
    X(steals_tried, COUNTER, "attempts", "TRIED", \
        "attempts to steal from another deque") \
    X(parks, COUNTER, "parks", "PARK", "times this worker slept in the kernel") \
    X(hub_polls, COUNTER, "polls", "POLL", "polls of the hub that did not sleep") \
    X(timers_pending, GAUGE, "timers", "TIMER", "timers armed in this hub") \
    X(io_waits, GAUGE, "greenlets", "IOWAIT", "greenlets waiting for a descriptor") \
    X(stacks_in_use, GAUGE, "stacks", "STACK", "stacks of started greenlets") \
    X(stacks_cached, GAUGE, "stacks", "CACHED", "unused stacks kept by this worker") \
    X(failures, COUNTER, "greenlets", "FAIL", "greenlets that ended with an error") \
    X(busy_ns, SPAN, "ns", "", "time awake: running greenlets or searching") \
    X(idle_ns, SPAN, "ns", "", "time asleep in the kernel")

enum stats_kind { STATS_COUNTER, STATS_GAUGE, STATS_SPAN };

enum stats_field {
#define STATS_INDEX(field, kind, unit, title, meaning) STATS_FIELD_##field,
    STATS_FIELDS(STATS_INDEX)
#undef STATS_INDEX
        STATS_FIELD_COUNT
};

/* Absent: the slot has no thread. The others are those of an attached thread. */
enum stats_state { STATS_ABSENT, STATS_RUNNING, STATS_SEARCHING, STATS_PARKED };

/*
 * One worker or guest. Written by that thread alone, read by grove-stat at any time.
 *
 * state_since is the CLOCK_MONOTONIC time at which the thread last went to sleep or
 * woke up: now - state_since belongs to idle_ns when parked, else to busy_ns.
 */
struct stats_worker {
#define STATS_MEMBER(field, kind, unit, title, meaning) uint64_t field;
    STATS_FIELDS(STATS_MEMBER)
#undef STATS_MEMBER
    uint64_t state;       /* enum stats_state */
    uint64_t state_since; /* ns */
    uint64_t thread_id;   /* as gettid() says; 0 while the slot is free */
    int64_t pu;           /* hwloc's OS index of the bound PU; -1 when not bound */
} __attribute__((aligned(STATS_ALIGNMENT)));

/* Written before the magic is stored, constant afterwards, but for guests_unlisted. */
struct stats_header {
    uint64_t magic; /* stored last (release): 0 while the segment is being filled */
    uint64_t layout_version;
    uint64_t header_size;     /* bytes, of this struct */
    uint64_t worker_size;     /* bytes, of each block */
    uint64_t workers;         /* blocks of workers; then guest_slots, then one more */
    uint64_t guest_slots;     /* blocks for threads that are not workers */
    uint64_t pid;             /* as getpid() says, so in the process's own namespace */
    uint64_t start_realtime;  /* ns since the Epoch, when the segment was made */
    uint64_t start_monotonic; /* ns, the same moment */
    uint64_t stack_size;      /* bytes, default of greenlets */
    uint64_t guests_unlisted; /* attached guests that found no free block */
    char library_version[24];
    char bind[24];    /* what workers are bound to: GROVE_BIND as it took effect */
    char backend[24]; /* the event library's backend: "epoll", "io_uring" ... */
} __attribute__((aligned(STATS_ALIGNMENT)));

_Static_assert(sizeof(struct stats_header) == 256 &&
                   sizeof(struct stats_worker) == 256 && STATS_FIELD_COUNT == 19,
    "the layout changed: raise STATS_LAYOUT_VERSION, then correct this line");

#endif
