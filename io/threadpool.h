/* SPDX-License-Identifier: MIT */
#ifndef IO_THREADPOOL_H
#define IO_THREADPOOL_H

/*
 * A call that was given to a pool.
 *
 *   result       see result.c; the first, so that its address is the task's
 *   pool, function, argument   constant
 *   left_errno   written by the pool's thread before the result is set
 *   next, prev, queued         under the pool's lock
 *   references   one of the caller, one of the pool until the result is ready
 */

#include <stdatomic.h>
#include <stdbool.h>

#include <grove/threadpool.h>

struct task {
    grove_result_t result;
    grove_threadpool_t *pool;
    grove_fn function;
    void *argument;
    int left_errno; /* 0 unless the function set it */
    bool queued;
    struct task *next, *prev;
    _Atomic(int) references;
};

#endif
