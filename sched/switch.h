/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SWITCH_H
#define SCHED_SWITCH_H

/*
 * Changing stacks: one assembly file per ISA (switch_x86_64.S, switch_aarch64.S).
 *
 * What the ABI says a callee preserves is pushed on the stack that is left, and only its
 * stack pointer is kept. Resumption ends in an indirect jump, not a return: the return
 * predictor would be wrong at every switch (2.2 ns against 7.2).
 */

/* Leaves the running stack, keeping its pointer in *save, and resumes [target], which
 * was kept by one of these. Returns when somebody resumes *save. */
void switch_to(void **save, void *target);

/* Leaves the running stack as switch_to does and enters [entry] on a new one that
 * grows down from [top] (16-byte aligned). [entry] never returns. */
void switch_enter(void **save, void *top, void (*entry)(void));

/* Leaves the running stack for good. */
_Noreturn void switch_abandon(void *target);

/* Leaves the running stack for good and enters [entry] on a new one, or afresh on the
 * same one. */
_Noreturn void switch_renew(void *top, void (*entry)(void));

#endif
