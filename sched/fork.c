/* SPDX-License-Identifier: MIT */
#include "sched/fork.h"

#include <errno.h>
#include <pthread.h>

static void forget(void)
{
    runtime_forget();
    worker_forget();
    guest_forget();
    idle_forget();
    inject_forget();
    lane_forget();
    helpers_forget();
    deadlock_forget();
    clock_forget();
    monitor_forget();
    record_forget();
    stack_forget();
}

int fork_prepare(void)
{
    int error = pthread_atfork(NULL, NULL, forget);

    errno = error;
    return error ? -1 : 0;
}
