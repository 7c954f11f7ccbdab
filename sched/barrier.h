/* SPDX-License-Identifier: MIT */
#ifndef SCHED_BARRIER_H
#define SCHED_BARRIER_H

/*
 * Asymmetric barriers: a store-load fence whose cost one side pays for both.
 *
 *   often:   write A; barrier_light(); read B
 *   seldom:  write B; barrier_heavy(); read A
 *
 * At least one of the two reads sees the other side's write. With plain fences both
 * sides pay (x86: mfence 16-19 ns, locked instruction 2-7 ns). Here the light side is
 * a compiler barrier and the heavy side calls membarrier(2), which runs a full fence on
 * every other running thread of the process at some point of its instruction stream
 * (0.2-1.3 us, and an interrupt for those threads): either the light side's write came
 * before that point, then the heavy side's read sees it, or its read comes after, then
 * it sees what the heavy side wrote.
 *
 * Where the kernel has no membarrier both are full fences. Mixing would be wrong, so
 * the choice is made once, by barrier_init(), before a second thread exists.
 *
 * Two light sides are not ordered with each other; two heavy sides are.
 *
 * ThreadSanitizer builds never use membarrier: TSan delays no stores and follows
 * happens-before only through atomic objects, so data must be handed over by
 * release/acquire in any case, and the fence is a locked instruction on private memory
 * (TSan knows no atomic_thread_fence and gcc refuses it).
 *
 * barrier_asymmetric   written by barrier_init() in a single-threaded process
 *                      (start-up, fork child), read by all
 */

#include <stdbool.h>

#include "sched/atomic.h"

extern bool barrier_asymmetric;

/* Chooses the kind of barrier. Called at start-up and in a fork child, before any
 * thread that uses barriers exists. Cannot fail: without membarrier it falls back. */
void barrier_init(void);

/* The seldom side. Any thread; not from a signal handler of a light side. */
void barrier_heavy(void);

static inline void barrier_full(void)
{
#if defined(__x86_64__)
    __asm__ __volatile__("lock; orl $0, -4(%%rsp)" ::: "memory", "cc");
#elif ATOMIC_TSAN
    int local = 0;
    __atomic_fetch_add(&local, 1, __ATOMIC_SEQ_CST);
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* The often side: pairs with barrier_heavy(). */
static inline void barrier_light(void)
{
    __asm__ __volatile__("" ::: "memory");
    if (__builtin_expect(!barrier_asymmetric, 0))
        barrier_full();
}

#endif
