/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sched/hub.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/harness.h"

#define MILLISECOND 1000000

/* Counts the hub's calls. */
static int settings;

int timerfd_settime(
    int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
    settings++;
    return (int)syscall(SYS_timerfd_settime, fd, flags, new, old);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

#if OWN_MALLOC
void *__libc_malloc(size_t size);
void *__libc_realloc(void *old, size_t size);

/* No memory on this thread while it is set. */
static __thread bool out_of_memory;

void *malloc(size_t size)
{
    if (out_of_memory) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}

void *realloc(void *old, size_t size)
{
    if (out_of_memory) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(old, size);
}
#endif

static void wait_until(struct hub *hub, nanoseconds deadline)
{
    while (timers_clock() < deadline)
        hub_wait(hub, deadline);
}

static void sleeps_until_deadline(void)
{
    struct hub *hub = hub_new("epoll");
    nanoseconds start = timers_clock();
    int turns = 0;

    if (!CHECK(hub != NULL))
        return;
    while (timers_clock() < start + 3 * MILLISECOND) {
        hub_wait(hub, start + 3 * MILLISECOND);
        turns++;
    }
    CHECK(turns <= 2); /* it slept, and through */
    hub_free(hub);
}

static void past_deadline_does_not_block(void)
{
    struct hub *hub = hub_new("epoll");

    hub_wait(hub, 1);
    hub_wait(hub, 0);
    hub_wait(hub, -5);
    hub_free(hub);
}

static void sets_timer_only_to_be_earlier(void)
{
    struct hub *hub = hub_new("epoll");
    nanoseconds now = timers_clock();

    settings = 0;
    hub_ring(hub);
    hub_wait(hub, TIMERS_NEVER);
    CHECK_EQUAL(settings, 0);
    for (int i = 0; i < 10; i++) {
        hub_ring(hub);
        hub_wait(hub, now + (60000 + i) * (nanoseconds)MILLISECOND);
    }
    CHECK_EQUAL(settings, 1);
    hub_ring(hub);
    hub_wait(hub, now + 59000 * (nanoseconds)MILLISECOND);
    CHECK_EQUAL(settings, 2);
    hub_ring(hub);
    hub_wait(hub, TIMERS_NEVER);
    CHECK_EQUAL(settings, 2);
    hub_free(hub);
}

static void expired_timer_does_not_keep_waking(void)
{
    struct hub *hub = hub_new("epoll");

    wait_until(hub, timers_clock() + MILLISECOND);
    settings = 0;
    /* Would return at once each time if the expired timer were left readable. */
    nanoseconds deadline = timers_clock() + 20 * MILLISECOND;
    int turns = 0;
    while (timers_clock() < deadline) {
        hub_wait(hub, deadline);
        turns++;
    }
    CHECK(turns <= 2);
    CHECK_EQUAL(settings, 1);
    hub_free(hub);
}

static void *ring(void *hub)
{
    hub_ring(hub);
    return NULL;
}

static void ring_ends_wait_under_way(void)
{
    struct hub *hub = hub_new("epoll");
    pthread_t thread;

    for (int i = 0; i < 100; i++) {
        pthread_create(&thread, NULL, ring, hub);
        hub_wait(hub, TIMERS_NEVER);
        pthread_join(thread, NULL);
    }
    hub_free(hub);
}

static void rings_coalesce(void)
{
    struct hub *hub = hub_new("epoll");

    for (int i = 0; i < 1000; i++)
        hub_ring(hub);
    hub_wait(hub, TIMERS_NEVER);
    nanoseconds deadline = timers_clock() + 2 * MILLISECOND;
    int turns = 0;
    while (timers_clock() < deadline) {
        hub_wait(hub, deadline);
        turns++;
    }
    CHECK(turns <= 2); /* no ring was left over */
    hub_free(hub);
}

static bool was_waiting;
static int called;

static void note(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop;
    (void)events;
    was_waiting = hub_waiting(io->data);
    called++;
}

static void callbacks_know_whether_it_waits(void)
{
    struct hub *hub = hub_new("epoll");
    int fd = eventfd(1, 0);
    ev_io io;

    CHECK(hub_watch_reserve(hub, fd));
    ev_io_init(&io, note, fd, EV_READ);
    io.data = hub;
    ev_io_start(hub_loop(hub), &io);
    hub_poll(hub);
    CHECK(!was_waiting);
    hub_wait(hub, TIMERS_NEVER);
    CHECK(was_waiting);
    ev_io_stop(hub_loop(hub), &io);
    hub_free(hub);
    close(fd);
}

static void errno_survives(void)
{
    struct hub *hub = hub_new("epoll");

    errno = 12345;
    hub_poll(hub);
    hub_ring(hub);
    hub_wait(hub, TIMERS_NEVER);
    CHECK_EQUAL(errno, 12345);
    hub_free(hub);
}

static void all_backends_wait(void)
{
    static const char *const names[] = {"epoll", "poll", "select"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct hub *hub = hub_new(names[i]);
        if (!CHECK(hub != NULL))
            continue;
        hub_ring(hub);
        hub_wait(hub, TIMERS_NEVER);
        wait_until(hub, timers_clock() + MILLISECOND);
        hub_free(hub);
    }
}

static void unknown_backend_is_refused(void)
{
    errno = 0;
    CHECK(hub_new("kqueue") == NULL);
    CHECK_EQUAL(errno, EINVAL);
}

static int open_count(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void no_descriptors_is_an_error(void)
{
    struct rlimit old, few;
    int before = open_count(), first_free = dup(0);

    close(first_free);
    getrlimit(RLIMIT_NOFILE, &old);
    for (int spare = 0;; spare++) {
        few = old;
        few.rlim_cur = (rlim_t)(first_free + spare);
        setrlimit(RLIMIT_NOFILE, &few);
        errno = 0;
        struct hub *hub = hub_new("epoll");
        int error = errno;
        setrlimit(RLIMIT_NOFILE, &old);
        if (hub) {
            CHECK_EQUAL(spare, 3);
            hub_free(hub);
            break;
        }
        CHECK_EQUAL(error, EMFILE);
        CHECK_EQUAL(open_count(), before);
        if (!CHECK(spare < 10))
            break;
    }
    CHECK_EQUAL(open_count(), before);
}

static void freed_called(void *arg)
{
    *(int *)arg += 1;
}

static void free_calls_back_once(void)
{
    struct hub *hub = hub_new("epoll");
    int calls = 0;

    hub_at_free(hub, freed_called, &calls);
    hub_free(hub);
    CHECK_EQUAL(calls, 1);
    hub_free(NULL);
}

#if OWN_MALLOC
enum { WATCHES = 800 };

static void libev_grows_on_the_reserve(void)
{
    static ev_io io[WATCHES];
    struct hub *hub = hub_new("epoll");
    int fd[WATCHES];

    for (int i = 0; i < WATCHES; i++) {
        fd[i] = eventfd(1, 0);
        if (!CHECK(fd[i] >= 0))
            return;
    }
    CHECK(hub_watch_reserve(hub, fd[WATCHES - 1]));
    called = 0;
    out_of_memory = true;
    for (int i = 0; i < WATCHES; i++) {
        ev_io_init(&io[i], note, fd[i], EV_READ);
        io[i].data = hub;
        ev_io_start(hub_loop(hub), &io[i]);
    }
    for (int i = 0; i < 20 && called < WATCHES; i++)
        hub_poll(hub);
    bool refused = !hub_watch_reserve(hub, 0);
    out_of_memory = false;
    CHECK(called >= WATCHES);
    CHECK(refused);
    CHECK(hub_watch_reserve(hub, 0));
    for (int i = 0; i < WATCHES; i++) {
        ev_io_stop(hub_loop(hub), &io[i]);
        close(fd[i]);
    }
    hub_free(hub);
}

static void no_memory_refuses_larger_descriptors(void)
{
    struct hub *hub = hub_new("epoll");

    out_of_memory = true;
    bool small = hub_watch_reserve(hub, 10), large = hub_watch_reserve(hub, 100000);
    out_of_memory = false;
    CHECK(small);
    CHECK(!large);
    CHECK(hub_watch_reserve(hub, 100000));
    hub_free(hub);
}

static void no_memory_is_an_error(void)
{
    int before = open_count();

    out_of_memory = true;
    errno = 0;
    struct hub *hub = hub_new("epoll");
    int error = errno;
    out_of_memory = false;
    /* aligned_alloc isn't ours: the hub itself may be had, its reserve not. */
    CHECK(hub == NULL);
    CHECK_EQUAL(error, ENOMEM);
    CHECK_EQUAL(open_count(), before);
}
#endif

int main(void)
{
    static const struct harness_test tests[] = {
        {"sleeps until the deadline", sleeps_until_deadline},
        {"a past deadline does not block", past_deadline_does_not_block},
        {"sets its timer only to be earlier", sets_timer_only_to_be_earlier},
        {"an expired timer does not keep waking", expired_timer_does_not_keep_waking},
        {"a ring ends the wait under way or the next", ring_ends_wait_under_way},
        {"rings coalesce", rings_coalesce},
        {"callbacks know whether it waits", callbacks_know_whether_it_waits},
        {"errno survives", errno_survives},
        {"all backends wait", all_backends_wait},
        {"an unknown backend is refused", unknown_backend_is_refused},
        {"no descriptors is an error and leaks none", no_descriptors_is_an_error},
        {"free calls back once", free_calls_back_once},
#if OWN_MALLOC
        {"libev grows on the reserve", libev_grows_on_the_reserve},
        {"no memory refuses larger descriptors", no_memory_refuses_larger_descriptors},
        {"no memory is an error and leaks nothing", no_memory_is_an_error},
#endif
    };
    return harness_main("hub", tests, sizeof tests / sizeof *tests);
}
