/* SPDX-License-Identifier: MIT */
/*
 * A stack overflow ends the process with a report on stderr instead of a bare signal:
 *
 *     grove: stack overflow in greenlet NAME (id N): 262144 bytes of stack used up;
 *     raise GROVE_STACK_SIZE or attr.stack_size            (one line, then a backtrace)
 *
 * Found by the fault in the guard page of the stack that the thread runs on. Then the
 * disposition that was there before is restored and the faulting instruction run again,
 * so that a core dump, or a handler of the application, sees the fault itself.
 *
 * A frame larger than the guard page can jump over it. Build with
 * -fstack-clash-protection (the default of most distributions) and no frame does.
 */
#ifndef SCHED_OVERFLOW_H
#define SCHED_OVERFLOW_H

#include <stdint.h>

struct stack;

/* Both are called in the signal handler of a thread that is about to die. */
struct overflow_hooks {
    /* The name of the greenlet that is the owner of a stack, or NULL, and its id. */
    const char *(*name)(void *owner, uint64_t *id);
    /* The stack that the calling thread runs on, or NULL. Without this hook it is
     * found by the stack pointer, which a huge frame may have moved past the guard. */
    const struct stack *(*running)(void);
};

/*
 * Installs the handler of SIGSEGV and SIGBUS for the process. Faults that are no
 * overflow go to the handler that was there before, with its mask, or take the default
 * course. A handler installed later replaces this one, and there are no reports then.
 * Installed twice is installed once. 0 or -errno. One thread.
 */
int overflow_install(const struct overflow_hooks *hooks);

/* Puts the previous handlers back, unless others have been installed since. */
void overflow_uninstall(void);

/*
 * Gives the calling thread an alternate signal stack, without which the handler has
 * nothing to run on. One that the thread has already is kept. 0 or -errno.
 */
int overflow_thread_enter(void);

/* Takes it away again. */
void overflow_thread_leave(void);

#endif
