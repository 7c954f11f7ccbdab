/* SPDX-License-Identifier: MIT */
#include "sync/blocking.h"

int blocking_begin_slow(double timeout)
{
    if (timeout == 0)
        return 0;
    if (timeout != timeout)
        return EINVAL;
    /* A plain thread's first: it may start the runtime. */
    if (!worker_self && !worker_attend() && errno != 0)
        return errno;
    return waiter_interrupt();
}
