/* SPDX-License-Identifier: MIT */
#include <grove/queue.h>

#include "tests/sync/runtimes.h"

static grove_queue_t *channel;
static bool put_returned;

static void *item(intptr_t number)
{
    return (void *)number;
}

static void holds_nothing(void)
{
    channel = grove_queue_new(GROVE_CHANNEL, 0);
    CHECK(grove_queue_empty(channel));
    CHECK(grove_queue_full(channel));
    CHECK_ERROR(grove_queue_put(channel, item(1), 0), EAGAIN);
    CHECK_ERROR(grove_queue_put(channel, item(1), 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_queue_get(channel, 0, NULL), EAGAIN);
    CHECK_ERROR(grove_queue_get(channel, 0.001, NULL), ETIMEDOUT);
    CHECK_ERROR(grove_queue_peek(channel, 0, NULL), ENOTSUP);
    CHECK_EQUAL(grove_queue_size(channel), 0);
    grove_queue_free(channel);
}
EVERYWHERE(holds_nothing)

static void *put_one(void *arg)
{
    CHECK_EQUAL(grove_queue_put(channel, arg, GROVE_FOREVER), 0);
    put_returned = true;
    return NULL;
}

static void a_put_waits_for_its_getter(void)
{
    void *got = NULL;

    channel = grove_queue_new(GROVE_CHANNEL, 0);
    put_returned = false;
    grove_t *putter = must(grove_spawn(put_one, item(7)));
    grove_yield();
    grove_yield();
    CHECK(!put_returned);
    CHECK_EQUAL(grove_queue_size(channel), 0);
    CHECK_EQUAL(grove_queue_get(channel, 0, &got), 0);
    CHECK_EQUAL((intptr_t)got, 7);
    grove_await(putter);
    CHECK(put_returned);
    grove_queue_free(channel);
}
EVERYWHERE(a_put_waits_for_its_getter)

static void *get_one(void *arg)
{
    void *got = NULL;

    (void)arg;
    CHECK_EQUAL(grove_queue_get(channel, GROVE_FOREVER, &got), 0);
    return got;
}

static void a_put_to_a_blocked_getter_does_not_block(void)
{
    channel = grove_queue_new(GROVE_CHANNEL, 0);
    grove_t *getter = must(grove_spawn(get_one, NULL));
    grove_yield();
    CHECK_EQUAL(grove_queue_put(channel, item(8), 0), 0);
    CHECK_ERROR(grove_queue_put(channel, item(9), 0), EAGAIN); /* it has its item */
    CHECK_EQUAL((intptr_t)grove_await(getter), 8);
    grove_queue_free(channel);
}
EVERYWHERE(a_put_to_a_blocked_getter_does_not_block)

enum { TRIPS = 2000 };

static grove_queue_t *back;

static void *send_back(void *arg)
{
    for (size_t i = harness_rounds(TRIPS); i > 0; i--) {
        void *got = NULL;
        CHECK_EQUAL(grove_queue_get(channel, GROVE_FOREVER, &got), 0);
        CHECK_EQUAL(grove_queue_put(back, got, GROVE_FOREVER), 0);
    }
    return arg;
}

static void play(bool thread)
{
    pthread_t other;
    grove_t *greenlet = NULL;

    channel = grove_queue_new(GROVE_CHANNEL, 0);
    back = grove_queue_new(GROVE_CHANNEL, 0);
    if (!thread)
        greenlet = must(grove_go(send_back, NULL));
    else if (!CHECK_EQUAL(pthread_create(&other, NULL, send_back, NULL), 0))
        return;
    for (intptr_t i = (intptr_t)harness_rounds(TRIPS); i > 0; i--) {
        void *got = NULL;
        CHECK_EQUAL(grove_queue_put(channel, item(i), GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_queue_get(back, GROVE_FOREVER, &got), 0);
        CHECK_EQUAL((intptr_t)got, i);
    }
    if (thread)
        pthread_join(other, NULL);
    else
        grove_await(greenlet);
    grove_queue_free(channel);
    grove_queue_free(back);
}

static void greenlets_play_ball(void)
{
    play(false);
}
EVERYWHERE(greenlets_play_ball)

static void a_thread_plays_ball(void)
{
    play(true);
}
EVERYWHERE(a_thread_plays_ball)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("holds nothing", holds_nothing),
        TEST("a put waits for its getter", a_put_waits_for_its_getter),
        TEST("a put to a blocked getter does not block",
            a_put_to_a_blocked_getter_does_not_block),
        TEST("greenlets play ball", greenlets_play_ball),
        TEST("a thread plays ball", a_thread_plays_ball),
    };
    return harness_main("channel", tests, sizeof tests / sizeof *tests);
}
