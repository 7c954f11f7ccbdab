/* SPDX-License-Identifier: MIT */
/* Start and shutdown, over and over, while greenlets make greenlets. */
#define _GNU_SOURCE
#include "tests/sched/runtimes.h"

#include <dirent.h>
#include <sched.h>

#include <grove/event.h>

static int entries_of(const char *directory)
{
    int entries = 0;
    DIR *dir = opendir(directory);

    if (!CHECK(dir != NULL))
        return -1;
    while (readdir(dir))
        entries++;
    closedir(dir);
    return entries;
}

static _Atomic(size_t) made, ran;

static void *leaf(void *arg)
{
    atomic_fetch_add(&ran, 1);
    return arg;
}

static void *make_leaves(void *arg)
{
    uint64_t state = (uint64_t)(intptr_t)arg;

    atomic_fetch_add(&ran, 1);
    do {
        switch (random_next(&state) % 5) {
        case 0:
            grove_release(must(
                grove_spawn_later(1e-6 * (random_next(&state) % 100), leaf, NULL)));
            break;
        case 1:
            grove_release(must(grove_spawn(leaf, NULL)));
            break;
        case 2:
            grove_release(must(grove_spawn_with(
                &(grove_attr_t){.deferred = true, .name = "never"}, leaf, NULL)));
            break;
        default:
            grove_release(must(grove_go(leaf, NULL)));
        }
        atomic_fetch_add(&made, 1);
    } while (grove_sleep(random_next(&state) % 2 ? 0 : 0.00002) == 0);
    CHECK_EQUAL(errno, ECANCELED);
    return NULL;
}

static void start_and_stop(size_t rounds, int workers)
{
    uint64_t state = harness_seed();

    for (size_t round = 0; round < rounds; round++) {
        grove_config_t config = {.workers = workers, .report = GROVE_REPORT_OFF};
        if (!CHECK_EQUAL(grove_init(&config), 0))
            return;
        for (int i = 0; i < 3; i++)
            grove_release(must((i % 2 ? grove_go : grove_spawn)(
                make_leaves, (void *)(intptr_t)random_next(&state))));
        for (uint32_t turns = random_next(&state) % 4; turns > 0; turns--)
            grove_sleep(1e-6 * (random_next(&state) % 50));
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    }
}

static void a_thousand_times(void)
{
    start_and_stop(1, 2); /* what is opened once and for all */
    int fds = entries_of("/proc/self/fd");
    start_and_stop(harness_rounds(600), 2);
    start_and_stop(harness_rounds(200), 1);
    start_and_stop(harness_rounds(200), 4);
    CHECK_EQUAL(entries_of("/proc/self/fd"), fds);
    CHECK(atomic_load(&ran) > 0);
}
BARE(a_thousand_times)

static void empty_ones(void)
{
    int threads = entries_of("/proc/self/task");

    for (size_t round = harness_rounds(500); round > 0; round--) {
        CHECK_EQUAL(grove_init(&(grove_config_t){.workers = 1 + (int)(round % 4)}), 0);
        CHECK_EQUAL(grove_shutdown(round % 2 ? 0 : GROVE_FOREVER), 0);
    }
    /* The kernel may list a thread for a moment after it was joined. */
    while (entries_of("/proc/self/task") > threads)
        sched_yield();
}
BARE(empty_ones)

static void *use_and_end(void *arg)
{
    for (int i = 0; i < 3; i++)
        CHECK(grove_await(must(grove_go(leaf, arg))) == arg);
    if (arg)
        grove_release(must(grove_spawn(make_leaves, arg)));
    return NULL;
}

/* Threads that come and go, and are the first to use it, too. */
static void with_other_threads(void)
{
    for (size_t round = harness_rounds(200); round > 0; round--) {
        pthread_t thread[2];
        if (round % 2)
            CHECK_EQUAL(grove_init(&(grove_config_t){.workers = 2}), 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQUAL(
                pthread_create(&thread[i], NULL, use_and_end, i ? &ran : NULL), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(thread[i], NULL);
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    }
}
BARE(with_other_threads)

/* Objects outlive a runtime: one biased to a worker that is gone must still work. */
static grove_event_t event;

static void *wait_for_event(void *arg)
{
    CHECK_EQUAL(grove_event_wait(&event, GROVE_FOREVER), 0);
    return arg;
}

static void objects_outlive_a_runtime(void)
{
    for (int round = 0; round < 20; round++) {
        CHECK_EQUAL(grove_init(&(grove_config_t){.workers = 1 + round % 3}), 0);
        grove_t *here = must(grove_spawn(wait_for_event, NULL));
        grove_t *there = must(grove_go(wait_for_event, NULL));
        grove_yield();
        grove_event_set(&event);
        grove_await(here);
        grove_await(there);
        grove_event_clear(&event);
        if (round % 5 == 0)
            event = (grove_event_t)GROVE_EVENT_INIT;
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
        grove_event_set(&event);
        grove_event_clear(&event);
    }
}
BARE(objects_outlive_a_runtime)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("empty ones", empty_ones),
        TEST("a thousand times, with spawns racing", a_thousand_times),
        TEST("with other threads", with_other_threads),
        TEST("objects outlive a runtime", objects_outlive_a_runtime),
    };
    return harness_main("start_stop", tests, sizeof tests / sizeof *tests);
}
