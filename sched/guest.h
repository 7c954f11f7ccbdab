/* SPDX-License-Identifier: MIT */
#ifndef SCHED_GUEST_H
#define SCHED_GUEST_H

#include "sched/worker.h"

/* Makes the calling thread a guest. When the thread ends, its greenlets are killed and
 * given a second to end. NULL with errno. */
struct worker *guest_new(void);

/* The calling thread, if it is a guest, is none any more: as when the thread ends. */
void guest_leave(void);

/* How many guests there are. */
int guest_count(void);

#endif
