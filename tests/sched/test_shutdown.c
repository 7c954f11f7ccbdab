/* SPDX-License-Identifier: MIT */
/* grove_shutdown against threads that use the library meanwhile. */
#include <grove.h>

#include <pthread.h>
#include <stdatomic.h>

#include "tests/harness.h"

static atomic_bool over;
static atomic_int lost;

static void *nothing(void *arg)
{
    return arg;
}

/* What a plain thread starts ends in any case: run, or killed by the shutdown. */
static void *go_and_join(void *arg)
{
    while (!atomic_load(&over)) {
        grove_t *g = grove_go(nothing, arg);
        if (!g || grove_join(g, 20) != 0)
            atomic_fetch_add(&lost, 1);
        grove_release(g);
    }
    return NULL;
}

static void nothing_is_lost_to_a_shutdown(void)
{
    pthread_t threads[2];

    atomic_store(&over, false);
    atomic_store(&lost, 0);
    CHECK_EQUAL(grove_init(NULL), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, go_and_join, NULL), 0);
    for (size_t i = 0; i < harness_rounds(300); i++) {
        CHECK_EQUAL(grove_init(NULL), 0);
        /* The thread may have been first: then workers are the library's threads, of
         * which this is none, but a plain one may end it as well. */
        CHECK_EQUAL(grove_shutdown(20), 0);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL(atomic_load(&lost), 0);
    CHECK_EQUAL(grove_shutdown(20), 0);
}

static void *init_and_shut_down(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < harness_rounds(200); i++) {
        CHECK_EQUAL(grove_init(NULL), 0);
        CHECK_EQUAL(grove_shutdown(20), 0);
    }
    return NULL;
}

static void two_threads_may_shut_down_at_once(void)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, init_and_shut_down, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void *sleep_long(void *arg)
{
    grove_sleep(60);
    return arg;
}

/* Leaves a greenlet behind, and its own main greenlet killed. */
static void *killed_guest(void *arg)
{
    grove_release(grove_spawn(sleep_long, NULL));
    grove_yield();
    CHECK_EQUAL(grove_kill(grove_current(), 0), 0);
    return arg;
}

static void a_killed_guest_leaves_nothing(void)
{
    pthread_t thread;

    CHECK_EQUAL(grove_init(NULL), 0);
    CHECK_EQUAL(pthread_create(&thread, NULL, killed_guest, NULL), 0);
    pthread_join(thread, NULL);
    CHECK_EQUAL(grove_shutdown(5), 0);
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"nothing is lost to a shutdown", nothing_is_lost_to_a_shutdown},
        {"two threads may shut down at once", two_threads_may_shut_down_at_once},
        {"a killed guest leaves nothing", a_killed_guest_leaves_nothing},
    };
    return harness_main("shutdown", tests, sizeof tests / sizeof *tests);
}
