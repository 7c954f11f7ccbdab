/* SPDX-License-Identifier: MIT */
#include "sync/wait_through.h"

#include <errno.h>

#include <grove/greenlet.h>

#include "sched/cancellation.h"
#include "sched/worker.h"

/* wait_through, without anything that fails each call anew until it is taken away: a
 * kill, or cancelled scopes of the greenlet. */
static void wait_alone(int (*wait)(void *arg), void *arg)
{
    struct grove *me = worker_self ? worker_self->current : NULL;
    struct cancellation *chain = me ? cancellation_suspend(me) : NULL;
    int killed = 0;

    do {
        int kill = grove_kill_clear();
        if (!killed)
            killed = kill;
    } while (wait(arg) < 0);
    if (me)
        cancellation_resume(me, chain);
    if (killed)
        grove_kill_with(grove_current(), killed, 0);
}

int wait_through(int (*wait)(void *arg), void *arg)
{
    if (wait(arg) == 0)
        return 0;
    int error = errno;
    wait_alone(wait, arg);
    return error;
}
