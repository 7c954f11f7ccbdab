/* SPDX-License-Identifier: MIT */
/*
 * Loops over a range of numbers that run on all workers.
 *
 * The range is cut into pieces at begin + grain, begin + 2 * grain and so on. [body] is
 * called for runs of 1 to [grain] numbers, each number once, in any order and at the
 * same time on several workers. A grain of 0 lets the library choose: 256 pieces for
 * each worker. That keeps workers evenly busy also with numbers of very different cost,
 * and costs a few calls for each worker; a grain of its own is for a body that needs a
 * limit, or for a few numbers of great cost among cheap ones.
 *
 * Bodies run in greenlets of the loop: they may block and use all calls. One that ends
 * its greenlet (grove_fail, grove_exit) ends the loop: no further pieces are begun, and
 * the call fails. When the wait of the caller is cut short (it is killed, or a
 * grove_timeout fires), bodies that block are killed with that error. In each case the
 * call returns only when no body runs any more, so that what [arg] points to may lie on
 * the caller's stack.
 *
 * On a lane thread (GROVE_CPU) the loop stays in the lane. On a plain thread with a
 * single worker the bodies run on that thread itself.
 *
 * Calls may be made from greenlets and plain threads, not from hub callbacks (EDEADLK)
 * or signal handlers. They may switch.
 */
#ifndef GROVE_PARALLEL_H
#define GROVE_PARALLEL_H

#include <grove/base.h>

GROVE_BEGIN

/*
 * Calls body(b, e, arg) for pieces [b, e) that together are [begin, end). Nothing is
 * done if begin >= end. Without memory for a greenlet its pieces run in the one that
 * asked for it.
 * Errors: that of a body's grove_fail, ECANCELED a body's grove_exit; ECANCELED,
 * ETIMEDOUT, EDEADLK of the caller's own wait; EINVAL no body. It is the first error if
 * there are several.
 */
GROVE_API int grove_parallel_for(size_t begin, size_t end, size_t grain,
    void (*body)(size_t begin, size_t end, void *arg), void *arg);

/*
 * Folds a range into one value of [size] bytes. *result holds the neutral value before,
 * and the answer after a success; on failure it is as before. [body] folds a piece into
 * *accumulator, which begins as a copy of the neutral value or holds what comes before
 * that piece; combine(into, from, arg) folds the value *from of a run of numbers into
 * *into, that of the run right before. So operations need not be commutative, only
 * associative; which runs are combined differs from call to call.
 *
 * Values are copied byte by byte. Those of more than 64 bytes cost an allocation for
 * each part of the range that another worker takes over. What a neutral value points
 * to is shared by all, and what accumulators of a loop that fails point to is the
 * caller's to find.
 * Errors: as grove_parallel_for; ENOMEM; EINVAL also no combine, no result, size 0.
 */
GROVE_API int grove_parallel_reduce(size_t begin, size_t end, size_t grain, size_t size,
    void *result, void (*body)(size_t begin, size_t end, void *accumulator, void *arg),
    void (*combine)(void *into, const void *from, void *arg), void *arg);

GROVE_END

#endif
