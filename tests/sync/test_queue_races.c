/* SPDX-License-Identifier: MIT */
/* Queues between workers and threads: nothing is lost, doubled or overtaken. */
#include <grove/queue.h>

#include "tests/sync/runtimes.h"

enum { PRODUCERS = 4, CONSUMERS = 4, SOURCES = PRODUCERS + 1 };

static grove_queue_t *queue;
static size_t rounds;
static atomic_size_t taken;

/* Items tell who put them, and their number there. */
#define SOURCE_SHIFT 24
#define NUMBER_MASK ((1 << SOURCE_SHIFT) - 1)

static void *produce(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (intptr_t i = 1; i <= (intptr_t)rounds; i++) {
        void *item = (void *)((intptr_t)arg << SOURCE_SHIFT | i);
        double timeout = random_next(&state) % 4 ? GROVE_FOREVER : 0.00002;
        while (grove_queue_put(queue, item, timeout) != 0)
            CHECK_EQUAL(errno, ETIMEDOUT);
        if (random_next(&state) % 16 == 0)
            grove_yield();
    }
    return NULL;
}

/* Takes until the queue is closed and drained; each source's items come in order. */
static void *consume(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;
    intptr_t last[SOURCES] = {0};

    for (;;) {
        void *got;
        double timeout = random_next(&state) % 4 ? GROVE_FOREVER : 0.00002;
        if (grove_queue_get(queue, timeout, &got) != 0) {
            if (errno == EPIPE)
                return NULL;
            CHECK_EQUAL(errno, ETIMEDOUT);
            continue;
        }
        intptr_t source = (intptr_t)got >> SOURCE_SHIFT;
        CHECK((intptr_t)got != 0 && source >= 0 && source < SOURCES);
        CHECK(((intptr_t)got & NUMBER_MASK) > last[source]);
        last[source] = (intptr_t)got & NUMBER_MASK;
        atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    }
}

static void many_to_many(grove_queue_kind kind, size_t maxsize)
{
    grove_t *producer[PRODUCERS], *consumer[CONSUMERS];
    pthread_t producing, consuming;

    queue = grove_queue_new(kind, maxsize);
    rounds = harness_rounds(1000);
    atomic_store_explicit(&taken, 0, memory_order_relaxed);
    for (intptr_t i = 0; i < PRODUCERS; i++)
        producer[i] = must(grove_go(produce, (void *)i));
    for (intptr_t i = 0; i < CONSUMERS; i++)
        consumer[i] = must(grove_go(consume, (void *)(100 + i)));
    CHECK_EQUAL(pthread_create(&producing, NULL, produce, (void *)PRODUCERS), 0);
    CHECK_EQUAL(pthread_create(&consuming, NULL, consume, (void *)200), 0);
    for (int i = 0; i < PRODUCERS; i++)
        grove_await(producer[i]);
    pthread_join(producing, NULL);
    grove_queue_close(queue);
    for (int i = 0; i < CONSUMERS; i++)
        grove_await(consumer[i]);
    pthread_join(consuming, NULL);
    CHECK_EQUAL(atomic_load_explicit(&taken, memory_order_relaxed), SOURCES * rounds);
    CHECK(grove_queue_empty(queue));
    grove_queue_free(queue);
}

static void a_bounded_queue_loses_nothing(void)
{
    many_to_many(GROVE_FIFO, 3);
}
EVERYWHERE(a_bounded_queue_loses_nothing)

static void an_unbounded_queue_loses_nothing(void)
{
    many_to_many(GROVE_FIFO, 0);
}
EVERYWHERE(an_unbounded_queue_loses_nothing)

static void a_channel_loses_nothing(void)
{
    many_to_many(GROVE_CHANNEL, 0);
}
EVERYWHERE(a_channel_loses_nothing)

static void *get_until_killed(void *arg)
{
    while (grove_queue_get(queue, GROVE_FOREVER, NULL) == 0)
        atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    CHECK_EQUAL(errno, ECANCELED);
    return arg;
}

/* Every item was either taken by one, or is still there, whoever was killed when. */
static void kills_race_puts(void)
{
    uint64_t state = harness_seed();
    grove_t *getter[CONSUMERS];

    for (size_t round = harness_rounds(200); round > 0; round--) {
        size_t put = 0;
        queue = grove_queue_new(GROVE_FIFO, 0);
        atomic_store_explicit(&taken, 0, memory_order_relaxed);
        for (int i = 0; i < CONSUMERS; i++)
            getter[i] = must(grove_go(get_until_killed, NULL));
        for (int i = 0; i < CONSUMERS; i++) {
            for (uint32_t n = random_next(&state) % 4; n > 0; n--, put++)
                grove_queue_put(queue, &queue, GROVE_FOREVER);
            if (random_next(&state) % 2)
                grove_yield();
            grove_kill(getter[i], 0);
        }
        for (int i = 0; i < CONSUMERS; i++)
            grove_await(getter[i]);
        CHECK_EQUAL(atomic_load_explicit(&taken, memory_order_relaxed) +
                        grove_queue_size(queue),
            put);
        grove_queue_free(queue);
    }
}
EVERYWHERE(kills_race_puts)

static atomic_size_t accepted;

static void *put_until_killed(void *arg)
{
    while (grove_queue_put(queue, &queue, GROVE_FOREVER) == 0)
        atomic_fetch_add_explicit(&accepted, 1, memory_order_relaxed);
    CHECK_EQUAL(errno, ECANCELED);
    return arg;
}

static void kills_race_gets(void)
{
    uint64_t state = harness_seed();
    grove_t *putter[PRODUCERS];

    for (size_t round = harness_rounds(200); round > 0; round--) {
        size_t got = 0;
        queue = grove_queue_new(GROVE_FIFO, 2);
        atomic_store_explicit(&accepted, 0, memory_order_relaxed);
        for (int i = 0; i < PRODUCERS; i++)
            putter[i] = must(grove_go(put_until_killed, NULL));
        for (int i = 0; i < PRODUCERS; i++) {
            for (uint32_t n = random_next(&state) % 4; n > 0; n--)
                got += grove_queue_get(queue, 0, NULL) == 0;
            if (random_next(&state) % 2)
                grove_yield();
            grove_kill(putter[i], 0);
        }
        for (int i = 0; i < PRODUCERS; i++)
            grove_await(putter[i]);
        CHECK_EQUAL(atomic_load_explicit(&accepted, memory_order_relaxed),
            got + grove_queue_size(queue));
        grove_queue_free(queue);
    }
}
EVERYWHERE(kills_race_gets)

static void *work(void *arg)
{
    while (grove_queue_get(queue, GROVE_FOREVER, NULL) == 0) {
        atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
        CHECK_EQUAL(grove_queue_task_done(queue), 0);
    }
    return arg;
}

static void join_returns_when_all_is_done(void)
{
    grove_t *worker[CONSUMERS];

    queue = grove_queue_new(GROVE_FIFO, 8);
    atomic_store_explicit(&taken, 0, memory_order_relaxed);
    for (int i = 0; i < CONSUMERS; i++)
        worker[i] = must(grove_go(work, NULL));
    for (size_t round = 1; round <= harness_rounds(100); round++) {
        for (int i = 0; i < 20; i++)
            grove_queue_put(queue, &queue, GROVE_FOREVER);
        CHECK_EQUAL(grove_queue_join(queue, GROVE_FOREVER), 0);
        CHECK_EQUAL(atomic_load_explicit(&taken, memory_order_relaxed), 20 * round);
    }
    grove_queue_close(queue);
    for (int i = 0; i < CONSUMERS; i++)
        grove_await(worker[i]);
    grove_queue_free(queue);
}
EVERYWHERE(join_returns_when_all_is_done)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a bounded queue loses nothing", a_bounded_queue_loses_nothing),
        TEST("an unbounded queue loses nothing", an_unbounded_queue_loses_nothing),
        TEST("a channel loses nothing", a_channel_loses_nothing),
        TEST("kills race puts", kills_race_puts),
        TEST("kills race gets", kills_race_gets),
        TEST("join returns when all is done", join_returns_when_all_is_done),
    };
    return harness_main("queue_races", tests, sizeof tests / sizeof *tests);
}
