/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SCHED_REFUSE_H
#define TESTS_SCHED_REFUSE_H

/*
 * Tests of what calls do when memory, descriptors or threads run out: for N = 1, 2, 3
 * and so on the N-th request of the calling thread to the system is refused, once or
 * from then on, until the call no longer notices. Then nothing may have leaked, and
 * everything must work.
 *
 * The requests are refused by functions of the same names in this program, which is why
 * sanitizers, which do the same, are left out: there the calls run, and LeakSanitizer
 * looks at them.
 */
#include "tests/sched/runtimes.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REFUSE 0
#endif
#endif
#ifndef REFUSE
#define REFUSE 1
#endif

/* Of the calling thread. */
static __thread int requests; /* until one is refused; 0: none is */
static __thread bool lasting; /* all from then on */
static __thread bool refused; /* one has been */
static _Atomic(long) blocks; /* allocated or mapped by all threads and not given back */

#if REFUSE

/* The shared libraries call these, too, so that blocks are counted that one side
 * allocates and the other frees. */
#pragma GCC visibility push(default)

extern char __executable_start[], etext[];

/* Requests of this program alone, with the library in it: hwloc ends the process when
 * some of its own are refused. */
static bool refuse_to(const char *caller, int error)
{
    if (caller < __executable_start || caller >= etext)
        return false;
    if (requests == 0 || (requests > 1 && requests--))
        return false;
    if (!lasting)
        requests = 0;
    refused = true;
    errno = error;
    return true;
}

#define REFUSED(error) refuse_to(__builtin_return_address(0), error)

/* glibc's own, under their other names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void *counted(void *block)
{
    if (block)
        atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
    return block;
}

void *malloc(size_t size)
{
    return REFUSED(ENOMEM) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return REFUSED(ENOMEM) ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *block, size_t size)
{
    if (REFUSED(ENOMEM))
        return NULL;
    if (!block)
        return counted(__libc_realloc(block, size));
    if (size == 0)
        atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return REFUSED(ENOMEM) ? NULL : counted(__libc_memalign(alignment, size));
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    if (REFUSED(ENOMEM) || !(*block = counted(__libc_memalign(alignment, size))))
        return ENOMEM;
    return 0;
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = REFUSED(ENOMEM) ? NULL : counted(__libc_malloc(size));

    return copy ? memcpy(copy, text, size) : NULL;
}

void free(void *block)
{
    if (block)
        atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    __libc_free(block);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (REFUSED(ENOMEM))
        return MAP_FAILED;
    return counted((void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset));
}
int munmap(void *at, size_t size)
{
    atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    return (int)syscall(SYS_munmap, at, size);
}

int mprotect(void *at, size_t size, int protection)
{
    return REFUSED(ENOMEM) ? -1 : (int)syscall(SYS_mprotect, at, size, protection);
}

int eventfd(unsigned count, int flags)
{
    return REFUSED(EMFILE) ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
    return REFUSED(EMFILE) ? -1 : (int)syscall(SYS_timerfd_create, clock, flags);
}

int epoll_create1(int flags)
{
    return REFUSED(EMFILE) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

int epoll_create(int size)
{
    return REFUSED(EMFILE) ? -1 : (int)syscall(SYS_epoll_create, size);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
    void *(*run)(void *), void *arg)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (REFUSED(EAGAIN))
        return EAGAIN;
    if (!real)
        real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
            void *))dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, run, arg);
}

#pragma GCC visibility pop
#endif

static int descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");

    while (dir && readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* What a call did. */
enum outcome { WORKED, FAILED };

static bool expected_error(int error)
{
    return error == ENOMEM || error == EAGAIN || error == EMFILE || error == ENFILE;
}

/* One try with the N-th request refused. Returns whether one was. */
static bool refuse_one(
    int n, bool last, enum outcome (*call)(void), void (*check)(void))
{
    lasting = last;
    refused = false;
    requests = n;
    errno = 0;
    enum outcome outcome = call();
    int error = errno;
    requests = 0;
    check();
    if (outcome == FAILED)
        CHECK(expected_error(error));
    if (!refused)
        CHECK_EQUAL(outcome, WORKED);
    return refused;
}

/*
 * Runs call() with the N-th request refused, for all N. It takes back what it did
 * before it returns. check() then sees that all is well. What is allocated and open
 * must not have become more; but as threads and guests leave something to the next,
 * only what becomes more each time counts.
 */
static void refuse_each(enum outcome (*call)(void), void (*check)(void))
{
    CHECK_EQUAL(call(), WORKED); /* what is kept for ever is made now */
    check();
    for (int last = 0; last < 2; last++) {
        bool more = true;
        for (int n = 1; more && CHECK(n < 20000); n++) {
            int growths = 0;
            for (; growths < 4; growths++) {
                int fds = descriptors();
                long before = atomic_load(&blocks);
                more = refuse_one(n, last, call, check);
                if (atomic_load(&blocks) <= before && descriptors() <= fds)
                    break;
            }
            if (!CHECK(growths < 4))
                fprintf(stderr, "# leak when request %d was refused\n", n);
        }
    }
}

static void *nothing(void *arg)
{
    return arg;
}

static void nothing_runs(void)
{
    CHECK_EQUAL(grove_worker_self(), -1);
    CHECK(grove_current() == NULL);
}

/* Everything else is tried in a runtime of its own, in which all is as new. */
static enum outcome (*tried)(void);
static int tried_workers = 1;

static enum outcome try_in_runtime(void)
{
    int n = requests;

    requests = 0;
    if (!CHECK_EQUAL(grove_init(&(grove_config_t){
                         .workers = tried_workers, .report = GROVE_REPORT_OFF}),
            0))
        return WORKED;
    requests = n;
    enum outcome outcome = tried();
    int error = errno;
    requests = 0;
    CHECK(grove_await(must(grove_go(nothing, &n))) == &n); /* it still works */
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    errno = error;
    return outcome;
}

static void refuse_each_of(enum outcome (*call)(void))
{
    tried = call;
    refuse_each(try_in_runtime, nothing_runs);
}

/* Waits for the end of one that runs or had no memory to run. Takes the reference. */
static void expect_end(grove_t *g, void *value)
{
    int error = errno;

    while (grove_join(g, GROVE_FOREVER) < 0)
        CHECK_EQUAL(errno, ENOMEM);
    if (grove_error(g))
        CHECK_EQUAL(grove_error(g), ENOMEM);
    else
        CHECK(grove_value(g) == value);
    grove_release(g);
    errno = error;
}

#endif
