/* SPDX-License-Identifier: MIT */
#ifndef SCHED_PROGRAM_COUNTER_H
#define SCHED_PROGRAM_COUNTER_H

/* Where a signal interrupted its thread. What backtrace() finds before that frame is of
 * the handler itself. */

#include <stdint.h>
#include <ucontext.h>

static inline uintptr_t program_counter(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
#error "where does the signal context of this machine keep the program counter?"
#endif
}

/* The first of these frames that is not of the handler; 0 if that isn't found. */
static inline int program_counter_frame(
    const ucontext_t *context, void *const *frames, int count)
{
    for (int i = 0; i < count; i++)
        if ((uintptr_t)frames[i] == program_counter(context))
            return i;
    return 0;
}

#endif
