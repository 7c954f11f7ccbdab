/* SPDX-License-Identifier: MIT */
#include "sync/blocking.h"

int blocking_begin_slow(double timeout)
{
    if (timeout == 0)
        return 0;
    if (timeout != timeout)
        return EINVAL;
    if (!worker_self) { /* a plain thread's first may start the runtime */
        int saved_errno = errno;
        int error = worker_attend() ? 0 : errno;
        if (error)
            return error;
        errno = saved_errno;
    }
    return waiter_interrupt();
}
