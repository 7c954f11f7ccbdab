/* SPDX-License-Identifier: MIT */
#include "sched/hub_memory.h"

#include <ev.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FDS_MIN 1024

/* What the arrays take up for each descriptor. libev doubles what it grows, and there
 * are two watchers, hence two pending events, for a descriptor. Ascending, so that the
 * first block that is large enough is the smallest one. */
static const size_t bytes_per_fd[HUB_MEMORY_BLOCKS] = {
    2 * sizeof(int), /* changes to tell the kernel */
    2 * 12,          /* struct epoll_event */
    2 * 16,          /* descriptors */
    4 * 16,          /* pending events */
};

/* libev rounds large arrays up to a page; and the loop itself has to fit. */
#define BYTES_BESIDE 8192

static __thread struct hub_memory *in_use;

static size_t block_size(const struct hub_memory *memory, int i)
{
    return (size_t)memory->fds * bytes_per_fd[i] + BYTES_BESIDE;
}

/* realloc has failed and left [old] alone. */
static void *take_block(void *old, size_t size)
{
    struct hub_memory *memory = in_use;

    if (!memory)
        return NULL;
    for (int i = 0; i < HUB_MEMORY_BLOCKS; i++) {
        void *block = memory->block[i];

        if (!block || block_size(memory, i) < size)
            continue;
        if (old) {
            size_t kept = malloc_usable_size(old);
            memcpy(block, old, kept < size ? kept : size);
            free(old);
        }
        memory->block[i] = NULL;
        memory->complete = false;
        return block;
    }
    return NULL;
}

static void *allocate(void *old, long size)
{
    if (size == 0) {
        free(old);
        return NULL;
    }
    void *block = realloc(old, (size_t)size);
    return block ? block : take_block(old, (size_t)size);
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
            memory->block[i] = malloc(block_size(memory, i));
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

void hub_memory_use(struct hub_memory *memory)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (in_use == memory)
        return;
    pthread_once(&once, set_allocator);
    in_use = memory;
}

void hub_memory_free(struct hub_memory *memory)
{
    for (int i = 0; i < HUB_MEMORY_BLOCKS; i++)
        free(memory->block[i]);
    *memory = (struct hub_memory){0};
}
