/* SPDX-License-Identifier: MIT */
/* Every call fails cleanly when memory, descriptors or threads run out: refuse.h. */
#define _GNU_SOURCE
#include <grove/parallel.h>
#include <grove/threadpool.h>

#include "tests/sched/refuse.h"

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
