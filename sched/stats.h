/* SPDX-License-Identifier: MIT */
#ifndef SCHED_STATS_H
#define SCHED_STATS_H

/*
 * Counters that grove-stat reads from outside the process.
 *
 * The scheduler increments them where things happen, with a plain load, add and store
 * in a cache line of the worker's own; nothing else is computed for the tool.
 *
 *   struct stats_worker     written by the thread it belongs to; read by anyone
 *   header.guests_unlisted  written under the guests lock
 *   the ended-guests block  written under the guests lock
 *
 * In a fork child the memory is replaced at the same address by a segment of the
 * child's own, all counts zero, so pointers into it stay good and the parent's is not
 * touched. (Children of vfork, _Fork and clone must exec at once, as everywhere.)
 *
 * Where no segment can be made (no memfd, no descriptor left, seccomp) the counters
 * live in private memory: everything works, and grove-stat says that it finds no
 * segment.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/stats_layout.h"

struct stats_setup {
    int workers;         /* 1 .. STATS_WORKERS_MAX */
    size_t stack_size;   /* bytes */
    const char *version; /* this and the others: cut after 23 bytes, NULL is "" */
    const char *bind;
    const char *backend;
};

/* Makes the segment. Once per runtime start, before any worker runs.
 * 0, or -EINVAL (bad worker count), -EBUSY (already open), -ENOMEM (not even private
 * memory). Not in a signal handler. */
int stats_open(const struct stats_setup *setup);

/* Takes the segment away, when all workers have ended. Does nothing when none is open.
 * While guests are still attached their memory stays mapped, so that they may go on
 * counting and detach whenever they end. */
void stats_close(void);

/* Whether the counters can be seen from outside. */
bool stats_shared(void);

/* The block of a worker: valid until stats_close(). Never NULL: with nothing open, or
 * an index out of range, it is a block that nobody reads. Any thread. */
struct stats_worker *stats_worker(int index);

/* The calling thread becomes the writer of the block, running from now on.
 * pu is the OS index of the PU it is bound to, -1 for none. */
void stats_worker_start(struct stats_worker *worker, int pu);

/* The calling thread, writer of the block, ends. Its counts stay. */
void stats_worker_stop(struct stats_worker *worker);

/* A block for a thread that is not a worker, already started. Never NULL: further
 * guests than STATS_GUESTS share one that nobody reads, and the tool says how many they
 * are. */
struct stats_worker *stats_guest_attach(void);

/* The guest ends: its counts are added to the ended-guests block. By the same thread.
 */
void stats_guest_detach(struct stats_worker *guest);

/* CLOCK_MONOTONIC in ns: the clock of state_since. */
uint64_t stats_now(void);

/*
 * stats_add(worker, field, n), stats_set(worker, field, n): owner of the block only.
 *
 * Relaxed atomics of one writer: no lock prefix, and no order, which no reader needs.
 * The compiler's builtins and not ck_pr, whose "memory" clobber would make the compiler
 * reload everything it holds in registers around each count.
 */
#define stats_add(worker, field, n) stats_word_add(&(worker)->field, (n))
#define stats_set(worker, field, n) stats_word_set(&(worker)->field, (n))

static inline __attribute__((always_inline)) void stats_word_set(
    uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline __attribute__((always_inline)) void stats_word_add(
    uint64_t *word, uint64_t n)
{
    stats_word_set(word, __atomic_load_n(word, __ATOMIC_RELAXED) + n);
}

/* Out of work and looking for some; still awake, so it costs no clock read. */
static inline void stats_search(struct stats_worker *worker)
{
    stats_set(worker, state, STATS_SEARCHING);
}

/* Found work before going to sleep. */
static inline void stats_run(struct stats_worker *worker)
{
    stats_set(worker, state, STATS_RUNNING);
}

/* About to sleep in the kernel. now: stats_now(), or the hub's own reading of it. */
static inline void stats_park(struct stats_worker *worker, uint64_t now)
{
    stats_add(worker, busy_ns, now - worker->state_since);
    stats_set(worker, state_since, now);
    stats_set(worker, state, STATS_PARKED);
    stats_add(worker, parks, 1);
}

/* Back from the sleep that stats_park() announced. */
static inline void stats_unpark(struct stats_worker *worker, uint64_t now)
{
    stats_add(worker, idle_ns, now - worker->state_since);
    stats_set(worker, state_since, now);
    stats_set(worker, state, STATS_RUNNING);
}

#endif
