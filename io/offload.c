/* SPDX-License-Identifier: MIT */
/* A call on another thread for which the greenlet waits. */
#include <grove/threadpool.h>

#include "io/threadpool.h"
#include "sync/blocking.h"

/* As if it had run on another thread, but for the wait. */
static void *call_here(grove_fn fn, void *arg)
{
    int saved_errno = errno;

    errno = 0;
    void *value = fn(arg);
    if (value)
        errno = saved_errno;
    return value;
}

/* What a task that is ready has come to. */
static int take_outcome(struct task *task, void **value)
{
    void *returned;
    int saved_errno = errno;

    /* Not grove_result_get: a kill since then must not lose the value. */
    int error = grove_result_error(&task->result);
    if (error)
        return answer(error);
    (void)grove_result_get(&task->result, 0, &returned);
    if (value)
        *value = returned;
    errno = returned ? saved_errno : task->left_errno;
    return 0;
}

int grove_offload(grove_fn fn, void *arg, double timeout, void **value)
{
    if (!fn)
        return answer(EINVAL);
    if (timeout == 0)
        return answer(ETIMEDOUT);
    int error = blocking_begin(timeout);
    if (error)
        return answer(error);
    if (!worker_self) {
        void *returned = call_here(fn, arg);
        if (value)
            *value = returned;
        return 0;
    }
    grove_result_t *result = grove_threadpool_spawn(NULL, fn, arg);
    if (!result)
        return -1;
    if (grove_result_wait(result, timeout) < 0) {
        error = errno;
        (void)grove_threadpool_cancel(NULL, result);
    } else if (take_outcome((struct task *)result, value) < 0) {
        error = errno;
    }
    int left_errno = errno;
    grove_threadpool_release(result);
    errno = left_errno;
    return error ? answer(error) : 0;
}
