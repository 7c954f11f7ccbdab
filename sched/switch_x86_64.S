/* SPDX-License-Identifier: MIT */
/*
 * x86-64 System V. Jumped to by the stubs of switch.h:
 *
 *     rax  address to resume at      rdi  where to keep the stack pointer
 *     rsi  target, or a new top      rdx  entry
 *
 * Frame of a suspended stack, from its pointer up:
 *
 *     0  mxcsr (4 bytes), x87 control word (2)
 *     8  rbp
 *    16  the address to resume at
 *
 * The two control words are callee-saved too, but loading them is dear (100 ns when they
 * change) and they hardly ever differ: they are loaded only if they do. The low six bits
 * of mxcsr are sticky flags, not control, and don't count.
 */
#if defined(__x86_64__)

    .text

    .macro SAVE
    .cfi_def_cfa rsp, 0
    .cfi_register rip, rax
    pushq %rax
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rip, 0
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    .endm

    .macro RESTORE
    movq 8(%rsp), %rbp
    .cfi_restore rbp
    movq 16(%rsp), %rcx
    .cfi_register rip, rcx
    addq $24, %rsp
    .cfi_adjust_cfa_offset -24
    jmpq *%rcx
    .endm

    /* On the target's stack, with the present control words in eax and dx. */
    .macro RESUME
    xorl (%rsp), %eax
    testl $0xffc0, %eax
    jne 9f
    cmpw 4(%rsp), %dx
    jne 9f
    .cfi_remember_state
    RESTORE
    .cfi_restore_state
9:  ldmxcsr (%rsp)
    fldcw 4(%rsp)
    RESTORE
    .endm

    .globl switch_to_target
    .hidden switch_to_target
    .type switch_to_target, @function
    .p2align 5
switch_to_target:
    .cfi_startproc
    SAVE
    movl (%rsp), %eax
    movzwl 4(%rsp), %edx
    movq %rsi, %rsp
    RESUME
    .cfi_endproc
    .size switch_to_target, . - switch_to_target

    .globl switch_to_new
    .hidden switch_to_new
    .type switch_to_new, @function
    .p2align 5
switch_to_new:
    .cfi_startproc
    SAVE
    .cfi_endproc
    jmp switch_begin
    .size switch_to_new, . - switch_to_new

    /* The zero in the place of a return address ends the unwinding of this stack. */
    .globl switch_begin
    .hidden switch_begin
    .type switch_begin, @function
    .p2align 5
switch_begin:
    .cfi_startproc
    .cfi_undefined rip
    movq %rsi, %rsp
    pushq $0
    xorl %ebp, %ebp
    jmpq *%rdx
    .cfi_endproc
    .size switch_begin, . - switch_begin

    .globl switch_resume
    .hidden switch_resume
    .type switch_resume, @function
    .p2align 5
switch_resume:
    .cfi_startproc
    stmxcsr -8(%rsp)
    fnstcw -4(%rsp)
    movl -8(%rsp), %eax
    movzwl -4(%rsp), %edx
    movq %rsi, %rsp
    .cfi_def_cfa rsp, 24
    .cfi_offset rip, -8
    .cfi_offset rbp, -16
    RESUME
    .cfi_endproc
    .size switch_resume, . - switch_resume

    /* What functions marked SWITCH_RETURN (switch.h) end with, by its name in gcc. */
    .globl __x86_return_thunk
    .hidden __x86_return_thunk
    .type __x86_return_thunk, @function
    .p2align 5
__x86_return_thunk:
    .cfi_startproc
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    jmpq *%rcx
    .cfi_endproc
    .size __x86_return_thunk, . - __x86_return_thunk

#endif

#if defined(__linux__) && defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
