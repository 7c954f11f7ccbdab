/* SPDX-License-Identifier: MIT */
/* errno belongs to the greenlet: no other one's reaches it, across any blocking call.
 */
#include <grove/event.h>
#include <grove/lock.h>
#include <grove/queue.h>

#include "tests/sched/runtimes.h"

static grove_queue_t *queue;
static grove_lock_t lock = GROVE_LOCK_INIT;

static void *nothing(void *arg)
{
    errno = ENOTTY;
    return arg;
}

static void *fails(void *arg)
{
    (void)arg;
    errno = ENOTTY;
    grove_fail(EXDEV, "as it must");
}

/* What a call leaves in errno when it succeeds: what was there before. */
static void by_yield(void)
{
    grove_yield();
}

static void by_sleep(void)
{
    CHECK_EQUAL(grove_sleep(0.0001), 0);
}

static void by_sleep_of_zero(void)
{
    CHECK_EQUAL(grove_sleep(0), 0);
}

static void by_await(void)
{
    CHECK(grove_await(must(grove_spawn(nothing, queue))) == queue);
}

static void by_await_of_a_task(void)
{
    CHECK(grove_await(must(grove_go(nothing, queue))) == queue);
}

static void by_join(void)
{
    grove_t *g = must(grove_spawn(fails, NULL));

    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    grove_release(g);
}

static void by_timed_join(void)
{
    grove_t *g = must(grove_go(nothing, NULL));

    CHECK_EQUAL(grove_join(g, 1e6), 0);
    grove_release(g);
}

static void by_kill(void)
{
    grove_t *g = must(grove_go(nothing, NULL));

    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    grove_release(g);
}

static void by_wait(void)
{
    grove_t *g[2] = {must(grove_spawn(nothing, NULL)), must(grove_go(nothing, NULL))};
    grove_t *done[2];

    CHECK_EQUAL(grove_wait(g, 2, 0, GROVE_FOREVER, done), 2);
    grove_release(g[0]);
    grove_release(g[1]);
}

static void by_queue(void)
{
    void *item;

    CHECK_EQUAL(grove_queue_put(queue, queue, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_queue_get(queue, GROVE_FOREVER, &item), 0);
}

static void by_lock(void)
{
    CHECK_EQUAL(grove_lock_acquire(&lock, GROVE_FOREVER), 0);
    grove_yield();
    CHECK_EQUAL(grove_lock_release(&lock), 0);
}

static void (*const ways[])(void) = {by_yield, by_sleep, by_sleep_of_zero, by_await,
    by_await_of_a_task, by_join, by_timed_join, by_kill, by_wait, by_queue, by_lock};

enum { WAYS = sizeof ways / sizeof *ways };

static void *keep(void *arg)
{
    int mine = (int)(intptr_t)arg;
    uint64_t state = (uint64_t)mine;

    for (size_t i = harness_rounds(200); i > 0; i--) {
        size_t way = random_next(&state) % WAYS;
        errno = mine;
        ways[way]();
        if (!CHECK_EQUAL(errno, mine))
            fprintf(stderr, "# errno lost by way %zu\n", way);
    }
    return NULL;
}

static void every_blocking_call_keeps_it(void)
{
    enum { COUNT = 30 };
    grove_t *g[COUNT];

    queue = grove_queue_new(GROVE_FIFO, 4);
    for (intptr_t i = 0; i < COUNT; i++)
        g[i] = must((i % 3 ? grove_go : grove_spawn)(keep, (void *)(1000 + i)));
    for (int i = 0; i < COUNT; i++)
        CHECK_EQUAL(grove_join(g[i], GROVE_FOREVER), 0);
    for (int i = 0; i < COUNT; i++)
        grove_release(g[i]);
    grove_queue_free(queue);
}
EVERYWHERE(every_blocking_call_keeps_it)

static void *starts_with_zero(void *arg)
{
    CHECK_EQUAL(errno, 0);
    errno = EBUSY;
    return arg;
}

static void a_new_one_starts_with_none(void)
{
    for (int i = 0; i < 10; i++) {
        errno = EAGAIN;
        grove_t *g = must((i % 2 ? grove_go : grove_spawn)(starts_with_zero, NULL));
        grove_join(g, GROVE_FOREVER);
        CHECK_EQUAL(errno, EAGAIN);
        grove_release(g);
    }
}
EVERYWHERE(a_new_one_starts_with_none)

static void *compare_addresses(void *arg)
{
    int *before = &errno;

    for (int i = 0; i < 50; i++) {
        grove_sleep(i % 2 ? 0.00001 : 0);
        CHECK(&errno == before);
    }
    return arg;
}

/* A caller may keep its address, as compilers do. */
static void its_address_stays(void)
{
    grove_t *g[20];

    for (int i = 0; i < 20; i++)
        g[i] = must(grove_go(compare_addresses, NULL));
    for (int i = 0; i < 20; i++)
        grove_await(g[i]);
}
EVERYWHERE(its_address_stays)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("every blocking call keeps it", every_blocking_call_keeps_it),
        TEST("a new one starts with none", a_new_one_starts_with_none),
        TEST("its address stays", its_address_stays),
    };
    return harness_main("errno", tests, sizeof tests / sizeof *tests);
}
