/* SPDX-License-Identifier: MIT */
/*
 * What stacks ask of the kernel: guard pages, and advice for many ranges at one call.
 *
 * Guards by MADV_GUARD_INSTALL (Linux 6.13) are marks in the page table: they need no
 * mapping of their own and survive MADV_DONTNEED and fork. Elsewhere a guard is a page
 * of PROT_NONE, which costs up to two of the vm.max_map_count mappings; a quarter of
 * those stays free for the application, and once the rest is used up this is said on
 * stderr and further stacks have no guard.
 */
#ifndef SCHED_STACK_GUARD_H
#define SCHED_STACK_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Ranges the callers here hand over at once; the kernel takes 1,024. More than 64 was
 * measured to gain nothing. */
#define STACK_ADVICE_BATCH 64

/*
 * The system calls of stacks, in one table so that tests can let each of them fail.
 * Replaced only while no other thread uses stacks.
 */
struct stack_system {
    void *(*map)(void *, size_t, int, int, int, off_t);
    int (*unmap)(void *, size_t);
    int (*advise)(void *, size_t, int);
    int (*protect)(void *, size_t, int);
    ssize_t (*advise_many)(const struct iovec *, size_t, int); /* on the own process */
};

extern struct stack_system stack_system;

/* Finds out what this kernel offers. One thread, before any other call here. */
void guard_probe(void);

/*
 * Makes each range, one page of a private mapping, a guard. 0 also where there is no
 * room for more guards; -ENOMEM where the kernel has no memory: then try again later, a
 * guard made twice is one guard. Any thread.
 */
int guard_install(const struct iovec *pages, size_t count);

/* Commits the ranges ahead of their use if one call can do it for all, else nothing. */
void guard_populate(const struct iovec *ranges, size_t count);

/* Gives the memory of the ranges back; they read as zero afterwards. Any thread. */
void guard_release(const struct iovec *ranges, size_t count);

/* Ranges collected for guard_release, a batch at a time. Owner: the caller. */
struct stack_ranges {
    size_t count;
    struct iovec range[STACK_ADVICE_BATCH];
};

void ranges_add(struct stack_ranges *ranges, char *low, char *high);

/* Releases those not yet released. */
void ranges_release(struct stack_ranges *ranges);

/* Whether guards are marks in the page table, not mappings of their own. */
bool guard_is_light(void);

/* Stacks left without a guard since guard_probe. Any thread. */
size_t guard_missing(void);

size_t guard_page_size(void);

static inline size_t guard_whole_pages(size_t size)
{
    return (size + guard_page_size() - 1) & ~(guard_page_size() - 1);
}

#endif
