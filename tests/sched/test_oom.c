/* SPDX-License-Identifier: MIT */
/*
 * Every call fails cleanly when memory, descriptors or threads run out: for N = 1, 2, 3
 * and so on the N-th request of the calling thread to the system is refused, once or
 * from then on, until the call no longer notices. Then nothing may have leaked, and
 * everything must work.
 *
 * The requests are refused by functions of the same names in this program, which is why
 * sanitizers, which do the same, are left out: there the calls run, and LeakSanitizer
 * looks at them.
 */
#define _GNU_SOURCE
#include <grove/parallel.h>
#include <grove/threadpool.h>

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

static int start(void)
{
    return grove_init(&(grove_config_t){.workers = 2, .report = GROVE_REPORT_OFF});
}

static enum outcome start_and_stop(void)
{
    if (start() < 0)
        return FAILED;
    requests = 0; /* the start alone */
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    return WORKED;
}

static void a_start(void)
{
    refuse_each(start_and_stop, nothing_runs);
}
BARE(a_start)

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

enum { MANY = 2500 };

static enum outcome many(grove_t *(*spawn)(grove_fn, void *))
{
    static grove_t *g[MANY];
    enum outcome outcome = WORKED;
    int n;

    for (n = 0; n < MANY; n++)
        if (!(g[n] = spawn(nothing, g))) {
            outcome = FAILED;
            break;
        }
    for (int i = 0; i < n; i++)
        expect_end(g[i], g);
    return outcome;
}

static enum outcome many_spawns(void)
{
    return many(grove_spawn);
}

static enum outcome many_goes(void)
{
    return many(grove_go);
}

static void spawns(void)
{
    refuse_each_of(many_spawns);
    refuse_each_of(many_goes);
}
BARE(spawns)

static grove_t *with_attributes(grove_fn fn, void *arg)
{
    static int calls;
    static const grove_attr_t attr[] = {
        {.name = "named", .stack_size = 1 << 20},
        {.name = "late", .delay = 0.00001},
        {.name = "anywhere", .affinity = GROVE_ANY, .delay = 0.00001},
    };

    return grove_spawn_with(&attr[calls++ % 3], fn, arg);
}

static enum outcome spawn_with_attributes(void)
{
    enum { SOME = 90 }; /* more than there is room for timers at first */
    grove_t *g[SOME];
    enum outcome outcome = WORKED;
    int n;

    for (n = 0; n < SOME; n++)
        if (!(g[n] = with_attributes(nothing, g))) {
            outcome = FAILED;
            break;
        }
    for (int i = 0; i < n; i++)
        expect_end(g[i], g);
    return outcome;
}

static enum outcome start_deferred(void)
{
    enum { SOME = 90 };
    grove_attr_t attr = {.deferred = true, .delay = 0.00001};
    grove_t *g[SOME];
    enum outcome outcome = WORKED;
    int n;

    for (n = 0; n < SOME; n++)
        if (!(g[n] = grove_spawn_with(&attr, nothing, g))) {
            outcome = FAILED;
            break;
        }
    for (int i = 0; i < n; i++) {
        if (grove_start(g[i]) < 0) {
            outcome = FAILED;
            CHECK(!grove_ready(g[i]));
            while (grove_start(g[i]) < 0)
                requests = 0; /* it may be tried again */
            errno = ENOMEM;
        }
        expect_end(g[i], g);
    }
    return outcome;
}

static void spawns_with_attributes(void)
{
    refuse_each_of(spawn_with_attributes);
    refuse_each_of(start_deferred);
}
BARE(spawns_with_attributes)

static void count_link(grove_t *g, void *arg)
{
    (void)g;
    ++*(int *)arg;
}

static enum outcome link_one(void)
{
    int called = 0;
    grove_t *g = grove_spawn(nothing, NULL);

    if (!g)
        return FAILED;
    int linked = grove_link(g, count_link, &called);
    expect_end(g, NULL);
    CHECK_EQUAL(called, linked == 0);
    return linked == 0 ? WORKED : FAILED;
}

static void links(void)
{
    refuse_each_of(link_one);
}
BARE(links)

static void count_defer(void *arg)
{
    ++*(int *)arg;
}

static int deferred, defer_error;

static void *defer_and_fail(void *arg)
{
    defer_error = 0;
    if (grove_defer(count_defer, &deferred) < 0)
        defer_error = errno;
    (void)arg;
    grove_fail(EDOM, "for want of memory");
}

static enum outcome defer_in_greenlet(void)
{
    deferred = 0;
    grove_t *g = grove_spawn(defer_and_fail, NULL);
    if (!g)
        return FAILED;
    grove_join(g, GROVE_FOREVER);
    int error = grove_error(g);
    CHECK(error == EDOM || error == ENOMEM);
    if (error == EDOM)
        CHECK_EQUAL(deferred, defer_error == 0);
    grove_release(g);
    errno = error == EDOM ? defer_error : error;
    return errno ? FAILED : WORKED;
}

static void defers_and_failures(void)
{
    refuse_each_of(defer_in_greenlet);
}
BARE(defers_and_failures)

static enum outcome start_timeouts(void)
{
    enum { SOME = 90 };
    grove_timeout_t timeout[SOME];
    enum outcome outcome = WORKED;
    int n;

    for (n = 0; n < SOME; n++)
        if (grove_timeout_start(&timeout[n], 1e6) < 0) {
            outcome = FAILED;
            break;
        }
    int error = errno;
    while (n > 0)
        CHECK(!grove_timeout_stop(&timeout[--n]));
    errno = error;
    return outcome;
}

static enum outcome sleep_once(void)
{
    return grove_sleep(0.00001) == 0 ? WORKED : FAILED;
}

static enum outcome join_in_time(void)
{
    grove_t *g = grove_spawn(nothing, NULL);

    if (!g)
        return FAILED;
    int result = grove_join(g, 1e6), error = errno;
    expect_end(g, NULL);
    errno = error;
    return result == 0 ? WORKED : FAILED;
}

static enum outcome wait_for_two(void)
{
    grove_t *g[2] = {grove_spawn(nothing, NULL), grove_spawn(nothing, NULL)};
    grove_t *done[2] = {NULL};
    ssize_t ended = -1;

    if (g[0] && g[1]) {
        ended = grove_wait(g, 2, 0, 1e6, done);
        CHECK(ended == 2 || (ended == -1 && !done[0]));
    }
    int error = errno;
    for (int i = 0; i < 2; i++)
        if (g[i])
            expect_end(g[i], NULL);
    errno = error;
    return ended == 2 ? WORKED : FAILED;
}

static void waits(void)
{
    refuse_each_of(start_timeouts);
    refuse_each_of(sleep_once);
    refuse_each_of(join_in_time);
    refuse_each_of(wait_for_two);
}
BARE(waits)

/* A guest is made by a thread's first spawn. */
struct guest {
    int n;
    bool last, was_refused;
    enum outcome outcome;
    int error;
};

static void *be_a_guest(void *arg)
{
    struct guest *guest = arg;

    lasting = guest->last;
    requests = guest->n;
    grove_t *g = grove_spawn(nothing, arg);
    guest->error = errno;
    requests = 0;
    guest->was_refused = refused;
    guest->outcome = g ? WORKED : FAILED;
    if (g)
        expect_end(g, arg);
    return NULL;
}

static enum outcome guest_in_thread(void)
{
    struct guest guest = {.n = requests, .last = lasting};
    pthread_t thread;

    requests = 0;
    if (!CHECK_EQUAL(pthread_create(&thread, NULL, be_a_guest, &guest), 0))
        return WORKED;
    pthread_join(thread, NULL);
    refused = guest.was_refused;
    errno = guest.error;
    return guest.outcome;
}

static void guests(void)
{
    refuse_each_of(guest_in_thread);
}
BARE(guests)

/* Sums up ranges that lie side by side, in values too large for the stack. */
struct total {
    size_t numbers;
    char padding[1000];
};

static void count_numbers(size_t begin, size_t end, void *accumulator, void *arg)
{
    (void)arg;
    ((struct total *)accumulator)->numbers += end - begin;
}

static void add_totals(void *into, const void *from, void *arg)
{
    (void)arg;
    ((struct total *)into)->numbers += ((const struct total *)from)->numbers;
}

static enum outcome reduce(void)
{
    static struct total total;

    total.numbers = 0;
    if (grove_parallel_reduce(
            0, 10000, 1, sizeof total, &total, count_numbers, add_totals, NULL) < 0)
        return FAILED;
    CHECK_EQUAL(total.numbers, 10000);
    return WORKED;
}

static void reductions(void)
{
    tried_workers = 2;
    refuse_each_of(reduce);
    tried_workers = 1;
    refuse_each_of(reduce);
}
BARE(reductions)

static enum outcome offload(void)
{
    enum outcome outcome = FAILED;
    void *value;

    if (grove_offload(nothing, &value, GROVE_FOREVER, &value) == 0) {
        CHECK(value == &value);
        outcome = WORKED;
    }
    return outcome;
}

static void offloads(void)
{
    refuse_each_of(offload);
}
BARE(offloads)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a start", a_start),
        TEST("spawns", spawns),
        TEST("spawns with attributes", spawns_with_attributes),
        TEST("links", links),
        TEST("defers and failures", defers_and_failures),
        TEST("waits", waits),
        TEST("guests", guests),
        TEST("reductions", reductions),
        TEST("offloads", offloads),
    };
    return harness_main("oom", tests, sizeof tests / sizeof *tests);
}
