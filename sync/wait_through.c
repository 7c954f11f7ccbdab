/* SPDX-License-Identifier: MIT */
#include "sync/wait_through.h"

#include <errno.h>

#include <grove/greenlet.h>

int wait_through(int (*wait)(void *arg), void *arg)
{
    int first = 0, killed = 0;

    while (wait(arg) < 0) {
        if (!first)
            first = errno;
        /* A kill fails every blocking call until it is cleared. */
        int kill = grove_kill_clear();
        if (!killed)
            killed = kill;
    }
    if (killed)
        grove_kill_with(grove_current(), killed, 0);
    return first;
}
