/* SPDX-License-Identifier: MIT */
#include "sched/stack_guard.h"

#include "sched/sanitize.h"
#include "sched/stack_valgrind.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Newer than the headers of the systems built on. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD (-10000)
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

#define MAP_LIMIT_FILE "/proc/sys/vm/max_map_count"
#define MAP_LIMIT_DEFAULT 65530
#define MAPPINGS_PER_GUARD 2

/*
 * PIDFD_SELF_THREAD (Linux 6.14) rather than a descriptor of pidfd_open: that one
 * would name the parent in a forked child and could be closed by the application. On
 * 6.13 the ranges are advised one by one, which costs 510 ns a guard instead of 360.
 */
static ssize_t system_advise_many(const struct iovec *ranges, size_t count, int advice)
{
    return syscall(SYS_process_madvise, PIDFD_SELF_THREAD, ranges, count, advice, 0U);
}

struct stack_system stack_system = {
    .map = mmap,
    .unmap = munmap,
    .advise = madvise,
    .protect = mprotect,
    .advise_many = system_advise_many,
};

/* Written by guard_probe before there are other threads, constant afterwards. */
static struct {
    size_t page_size;
    bool light;    /* MADV_GUARD_INSTALL works */
    bool vectored; /* and many ranges at a call */
    bool populate; /* MADV_POPULATE_WRITE for many ranges at a call */
} kernel;

/* Any thread, relaxed: plain counts that publish nothing else. */
static atomic_long guards_left; /* PROT_NONE guards that may still be made */
static atomic_size_t guards_missing;

size_t guard_page_size(void)
{
    return kernel.page_size;
}

bool guard_is_light(void)
{
    return kernel.light;
}

size_t guard_missing(void)
{
    return atomic_load_explicit(&guards_missing, memory_order_relaxed);
}

/* Advice asked for here is idempotent, so a partial success is simply done again. */
static int advise(const struct iovec *ranges, size_t count, int advice)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += ranges[i].iov_len;
    if (kernel.vectored &&
        stack_system.advise_many(ranges, count, advice) == (ssize_t)total)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (stack_system.advise(ranges[i].iov_base, ranges[i].iov_len, advice) != 0)
            return -errno;
    return 0;
}

static long read_map_limit(void)
{
    FILE *file = fopen(MAP_LIMIT_FILE, "re");
    long limit = MAP_LIMIT_DEFAULT;

    if (file != NULL) {
        if (fscanf(file, "%ld", &limit) != 1 || limit <= 0)
            limit = MAP_LIMIT_DEFAULT;
        fclose(file);
    }
    return limit;
}

/*
 * Whether a guard really keeps out: emulators answer 0 to advice they do not know.
 * Asked of the kernel, which fails with EFAULT instead of raising a signal when it is
 * to sleep for the time that stands there; for none at all where the page can be read.
 * (Valgrind reads paths and signal masks itself and dies of it, but passes this on.)
 */
static bool keeps_out(const char *page)
{
    return nanosleep((const struct timespec *)page, NULL) == -1 && errno == EFAULT;
}

static void probe_advice(char *page)
{
    struct iovec first = {page, kernel.page_size};
    struct iovec second = {page + kernel.page_size, kernel.page_size};
    ssize_t whole = (ssize_t)kernel.page_size;

    /* Valgrind 3.19 does not know that call, and says so at length. */
    kernel.vectored = !RUNNING_ON_VALGRIND &&
                      stack_system.advise_many(&first, 1, MADV_GUARD_INSTALL) == whole;
    kernel.light = advise(&first, 1, MADV_GUARD_INSTALL) == 0 && keeps_out(page);
    /* LeakSanitizer reads whole stacks, but for mappings that it may not read. */
    kernel.light = kernel.light && !SANITIZE_ADDRESS;
    kernel.vectored = kernel.vectored && kernel.light;
    kernel.populate = kernel.vectored && stack_system.advise_many(
                                             &second, 1, MADV_POPULATE_WRITE) == whole;
}

void guard_probe(void)
{
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    char *page;

    kernel.page_size = page_size;
    kernel.light = kernel.vectored = kernel.populate = false;
    atomic_store_explicit(&guards_missing, 0, memory_order_relaxed);
    atomic_store_explicit(&guards_left, read_map_limit() / 4 * 3 / MAPPINGS_PER_GUARD,
        memory_order_relaxed);
    page = stack_system.map(NULL, 2 * page_size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return; /* no memory for a probe: the old way always works */
    probe_advice(page);
    stack_system.unmap(page, 2 * page_size);
}

static void count_missing(size_t count)
{
    size_t before =
        atomic_fetch_add_explicit(&guards_missing, count, memory_order_relaxed);

    if (before == 0)
        fprintf(stderr,
            "grove: no room for more guard pages (vm.max_map_count is %ld): further "
            "stacks are without; raise it, or use Linux 6.13 or newer\n",
            read_map_limit());
}

static void protect(const struct iovec *pages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool room =
            atomic_fetch_sub_explicit(&guards_left, 1, memory_order_relaxed) > 0;

        /* A refusal means that others used the mappings up: the end of the budget. */
        if (room &&
            stack_system.protect(pages[i].iov_base, pages[i].iov_len, PROT_NONE) == 0)
            continue;
        atomic_store_explicit(&guards_left, 0, memory_order_relaxed);
        count_missing(count - i);
        return;
    }
}

int guard_install(const struct iovec *pages, size_t count)
{
    if (kernel.light)
        return advise(pages, count, MADV_GUARD_INSTALL) == 0 ? 0 : -ENOMEM;
    protect(pages, count);
    return 0;
}

void guard_populate(const struct iovec *ranges, size_t count)
{
    /* Where it fails, the first touch will commit the page, or tell. */
    if (kernel.populate)
        (void)stack_system.advise_many(ranges, count, MADV_POPULATE_WRITE);
}

void guard_release(const struct iovec *ranges, size_t count)
{
    /* Private anonymous memory: cannot fail but for mlock, and then it just stays. */
    (void)advise(ranges, count, MADV_DONTNEED);
}

void ranges_add(struct stack_ranges *ranges, char *low, char *high)
{
    ranges->range[ranges->count++] = (struct iovec){low, (size_t)(high - low)};
    if (ranges->count == STACK_ADVICE_BATCH)
        ranges_release(ranges);
}

void ranges_release(struct stack_ranges *ranges)
{
    if (ranges->count > 0)
        guard_release(ranges->range, ranges->count);
    ranges->count = 0;
}
