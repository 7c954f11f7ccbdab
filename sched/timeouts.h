/* SPDX-License-Identifier: MIT */
#ifndef SCHED_TIMEOUTS_H
#define SCHED_TIMEOUTS_H

/* Running grove_timeouts of a greenlet; its own worker only. */

#include "sched/greenlet.h"

/* A blocking call reports the oldest one that fired and was not reported. */
void timeouts_take_pending(struct grove *greenlet);

/* Stops all: the greenlet ends. */
void timeouts_stop_all(struct grove *greenlet);

#endif
