/* SPDX-License-Identifier: MIT */
/* No wake is lost: each test ends only if every one arrived; the watchdog decides. */
#include <grove/event.h>

#include <signal.h>
#include <sys/time.h>

#include "tests/sched/runtimes.h"

struct pair {
    grove_event_t there, back;
    size_t rounds;
};

static void *serve(void *arg)
{
    struct pair *pair = arg;

    for (size_t i = pair->rounds; i > 0; i--) {
        if (grove_event_wait(&pair->there, GROVE_FOREVER) < 0)
            CHECK(!"a wait has failed");
        grove_event_clear(&pair->there);
        grove_event_set(&pair->back);
    }
    return NULL;
}

static void *call(void *arg)
{
    struct pair *pair = arg;

    for (size_t i = pair->rounds; i > 0; i--) {
        grove_event_set(&pair->there);
        if (grove_event_wait(&pair->back, GROVE_FOREVER) < 0)
            CHECK(!"a wait has failed");
        grove_event_clear(&pair->back);
    }
    return NULL;
}

/* Each wake lets exactly one greenlet go on, so one lost stops its pair for ever. With
 * few pairs the workers fall asleep all the time, with many they hardly ever do. */
static void exchange(int pairs, size_t wakes)
{
    struct pair *pair = calloc((size_t)pairs, sizeof *pair);
    grove_t **g = calloc((size_t)pairs, 2 * sizeof *g);

    for (int i = 0; i < pairs; i++) {
        pair[i].rounds = wakes / 2 / (size_t)pairs;
        g[2 * i] = must(grove_go(serve, &pair[i]));
        g[2 * i + 1] = must(grove_go(call, &pair[i]));
    }
    for (int i = 0; i < 2 * pairs; i++)
        grove_await(g[i]);
    free(g);
    free(pair);
}

static void between_few(void)
{
    for (int pairs = 1; pairs <= 4; pairs++)
        exchange(pairs, harness_rounds(100000));
}
PAIR(between_few)

static void ten_million_between_many(void)
{
    for (int part = 0; part < 10; part++)
        exchange(200, harness_rounds(1000000));
}
PAIR(ten_million_between_many)

/* A worker that has fallen asleep must be woken for new work, each time. */
static void *nothing(void *arg)
{
    return arg;
}

static void *go_and_wait_asleep(void *arg)
{
    for (size_t i = harness_rounds(20000); i > 0; i--) {
        grove_t *g = must(grove_go(nothing, arg));
        while (!grove_ready(g))
            ; /* without a switch: only the other worker can run it */
        grove_release(g);
    }
    return arg;
}

static void new_work_wakes_a_sleeper(void)
{
    grove_await(must(grove_spawn(go_and_wait_asleep, NULL)));
}
PAIR(new_work_wakes_a_sleeper)

static void injected_work_wakes_sleepers(void *arg)
{
    for (size_t i = harness_rounds(5000); i > 0; i--) {
        grove_t *g = must(grove_go(nothing, arg));
        if (i % 2)
            CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
        else
            while (!grove_ready(g))
                ;
        grove_release(g);
    }
}

static void work_of_plain_threads(void)
{
    pthread_t thread;
    struct foreign_call call = {.fn = injected_work_wakes_sleepers};
    grove_event_t never = GROVE_EVENT_INIT;

    if (!CHECK_EQUAL(pthread_create(&thread, NULL, foreign_call_run, &call), 0))
        return;
    while (!atomic_load(&call.over)) /* all workers asleep in between */
        CHECK_ERROR(grove_event_wait(&never, 0.05), ETIMEDOUT);
    pthread_join(thread, NULL);
}
EVERYWHERE(work_of_plain_threads)

static void on_signal(int number)
{
    (void)number;
}

static void under_a_storm_of_signals(void)
{
    struct itimerval every = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_signal}, before;

    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &every, NULL);
    exchange(1, harness_rounds(100000));
    exchange(50, harness_rounds(500000));
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
}
PAIR(under_a_storm_of_signals)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("between few", between_few),
        TEST("ten million between many", ten_million_between_many),
        TEST("new work wakes a sleeper", new_work_wakes_a_sleeper),
        TEST("work of plain threads", work_of_plain_threads),
        TEST("under a storm of signals", under_a_storm_of_signals),
    };
    return harness_main("wakes", tests, sizeof tests / sizeof *tests);
}
