/* SPDX-License-Identifier: MIT */
/*
 * Native threads for calls that block in the kernel or compute in foreign code, after
 * gevent.threadpool: greenlets wait for them, while their worker goes on.
 *
 *     void *read_all(void *path);
 *
 *     void *text;
 *     if (grove_offload(read_all, path, GROVE_FOREVER, &text) < 0)
 *         ...
 *
 * A pool makes a thread when there is work and none is idle, up to its maximum; further
 * calls wait in a queue, first in first out. A thread without work ends after
 * GROVE_THREADS_IDLE seconds. The threads take no signals, are bound to no core, and
 * are plain threads to the library: calls of it work there and block natively. What a
 * function has made with grove_spawn and is still running when it returns is killed, as
 * when a thread ends, and given a second to end.
 *
 * Functions must return. One that ends its thread (grove_fail, grove_exit,
 * pthread_exit) fails with ECANCELED. A call that runs can't be ended from outside.
 *
 * grove_shutdown fails what is queued in any pool with ECANCELED, waits for what runs,
 * and ends the threads; the pools may be used again. In the child of a fork each pool
 * is empty, and calls made before are the parent's. There a function that forked ends
 * the process by returning.
 *
 * Unless said otherwise, calls may be made from any thread, and from hub callbacks
 * unless they wait; from no signal handler.
 */
#ifndef GROVE_THREADPOOL_H
#define GROVE_THREADPOOL_H

#include <grove/base.h>
#include <grove/result.h>

GROVE_BEGIN

/* A pool of threads. NULL in the calls below is the default pool, which grove_offload
 * uses: of up to GROVE_THREADS threads. */
typedef struct grove_threadpool grove_threadpool_t;

/*
 * Runs fn(arg) on a thread of the default pool while the current greenlet waits; what
 * it returned is put into *value (unless value is NULL). If that is NULL, errno is as
 * [fn] left it, 0 if it didn't touch it. On a plain thread it is called there and then,
 * whatever the timeout.
 *
 * When the wait is cut short (ETIMEDOUT, ECANCELED) a call that is still queued never
 * runs, but one that has begun goes on, and its value is dropped. So unless neither a
 * timeout nor a kill can come, [arg] must not lie on the caller's stack, and who frees
 * it must be counted: grove_threadpool_cancel tells the two cases apart.
 *
 * Errors: ETIMEDOUT (at once for a timeout of 0), ECANCELED of the wait, or fn ended
 * its thread; EDEADLK in hub callbacks; ENOMEM; EAGAIN no thread to be had; EINVAL.
 * May switch.
 */
GROVE_API int grove_offload(grove_fn fn, void *arg, double timeout, void **value);

/* A pool of at most [max] threads; 0 is GROVE_THREADS. Errors: ENOMEM. Never switches.
 */
GROVE_API grove_threadpool_t *grove_threadpool_new(size_t max);

/*
 * Gives fn(arg) to the pool. The result, which gets the value, is the caller's until
 * grove_threadpool_release. errno is not carried over: [fn] puts it where [arg] points.
 * Errors: ENOMEM; EAGAIN the pool has no thread and none is to be had; EINVAL no fn.
 * Never switches.
 */
GROVE_API grove_result_t *grove_threadpool_spawn(
    grove_threadpool_t *pool, grove_fn fn, void *arg);

/*
 * Takes a call back that is still queued: it never runs, and its result fails with
 * ECANCELED. The result is still to be released.
 * Errors: EALREADY it runs, has run or was cancelled; EINVAL. Never switches.
 */
GROVE_API int grove_threadpool_cancel(grove_threadpool_t *pool, grove_result_t *result);

/* Ends the caller's use of a result of grove_threadpool_spawn, and only of such a one,
 * whether it is ready or not: the call itself goes on. Nobody may wait for it any more.
 * NULL is allowed. Never switches. */
GROVE_API void grove_threadpool_release(grove_result_t *result);

/* Threads of the pool now. Never switches. */
GROVE_API size_t grove_threadpool_size(grove_threadpool_t *pool);

/* Calls that no thread has begun. Never switches. */
GROVE_API size_t grove_threadpool_queued(grove_threadpool_t *pool);

/*
 * Fails what is queued with ECANCELED, waits for what runs, ends the threads and frees
 * the pool. Results that the caller still holds stay valid. NULL is allowed, and does
 * nothing. A kill or a grove_timeout doesn't cut the wait short. Not from a hub
 * callback, nor from a thread of this pool; no other call on it may be under way. May
 * switch.
 */
GROVE_API void grove_threadpool_free(grove_threadpool_t *pool);

GROVE_END

#endif
