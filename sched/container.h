/* SPDX-License-Identifier: MIT */
#ifndef SCHED_CONTAINER_H
#define SCHED_CONTAINER_H

#include <stddef.h>

/* The struct of which a pointer to a member is at hand. */
#define CONTAINER(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
