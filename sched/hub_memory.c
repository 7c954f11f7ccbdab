/* SPDX-License-Identifier: MIT */
#include "sched/hub_memory.h"

#include <ev.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FDS_MIN 1024

/* The array of pending events is the largest: two watchers for a descriptor, 16 bytes
 * each, and libev doubles what it grows. It rounds large arrays up to a page; and the
 * loop itself has to fit. */
#define BYTES_PER_FD 64
#define BYTES_BESIDE 8192

static __thread struct hub_memory *in_use;

static size_t block_size(const struct hub_memory *memory)
{
    return (size_t)memory->fds * BYTES_PER_FD + BYTES_BESIDE;
}

/* realloc has failed and left [old] alone. */
static void *take_block(void *old, size_t size)
{
    struct hub_memory *memory = in_use;

    if (!memory || size > block_size(memory))
        return NULL;
    for (int i = 0; i < HUB_MEMORY_BLOCKS; i++) {
        void *block = memory->block[i];

        if (!block)
            continue;
        if (old) {
            memcpy(block, old, malloc_usable_size(old));
            free(old);
        }
        memory->block[i] = NULL;
        memory->complete = false;
        return block;
    }
    return NULL;
}

/* libev grows the events of the kernel by freeing before it allocates: then the block
 * that they lay in must be there for the next size. */
static void give_back(void *block)
{
    struct hub_memory *memory = in_use;

    if (memory && !memory->complete &&
        malloc_usable_size(block) >= block_size(memory)) {
        for (int i = 0; i < HUB_MEMORY_BLOCKS; i++) {
            if (!memory->block[i]) {
                memory->block[i] = block;
                return; /* the next hub_memory_cover sees whether it is complete */
            }
        }
    }
    free(block);
}

static void *allocate(void *old, long size)
{
    if (size == 0) {
        give_back(old);
        return NULL;
    }
    /* libev's arrays only grow. One that lies in a block of the reserve has room for
     * all its growth there, and must not be cut down to what it needs now. */
    if (old && malloc_usable_size(old) >= (size_t)size)
        return old;
    void *block = realloc(old, (size_t)size);
    if (!block)
        block = take_block(old, (size_t)size);
    return block;
}

/* libev has one allocator for the whole process. A program that uses libev too gets
 * this one as well: without a reserve it is realloc. */
static void set_allocator(void)
{
    ev_set_allocator(allocate);
}

static bool fill(struct hub_memory *memory)
{
    for (int i = 0; i < HUB_MEMORY_BLOCKS; i++) {
        if (!memory->block[i])
            memory->block[i] = malloc(block_size(memory));
        if (!memory->block[i])
            return false;
    }
    memory->complete = true;
    return true;
}

bool hub_memory_cover(struct hub_memory *memory, int fd)
{
    if (fd < memory->fds)
        return memory->complete || fill(memory);

    struct hub_memory larger = {.fds = memory->fds ? memory->fds : FDS_MIN};
    while (larger.fds <= fd)
        larger.fds = larger.fds <= INT_MAX / 2 ? larger.fds * 2 : INT_MAX;
    if (!fill(&larger)) {
        hub_memory_free(&larger);
        return false;
    }
    hub_memory_free(memory);
    *memory = larger;
    return true;
}

struct hub_memory *hub_memory_use(struct hub_memory *memory)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct hub_memory *before = in_use;

    if (before == memory)
        return before;
    pthread_once(&once, set_allocator);
    in_use = memory;
    return before;
}

void hub_memory_free(struct hub_memory *memory)
{
    for (int i = 0; i < HUB_MEMORY_BLOCKS; i++)
        free(memory->block[i]);
    *memory = (struct hub_memory){0};
}
