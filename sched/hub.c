/* SPDX-License-Identifier: MIT */
/*
 * Why not libev's own timers: with epoll they are rounded up to whole milliseconds.
 *
 * Why not ev_async: its first start makes a descriptor and aborts the process when
 * there is none left, and what it saves (writes to a loop that isn't asleep) the
 * workers know already (idle.c).
 *
 *   rung    set by hub_ring, which writes to the eventfd only if it wasn't set; cleared
 *           by the worker after it has read the eventfd. A ring in between writes
 *           nothing, and needn't: both sides are read-modify-writes, so what the ringer
 *           did before is seen by the worker after this hub_wait
 *   everything else   the owning worker
 */
#include "sched/hub.h"

#include <errno.h>
#include <ev.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "sched/hub_memory.h"

struct hub {
    struct ev_loop *loop;
    nanoseconds armed; /* when the timerfd expires; TIMERS_NEVER: it is off */
    bool expired;      /* it has, and is readable until it is set anew */
    bool waiting;
    int watching;
    int alarm, bell;
    ev_io alarm_watcher, bell_watcher;
    struct hub_memory memory;
    void (*at_free)(void *arg);
    void *at_free_arg;
    _Atomic(bool) rung __attribute__((aligned(64)));
};

static unsigned backend_flag(const char *name)
{
    static const struct {
        const char *name;
        unsigned flag;
    } backends[] = {
        {"epoll", EVBACKEND_EPOLL},
        {"poll", EVBACKEND_POLL},
        {"select", EVBACKEND_SELECT},
        {"iouring", EVBACKEND_IOURING},
    };

    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (strcmp(name, backends[i].name) == 0)
            return backends[i].flag;
    return 0;
}

static void on_alarm(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    ((struct hub *)watcher->data)->expired = true;
}

static void on_bell(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct hub *hub = watcher->data;
    uint64_t rings;

    (void)loop;
    (void)events;
    /* An eventfd read fails only if there is nothing to read: then there is no ring. */
    if (read(hub->bell, &rings, sizeof rings) == sizeof rings)
        atomic_exchange_explicit(&hub->rung, false, memory_order_seq_cst);
}

static struct ev_loop *loop_new(const char *backend)
{
    unsigned flag = backend_flag(backend);

    if (!flag) {
        errno = EINVAL;
        return NULL;
    }
    /* Without NOENV, LIBEV_FLAGS would replace all flags. NOSIGMASK, as sigprocmask is
     * unspecified with threads. */
    errno = 0;
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV | EVFLAG_NOSIGMASK | flag);
    if (!loop && errno == 0)
        errno = EINVAL;
    return loop;
}

static bool watch_own(struct hub *hub)
{
    if (!hub_memory_cover(&hub->memory, hub->alarm) ||
        !hub_memory_cover(&hub->memory, hub->bell))
        return false;
    ev_io_init(&hub->alarm_watcher, on_alarm, hub->alarm, EV_READ);
    ev_io_init(&hub->bell_watcher, on_bell, hub->bell, EV_READ);
    hub->alarm_watcher.data = hub->bell_watcher.data = hub;
    ev_io_start(hub->loop, &hub->alarm_watcher);
    ev_io_start(hub->loop, &hub->bell_watcher);
    return true;
}

static int hub_init(struct hub *hub, const char *backend)
{
    int error;

    hub->armed = TIMERS_NEVER;
    error = ENOMEM;
    if (!hub_memory_cover(&hub->memory, 0))
        goto no_memory;
    hub->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    error = errno;
    if (hub->alarm < 0)
        goto no_alarm;
    hub->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    error = errno;
    if (hub->bell < 0)
        goto no_bell;
    hub->loop = loop_new(backend);
    error = errno;
    if (!hub->loop)
        goto no_loop;
    error = ENOMEM;
    if (!watch_own(hub))
        goto no_watch;
    return 0;

no_watch:
    ev_loop_destroy(hub->loop);
no_loop:
    close(hub->bell);
no_bell:
    close(hub->alarm);
no_alarm:
    hub_memory_free(&hub->memory);
no_memory:
    errno = error;
    return -1;
}

struct hub *hub_new(const char *backend)
{
    struct hub *hub = aligned_alloc(_Alignof(struct hub), sizeof *hub);

    if (!hub)
        return NULL;
    memset(hub, 0, sizeof *hub);
    /* Perhaps in a callback of the thread's own hub, which allocates afterwards. */
    struct hub_memory *before = hub_memory_use(&hub->memory);
    int failed = hub_init(hub, backend);
    hub_memory_use(before);
    if (failed) {
        free(hub);
        return NULL;
    }
    return hub;
}

void hub_clear(struct hub *hub)
{
    hub_memory_use(&hub->memory);
    if (hub->at_free)
        hub->at_free(hub->at_free_arg);
    hub->at_free = NULL;
    hub_memory_use(NULL);
}

void hub_free(struct hub *hub)
{
    if (!hub)
        return;
    hub_clear(hub);
    hub_memory_use(&hub->memory);
    ev_io_stop(hub->loop, &hub->alarm_watcher);
    ev_io_stop(hub->loop, &hub->bell_watcher);
    ev_loop_destroy(hub->loop);
    hub_memory_use(NULL);
    close(hub->bell);
    close(hub->alarm);
    hub_memory_free(&hub->memory);
    free(hub);
}

void hub_at_free(struct hub *hub, void (*fn)(void *arg), void *arg)
{
    hub->at_free = fn;
    hub->at_free_arg = arg;
}

struct ev_loop *hub_loop(struct hub *hub)
{
    return hub->loop;
}

static void run(struct hub *hub, int flags)
{
    int error = errno;

    hub_memory_use(&hub->memory);
    ev_run(hub->loop, flags);
    errno = error;
}

void hub_poll(struct hub *hub)
{
    run(hub, EVRUN_NOWAIT);
}

/*
 * The timerfd is left alone while it will expire in time, even if that is too early: of
 * a thousand waits with a timeout that all end before it, one costs a system call. An
 * early one ends hub_wait with nothing to do, once. Setting it also ends its being
 * readable, so it is never read.
 */
static void arm(struct hub *hub, nanoseconds deadline)
{
    if (!hub->expired && hub->armed <= deadline)
        return;

    struct itimerspec at = {{0}, {0}};
    if (deadline != TIMERS_NEVER) {
        at.it_value.tv_sec = deadline / 1000000000;
        at.it_value.tv_nsec = deadline % 1000000000;
    }
    timerfd_settime(hub->alarm, TFD_TIMER_ABSTIME, &at, NULL);
    hub->armed = deadline;
    hub->expired = false;
}

void hub_wait(struct hub *hub, nanoseconds deadline)
{
    if (deadline <= 0) { /* zero would turn the timerfd off */
        hub_poll(hub);
        return;
    }
    arm(hub, deadline);
    hub->waiting = true;
    run(hub, EVRUN_ONCE);
    hub->waiting = false;
}

bool hub_waiting(const struct hub *hub)
{
    return hub->waiting;
}

void hub_ring(struct hub *hub)
{
    const uint64_t ring = 1;

    /* Pairs with the exchange in on_bell. The write can't fail: it would take 2^64-1
     * rings unread. */
    if (!atomic_exchange_explicit(&hub->rung, true, memory_order_seq_cst))
        (void)!write(hub->bell, &ring, sizeof ring);
}

void hub_watching(struct hub *hub, int change)
{
    hub->watching += change;
}

int hub_watches(const struct hub *hub)
{
    return hub->watching;
}

bool hub_watch_reserve(struct hub *hub, int fd)
{
    hub_memory_use(&hub->memory);
    return hub_memory_cover(&hub->memory, fd);
}
