/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SPIN_H
#define SCHED_SPIN_H

/*
 * Waiting for another thread to leave a few instructions. Pauses first; when the other
 * was evidently descheduled inside (more threads than cores), gives it the core.
 */

#include <sched.h>

struct spin {
    unsigned turns;
};

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" ::: "memory");
#endif
}

static inline void spin_once(struct spin *spin)
{
    if (++spin->turns % 128 != 0)
        cpu_relax();
    else
        sched_yield();
}

#endif
