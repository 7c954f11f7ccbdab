/* SPDX-License-Identifier: MIT */
/*
 * x86-64 System V. Frame of a suspended stack, from its pointer up:
 *
 *     0  mxcsr (4 bytes), x87 control word (2)
 *     8  r15  16 r14  24 r13  32 r12  40 rbx  48 rbp
 *    56  the address to resume at: switch_to's own return address
 *
 * The two control words are callee-saved too, but loading them is dear (100 ns when they
 * change) and they hardly ever differ: they are loaded only if they do. The low six bits
 * of mxcsr are sticky flags, not control, and don't count.
 */
#if defined(__x86_64__)

    .text

    .macro SAVE
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    .endm

    .macro RESTORE
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    jmpq *%rcx
    .endm

    .globl switch_to
    .hidden switch_to
    .type switch_to, @function
    .p2align 5
switch_to:
    .cfi_startproc
    SAVE
    movl (%rsp), %eax
    movzwl 4(%rsp), %edx
    movq %rsi, %rsp
    xorl (%rsp), %eax
    testl $0xffc0, %eax
    jne 1f
    cmpw 4(%rsp), %dx
    jne 1f
    .cfi_remember_state
    RESTORE
    .cfi_restore_state
1:  ldmxcsr (%rsp)
    fldcw 4(%rsp)
    RESTORE
    .cfi_endproc
    .size switch_to, . - switch_to

    .globl switch_enter
    .hidden switch_enter
    .type switch_enter, @function
    .p2align 5
switch_enter:
    .cfi_startproc
    SAVE
    movq %rsi, %rsp
    .cfi_endproc
    jmp enter
    .size switch_enter, . - switch_enter

    .globl switch_renew
    .hidden switch_renew
    .type switch_renew, @function
    .p2align 5
switch_renew:
    movq %rdi, %rsp
    movq %rsi, %rdx
    jmp enter
    .size switch_renew, . - switch_renew

    /* The outermost frame of a greenlet: unwinding ends here. */
    .type enter, @function
    .p2align 4
enter:
    .cfi_startproc
    .cfi_undefined rip
    xorl %ebp, %ebp
    call *%rdx
    ud2
    .cfi_endproc
    .size enter, . - enter

    .globl switch_abandon
    .hidden switch_abandon
    .type switch_abandon, @function
    .p2align 5
switch_abandon:
    .cfi_startproc
    movq %rdi, %rsp
    .cfi_def_cfa rsp, 64
    .cfi_offset rip, -8
    .cfi_offset rbp, -16
    .cfi_offset rbx, -24
    .cfi_offset r12, -32
    .cfi_offset r13, -40
    .cfi_offset r14, -48
    .cfi_offset r15, -56
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    RESTORE
    .cfi_endproc
    .size switch_abandon, . - switch_abandon

#endif

#if defined(__linux__) && defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
