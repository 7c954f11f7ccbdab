/* SPDX-License-Identifier: MIT */
#include "sched/barrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

bool barrier_asymmetric;

static int membarrier(int command)
{
    return (int)syscall(SYS_membarrier, command, 0, 0);
}

void barrier_init(void)
{
    int saved = errno;
    barrier_asymmetric =
        !ATOMIC_TSAN && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
    errno = saved;
}

void barrier_heavy(void)
{
    if (!barrier_asymmetric) {
        barrier_full();
        return;
    }
    /* After a successful registration the kernel has no way to refuse. Should it do so
     * all the same (a seccomp filter installed later), going on would corrupt memory.
     */
    int saved = errno;
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
        abort();
    errno = saved;
}
