/* SPDX-License-Identifier: MIT */
/*
 * Stacks of greenlets.
 *
 * A stack is a fixed slice of address space of which only the pages really touched
 * cost memory. Slices are carved from large mappings ("regions", stack_region.h); the
 * lowest page of each is a guard. The header lies at the top of the stack itself, so
 * that a started greenlet with shallow frames touches exactly one page:
 *
 *     low                                                                   high
 *     | guard page | usable, grows down <------- frames | struct stack | colour |
 *                  ^ limit                              ^ stack_top()
 *
 * The colour is a gap of 0 to 15 cache lines that differs from slice to slice: all
 * slices being a power of two apart, their tops would otherwise compete for the same
 * few sets of the first-level cache.
 *
 * A stack is in one of three places:
 *   cold  no page committed, no header: its address waits in its region or in cold[];
 *   warm  header written: in a cache, or in the depot of its class;
 *   lent  between stack_acquire and stack_release.
 *
 * Who may touch what:
 *
 *   struct stack_cache         its owner alone (the worker), no atomics
 *   struct stack  next         whoever owns the list it is in: cache owner, depot lock
 *                 owner        who acquired it; read by the overflow handler of the
 *                              thread that runs on the stack
 *                 trimmed      as next
 *                 the rest     written before it is first lent, constant afterwards
 *   depot, regions             under the lock of the size class (stack_class.h)
 *   list of regions            appended to with release, read by stack_of_address
 *                              with acquire, from any thread and any signal handler
 */
#ifndef SCHED_STACK_H
#define SCHED_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/sanitize.h"

#if SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
#endif

#define STACK_SIZE_MIN ((size_t)16 << 10)
#define STACK_SIZE_MAX ((size_t)1 << 30)
#define STACK_SIZE_DEFAULT ((size_t)256 << 10)

/* Cold stacks a cache fetches at once: one lock, one system call for their guards. */
#define STACK_COLD_BATCH 64

/* Tops of neighbouring slices are shifted by this many cache lines in turn: measured
 * round robin over 16 to 1,000 stacks, 16 colours halve the time of one, 32 add little.
 */
#define STACK_COLOURS 16

struct stack_class;
struct stack_region;

/* 64 bytes and so aligned: what is placed under it starts on a cache line of its own.
 */
struct stack {
    struct stack *next; /* the list it is in; meaningless while lent */
    void *limit;        /* lowest usable address, just above the guard page */
    void *owner;        /* the greenlet that runs on it, or NULL; for reports */
    struct stack_region *region;
    struct stack *next_batch; /* depot only, meaningful in the first of a batch */
    uint32_t batch_count;     /* likewise: stacks in this batch */
    uint32_t valgrind_id;
    uint8_t sized;   /* not of the default size: goes back to its class, not a cache */
    uint8_t trimmed; /* at rest, nothing committed below the top page */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct stack) == 64, "one cache line, see above");

struct stack_cache {
    struct stack *free; /* warm, the most recently used first */
    uint32_t count;     /* in free */
    uint32_t limit;     /* beyond it the coldest half goes to the depot */
    uint32_t cold_count;
    uint32_t populated; /* of cold[], from the end: top page already committed */
    uint32_t demand;    /* cold stacks used since the last trim: drives populating */
    struct stack_class *class;
    struct stack_region *cold_region; /* all of cold[] are of this one */
    struct stack *cold[STACK_COLD_BATCH];
};

/*
 * Prepares the process: probes for guards, fixes the default size (rounded up to whole
 * pages) and how many bytes of address space of free stacks a worker keeps; with 0 the
 * memory of each stack is given back at its release. Call before any cache is made, and
 * again after stack_depot_destroy. Returns 0, or -EINVAL where default_size is outside
 * STACK_SIZE_MIN..STACK_SIZE_MAX. One thread.
 */
int stack_init(size_t default_size, size_t cache_bytes);

/*
 * Gives all mappings back to the system. All caches have been drained and no stack is
 * lent. One thread.
 */
void stack_depot_destroy(void);

void stack_cache_init(struct stack_cache *cache);

/* Hands everything to the depot; the cache is empty and usable afterwards. Owner. */
void stack_cache_drain(struct stack_cache *cache);

/*
 * Gives back memory of free stacks: a worker calls it before it parks for long. Bounded
 * work: what lies deep in the own cache, and one batch of the depot. Returns whether
 * the depot holds more: then come back soon rather than sleep for good. Owner.
 */
bool stack_trim(struct stack_cache *cache);

/* Slow paths of the two below. Owner. */
struct stack *stack_acquire_cold(struct stack_cache *cache);
void stack_release_slow(struct stack_cache *cache, struct stack *stack);

/*
 * A stack of any size in STACK_SIZE_MIN..STACK_SIZE_MAX: from the cache if it is the
 * default, else rounded up to a power of two and from a list that all workers share;
 * give it back with stack_release. NULL with errno ENOMEM, or EINVAL for the size.
 */
struct stack *stack_acquire_sized(struct stack_cache *cache, size_t size);

/*
 * The stack whose slice, guard page included, holds this address; NULL where it is of
 * none, or of one never lent. Safe in signal handlers, from any thread.
 */
struct stack *stack_of_address(const void *address);

/* Bytes from the limit to the header. */
static inline size_t stack_usable(const struct stack *stack)
{
    return (size_t)((const char *)stack - (const char *)stack->limit);
}

/* Reserved bytes, guard included: the size asked for. */
size_t stack_reserved(const struct stack *stack);

/* Frames and records go below this address, 64-byte aligned. */
static inline void *stack_top(struct stack *stack)
{
    return stack;
}

/* A stack at rest is poisoned, so that a pointer kept into it is found out. */
static inline void stack_poison(struct stack *stack)
{
#if SANITIZE_ADDRESS
    __asan_poison_memory_region(stack->limit, stack_usable(stack));
#else
    (void)stack;
#endif
}

static inline void stack_unpoison(struct stack *stack)
{
#if SANITIZE_ADDRESS
    __asan_unpoison_memory_region(stack->limit, stack_usable(stack));
#else
    (void)stack;
#endif
}

/*
 * A stack of the default size, contents undefined. NULL with errno ENOMEM; nothing is
 * leaked then. Owner of the cache only; never switches.
 */
static inline struct stack *stack_acquire(struct stack_cache *cache)
{
    struct stack *stack = cache->free;

    if (__builtin_expect(stack == NULL, 0))
        return stack_acquire_cold(cache);
    cache->free = stack->next;
    cache->count--;
    stack_unpoison(stack);
    return stack;
}

/*
 * Takes back a stack, from whichever cache it came. Nobody may run on it any more.
 * Owner of the cache only; never switches, cannot fail.
 */
static inline void stack_release(struct stack_cache *cache, struct stack *stack)
{
    if (__builtin_expect(stack->sized || cache->count >= cache->limit, 0)) {
        stack_release_slow(cache, stack);
        return;
    }
    stack_poison(stack);
    stack->trimmed = 0;
    stack->next = cache->free;
    cache->free = stack;
    cache->count++;
}

/* What exists now, for reports and tests. */
struct stack_counts {
    size_t regions;
    size_t carved;    /* stacks that have their guard, in whatever place */
    size_t depot;     /* warm ones in the depots */
    size_t cold;      /* carved ones waiting cold in their regions */
    size_t unguarded; /* carved without a guard: the system had no room for another */
};

void stack_count(struct stack_counts *counts);

#endif
