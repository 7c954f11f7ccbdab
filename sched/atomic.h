/* SPDX-License-Identifier: MIT */
#ifndef SCHED_ATOMIC_H
#define SCHED_ATOMIC_H

/*
 * Atomic accesses with their memory order in the name, on Concurrency Kit's ck_pr.
 *
 * ck_pr has no ordered accesses, only plain ones and fences, so an order is a fence
 * beside the access: on x86-64 (TSO) the acquire and release fences are compiler
 * barriers and nothing is lost; on AArch64 each is a dmb.
 *
 * ThreadSanitizer sees neither ck_pr's assembly nor fences. Builds for it use the
 * compiler's __atomic builtins, which carry the same orders. There a compare-and-swap
 * is the only full barrier: do not rely on the order of two accesses that are not one.
 *
 *   relaxed  atomic, no order
 *   acquire  later accesses stay after the load
 *   release  earlier accesses stay before the store
 *   seq_cst  full barrier (read-modify-writes only)
 */

#include <stdbool.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
#define ATOMIC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ATOMIC_TSAN 1
#endif
#endif
#ifndef ATOMIC_TSAN
#define ATOMIC_TSAN 0
#endif

#if ATOMIC_TSAN

#define ATOMIC_DEFINE(name, type, ck) \
    static inline type atomic_load_##name##_relaxed(type const *target) \
    { \
        return __atomic_load_n(target, __ATOMIC_RELAXED); \
    } \
    static inline type atomic_load_##name##_acquire(type const *target) \
    { \
        return __atomic_load_n(target, __ATOMIC_ACQUIRE); \
    } \
    static inline void atomic_store_##name##_relaxed(type *target, type value) \
    { \
        __atomic_store_n(target, value, __ATOMIC_RELAXED); \
    } \
    static inline void atomic_store_##name##_release(type *target, type value) \
    { \
        __atomic_store_n(target, value, __ATOMIC_RELEASE); \
    } \
    static inline bool atomic_cas_##name##_seq_cst( \
        type *target, type expected, type value) \
    { \
        return __atomic_compare_exchange_n( \
            target, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
    }

#else

#include <ck_pr.h>

/* ck_pr_cas is a full barrier only where the hardware makes it one. */
#if defined(__x86_64__)
#define ATOMIC_CAS_FENCE() ck_pr_barrier()
#else
#define ATOMIC_CAS_FENCE() ck_pr_fence_strict_memory()
#endif

#define ATOMIC_DEFINE(name, type, ck) \
    static inline type atomic_load_##name##_relaxed(type const *target) \
    { \
        return ck_pr_load_##ck(target); \
    } \
    static inline type atomic_load_##name##_acquire(type const *target) \
    { \
        type value = ck_pr_load_##ck(target); \
        ck_pr_fence_acquire(); \
        return value; \
    } \
    static inline void atomic_store_##name##_relaxed(type *target, type value) \
    { \
        ck_pr_store_##ck(target, value); \
    } \
    static inline void atomic_store_##name##_release(type *target, type value) \
    { \
        ck_pr_fence_release(); \
        ck_pr_store_##ck(target, value); \
    } \
    static inline bool atomic_cas_##name##_seq_cst( \
        type *target, type expected, type value) \
    { \
        ATOMIC_CAS_FENCE(); \
        bool swapped = ck_pr_cas_##ck(target, expected, value); \
        ATOMIC_CAS_FENCE(); \
        return swapped; \
    }

#endif

ATOMIC_DEFINE(u32, uint32_t, 32)
ATOMIC_DEFINE(u64, uint64_t, 64)
ATOMIC_DEFINE(ptr, void *, ptr)

#endif
