/* SPDX-License-Identifier: MIT */
#ifndef SCHED_SANITIZE_H
#define SCHED_SANITIZE_H

/*
 * What AddressSanitizer and ThreadSanitizer have to be told around a switch of stacks.
 * Nothing in an ordinary build.
 *
 * ASan: start_switch before leaving a stack (NULL save when it is left for good, else
 * its fake stack leaks), finish_switch first thing on the other side.
 * LSan: looks for pointers where it is told, in its own threads' stacks and in the
 * heap. Stacks are mappings, and those of threads are not found while a greenlet runs
 * there, so all are roots; what the child of a fork forgets is ignored. Fake stacks of
 * parked greenlets (detect_stack_use_after_return=1) it cannot be told about.
 * TSan: one fiber per activation, made at its start and destroyed from the other side
 * after its end; never reused, as its shadow call stack would grow at every reuse.
 * The flag 0 orders the switch like a hand-over, which it is: one thread.
 */

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZE_ADDRESS 1
#elif defined(__SANITIZE_THREAD__)
#define SANITIZE_THREAD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer)
#define SANITIZE_THREAD 1
#endif
#endif
#ifndef SANITIZE_ADDRESS
#define SANITIZE_ADDRESS 0
#endif
#ifndef SANITIZE_THREAD
#define SANITIZE_THREAD 0
#endif
#define SANITIZE_SWITCHES (SANITIZE_ADDRESS || SANITIZE_THREAD)

#if SANITIZE_SWITCHES
#if SANITIZE_ADDRESS
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if SANITIZE_THREAD
#include <sanitizer/tsan_interface.h>
#endif

struct sanitize_stack {
    void *fake_stack;
    const void *bottom;
    size_t size;
    void *fiber;
};

#if SANITIZE_ADDRESS
#define SANITIZE_LEAVE(from, to, for_good) \
    __sanitizer_start_switch_fiber( \
        (for_good) ? NULL : &(from)->fake_stack, (to)->bottom, (to)->size)
#define SANITIZE_ARRIVE(fake) __sanitizer_finish_switch_fiber(fake, NULL, NULL)
#else
#define SANITIZE_LEAVE(from, to, for_good) __tsan_switch_to_fiber((to)->fiber, 0)
#define SANITIZE_ARRIVE(fake) ((void)(fake))
#endif
#endif

#if SANITIZE_ADDRESS
#define SANITIZE_ROOT(start, size) __lsan_register_root_region(start, size)
/* Exactly what is a root: anything else ends the program. */
#define SANITIZE_UNROOT(start, size) __lsan_unregister_root_region(start, size)
#define SANITIZE_FORGET(object) __lsan_ignore_object(object)
#else
#define SANITIZE_ROOT(start, size) ((void)(start), (void)(size))
#define SANITIZE_UNROOT(start, size) ((void)(start), (void)(size))
#define SANITIZE_FORGET(object) ((void)(object))
#endif

#endif
