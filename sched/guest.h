/* SPDX-License-Identifier: MIT */
#ifndef SCHED_GUEST_H
#define SCHED_GUEST_H

#include "sched/worker.h"

/* Makes the calling thread a guest. When the thread ends, its greenlets are killed and
 * given a second to end. NULL with errno. */
struct worker *guest_new(void);

/* How many guests there are. */
int guest_count(void);

#endif
