/* SPDX-License-Identifier: MIT */
/* What the tests of stacks share: one cache, and looking at guards. */
#ifndef TESTS_SCHED_STACK_FIXTURE_H
#define TESTS_SCHED_STACK_FIXTURE_H

#define _GNU_SOURCE /* memfd_create: this header comes first */

#include "sched/stack.h"
#include "sched/stack_guard.h"
#include "tests/harness.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE guard_page_size()
#define LIMIT 32  /* stacks that the cache keeps */
#define MANY 1000 /* enough for several regions */

static struct stack_system real; /* set by main */
static struct stack_cache cache;
static struct stack *lent[MANY];

static inline void start_with(size_t size, size_t limit)
{
    CHECK_EQUAL(stack_init(size, limit * size), 0);
    stack_cache_init(&cache);
}

static inline void start(void)
{
    start_with(STACK_SIZE_DEFAULT, LIMIT);
}

static inline void stop(void)
{
    stack_cache_drain(&cache);
    stack_depot_destroy();
    stack_system = real;
}

static inline void acquire_all(struct stack **stacks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        stacks[i] = stack_acquire(&cache);
        CHECK(stacks[i] != NULL);
    }
}

static inline void release_all(struct stack **stacks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        stack_release(&cache, stacks[i]);
}

static inline struct stack_counts counts(void)
{
    struct stack_counts now;

    stack_count(&now);
    return now;
}

/* The kernel is made to read there, so no signal has to be handled. */
static inline bool accessible(const void *address)
{
    static int file = -1;

    if (file == -1)
        file = memfd_create("stack_fixture", MFD_CLOEXEC);
    return pwrite(file, address, 1, 0) != -1 || errno != EFAULT;
}

static inline void *guard_of(const struct stack *stack)
{
    return (char *)stack->limit - PAGE;
}

static inline bool guarded(const struct stack *stack)
{
    return !accessible(guard_of(stack)) && !accessible((char *)stack->limit - 1) &&
           accessible(stack->limit);
}

#endif
