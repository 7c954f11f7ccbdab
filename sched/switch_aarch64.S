/* SPDX-License-Identifier: MIT */
/*
 * AArch64 AAPCS64. Frame of a suspended stack, from its pointer up:
 *
 *     0 x29, x30    16 x19, x20   32 x21, x22   48 x23, x24
 *    64 x25, x26    80 x27, x28   96 d8, d9    112 d10, d11
 *   128 d12, d13   144 d14, d15
 *
 * FPCR is a system register of which the ABI says nothing of the kind: it belongs to
 * the thread.
 */
#if defined(__aarch64__)

    .text

    .macro SAVE
    stp x29, x30, [sp, #-160]!
    .cfi_adjust_cfa_offset 160
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp x19, x20, [sp, #16]
    .cfi_rel_offset x19, 16
    .cfi_rel_offset x20, 24
    stp x21, x22, [sp, #32]
    .cfi_rel_offset x21, 32
    .cfi_rel_offset x22, 40
    stp x23, x24, [sp, #48]
    .cfi_rel_offset x23, 48
    .cfi_rel_offset x24, 56
    stp x25, x26, [sp, #64]
    .cfi_rel_offset x25, 64
    .cfi_rel_offset x26, 72
    stp x27, x28, [sp, #80]
    .cfi_rel_offset x27, 80
    .cfi_rel_offset x28, 88
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    .endm

    .macro RESTORE
    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x29, x30, [sp], #160
    .cfi_adjust_cfa_offset -160
    /* br, not ret: see switch.h. x16 and x17 may jump to any landing pad. */
    mov x16, x30
    br x16
    .endm

    .globl switch_to
    .hidden switch_to
    .type switch_to, %function
    .p2align 5
switch_to:
    .cfi_startproc
    SAVE
    mov sp, x1
    RESTORE
    .cfi_endproc
    .size switch_to, . - switch_to

    .globl switch_enter
    .hidden switch_enter
    .type switch_enter, %function
    .p2align 5
switch_enter:
    .cfi_startproc
    SAVE
    mov sp, x1
    .cfi_endproc
    b enter
    .size switch_enter, . - switch_enter

    .globl switch_renew
    .hidden switch_renew
    .type switch_renew, %function
    .p2align 5
switch_renew:
    mov sp, x0
    mov x2, x1
    b enter
    .size switch_renew, . - switch_renew

    /* The outermost frame of a greenlet: unwinding ends here. */
    .type enter, %function
    .p2align 4
enter:
    .cfi_startproc
    .cfi_undefined x30
    mov x29, #0
    mov x30, #0
    blr x2
    brk #1
    .cfi_endproc
    .size enter, . - enter

    .globl switch_abandon
    .hidden switch_abandon
    .type switch_abandon, %function
    .p2align 5
switch_abandon:
    .cfi_startproc
    mov sp, x0
    .cfi_def_cfa sp, 160
    .cfi_offset x29, -160
    .cfi_offset x30, -152
    RESTORE
    .cfi_endproc
    .size switch_abandon, . - switch_abandon

#endif

#if defined(__linux__) && defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
