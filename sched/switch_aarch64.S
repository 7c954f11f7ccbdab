/* SPDX-License-Identifier: MIT */
/*
 * AArch64 AAPCS64. Jumped to by the stubs of switch.h:
 *
 *     x30  address to resume at      x0  where to keep the stack pointer
 *     x1   target, or a new top      x2  entry
 *
 * Frame of a suspended stack, from its pointer up: x29, the address to resume at.
 *
 * FPCR is not callee-saved but per thread in this ABI: nothing is kept of it.
 */
#if defined(__aarch64__)

    .text

    .macro SAVE
    .cfi_def_cfa sp, 0
    stp x29, x30, [sp, #-16]!
    .cfi_adjust_cfa_offset 16
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    mov x9, sp
    str x9, [x0]
    .endm

    .macro RESTORE
    ldp x29, x16, [sp], #16
    .cfi_adjust_cfa_offset -16
    .cfi_restore x29
    .cfi_register x30, x16
    br x16
    .endm

    .globl switch_to_target
    .hidden switch_to_target
    .type switch_to_target, %function
    .p2align 5
switch_to_target:
    .cfi_startproc
    SAVE
    mov sp, x1
    RESTORE
    .cfi_endproc
    .size switch_to_target, . - switch_to_target

    .globl switch_to_new
    .hidden switch_to_new
    .type switch_to_new, %function
    .p2align 5
switch_to_new:
    .cfi_startproc
    SAVE
    .cfi_endproc
    b switch_begin
    .size switch_to_new, . - switch_to_new

    /* Zero in the place of a return address ends the unwinding of this stack. */
    .globl switch_begin
    .hidden switch_begin
    .type switch_begin, %function
    .p2align 5
switch_begin:
    .cfi_startproc
    .cfi_undefined x30
    mov sp, x1
    mov x29, #0
    mov x30, #0
    br x2
    .cfi_endproc
    .size switch_begin, . - switch_begin

    .globl switch_resume
    .hidden switch_resume
    .type switch_resume, %function
    .p2align 5
switch_resume:
    .cfi_startproc
    mov sp, x1
    .cfi_def_cfa sp, 16
    .cfi_offset x29, -16
    .cfi_offset x30, -8
    RESTORE
    .cfi_endproc
    .size switch_resume, . - switch_resume

#endif

#if defined(__linux__) && defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
