/* SPDX-License-Identifier: MIT */
#ifndef SCHED_HUB_MEMORY_H
#define SCHED_HUB_MEMORY_H

/*
 * libev aborts the process when an allocation fails, and it allocates in places from
 * which no error could be returned. So each hub keeps, for each array of libev that can
 * grow, a block as large as any of them can get while all watched descriptors are below
 * [fds]. When realloc fails the allocator hands such a block over whole: as it comes
 * from malloc, libev later frees or grows it like any other. A new watch is refused
 * (hub_memory_cover) as long as the reserve isn't complete.
 *
 * The blocks are never touched, so large ones cost address space, not memory.
 *
 *   everything   the thread whose hub it is. libev's allocator is told of no loop, so
 *                each thread names the reserve of its own (hub_memory_use)
 */

#include <stdbool.h>

/* Descriptors, changes, events of the kernel, pending events, prepare watchers. */
#define HUB_MEMORY_BLOCKS 5

struct hub_memory {
    void *block[HUB_MEMORY_BLOCKS]; /* NULL: handed over */
    int fds;                        /* 0: nothing is covered yet */
    bool complete;                  /* no block is NULL */
};

/* Makes sure that libev can watch [fd] without a further allocation failing. False,
 * with the reserve no smaller than it was, when there isn't memory for that. */
bool hub_memory_cover(struct hub_memory *memory, int fd);

/* From now on libev falls back to this reserve on the calling thread; NULL: to none.
 * Returns the one before. */
struct hub_memory *hub_memory_use(struct hub_memory *memory);

void hub_memory_free(struct hub_memory *memory);

#endif
