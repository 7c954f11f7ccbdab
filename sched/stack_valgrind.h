/* SPDX-License-Identifier: MIT */
/* What valgrind is told of stacks: builds with -DGROVE_VALGRIND only, since the client
 * requests cost a few instructions even outside of it. */
#ifndef SCHED_STACK_VALGRIND_H
#define SCHED_STACK_VALGRIND_H

#ifdef GROVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

#endif
