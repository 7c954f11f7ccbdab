/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SWITCH_H
#define SCHED_SWITCH_H

/*
 * Changing stacks: one assembly file per ISA (switch_x86_64.S, switch_aarch64.S).
 *
 * The stubs here jump into it instead of calling it, and it jumps back, for two
 * reasons.
 *
 * The return predictor is a stack of its own that a change of stacks leaves as it is. A
 * call that never returns by `ret` leaves an entry too many, and from then on every
 * return of every greenlet is mispredicted (measured: 24 ns a yield instead of 9). So
 * nothing on the way into or out of a greenlet may be called and not return:
 * greenlet_main is jumped to and ends by a jump.
 *
 * And the registers that the ABI says a callee preserves are clobbered here, not saved
 * there: the compiler saves those that it uses anyway, in the prologue of the function
 * around the switch, where its own unwind information describes them. The assembly
 * saves the frame pointer, the address to resume at and the control words.
 *
 * A function around a switch must call something besides (each does: the search for the
 * next greenlet), or the compiler may keep values below the stack pointer where the
 * assembly pushes.
 */

/*
 * For a function that has parked and returns straight to the user's code: it does so by
 * an indirect jump. A `ret` is predicted from the calls of the greenlet that ran last,
 * which is wrong when the two wait at different places of the program, as the two ends
 * of a queue do (measured: 67 ns for a round trip over two channels, 41 with this). The
 * price is an entry too many in the return predictor, so it is not for waits where
 * those that take turns come from the same place (locks, descriptors), nor for returns
 * without a switch.
 */
#if defined(__x86_64__) && defined(__has_attribute)
#if __has_attribute(function_return)
#define SWITCH_RETURN __attribute__((function_return("thunk-extern")))
#endif
#endif
#ifndef SWITCH_RETURN
#define SWITCH_RETURN
#endif

#define SWITCH_INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)

#define SWITCH_CLOBBERS \
    "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", \
        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "mm0", "mm1", \
        "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "st", "st(1)", "st(2)", "st(3)", \
        "st(4)", "st(5)", "st(6)", "st(7)"

/* Leaves the running stack, keeping its pointer in *save, and resumes [target], which
 * was kept by one of these. Returns when somebody resumes *save. */
SWITCH_INLINE void switch_to(void **save, void *target)
{
    __asm__ __volatile__("leaq 1f(%%rip), %%rax\n\t"
                         "jmp switch_to_target\n"
                         "1:"
                         : "+D"(save), "+S"(target)
                         :
                         : "rax", "rcx", "rdx", SWITCH_CLOBBERS);
}

/* Leaves the running stack as switch_to does and enters [entry] on a new one that
 * grows down from [top] (16-byte aligned). [entry] never returns. */
SWITCH_INLINE void switch_enter(void **save, void *top, void (*entry)(void))
{
    __asm__ __volatile__("leaq 1f(%%rip), %%rax\n\t"
                         "jmp switch_to_new\n"
                         "1:"
                         : "+D"(save), "+S"(top), "+d"(entry)
                         :
                         : "rax", "rcx", SWITCH_CLOBBERS);
}

/* Leaves the running stack for good. */
SWITCH_INLINE _Noreturn void switch_abandon(void *target)
{
    __asm__ __volatile__("jmp switch_resume" ::"S"(target) : "memory");
    __builtin_unreachable();
}

/* Leaves the running stack for good and enters [entry] on a new one, or afresh on the
 * same one. */
SWITCH_INLINE _Noreturn void switch_renew(void *top, void (*entry)(void))
{
    __asm__ __volatile__("jmp switch_begin" ::"S"(top), "d"(entry) : "memory");
    __builtin_unreachable();
}

#elif defined(__aarch64__)

#define SWITCH_CLOBBERS \
    "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", \
        "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", \
        "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", \
        "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", \
        "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", \
        "v30", "v31", "memory", "cc"

SWITCH_INLINE void switch_to(void **save, void *target)
{
    register void **x0 __asm__("x0") = save;
    register void *x1 __asm__("x1") = target;

    __asm__ __volatile__("adr x30, 1f\n\t"
                         "b switch_to_target\n"
                         "1:"
                         : "+r"(x0), "+r"(x1)
                         :
                         : "x2", SWITCH_CLOBBERS);
}

SWITCH_INLINE void switch_enter(void **save, void *top, void (*entry)(void))
{
    register void **x0 __asm__("x0") = save;
    register void *x1 __asm__("x1") = top;
    register void (*x2)(void) __asm__("x2") = entry;

    __asm__ __volatile__("adr x30, 1f\n\t"
                         "b switch_to_new\n"
                         "1:"
                         : "+r"(x0), "+r"(x1), "+r"(x2)
                         :
                         : SWITCH_CLOBBERS);
}

SWITCH_INLINE _Noreturn void switch_abandon(void *target)
{
    register void *x1 __asm__("x1") = target;

    __asm__ __volatile__("b switch_resume" ::"r"(x1) : "memory");
    __builtin_unreachable();
}

SWITCH_INLINE _Noreturn void switch_renew(void *top, void (*entry)(void))
{
    register void *x1 __asm__("x1") = top;
    register void (*x2)(void) __asm__("x2") = entry;

    __asm__ __volatile__("b switch_begin" ::"r"(x1), "r"(x2) : "memory");
    __builtin_unreachable();
}

#else
#error "libgrove has no context switch for this architecture: see sched/switch_x86_64.S"
#endif

#endif
