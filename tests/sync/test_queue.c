/* SPDX-License-Identifier: MIT */
#include <grove/queue.h>

#include "tests/sync/runtimes.h"

static void *item(intptr_t number)
{
    return (void *)number;
}

/* The next item without waiting, or -1. */
static intptr_t get_now(grove_queue_t *queue)
{
    void *got;

    return grove_queue_get(queue, 0, &got) == 0 ? (intptr_t)got : -1;
}

static int compare(const void *a, const void *b)
{
    return ((intptr_t)a > (intptr_t)b) - ((intptr_t)a < (intptr_t)b);
}

static void bad_arguments_are_refused(void)
{
    CHECK(grove_queue_new((grove_queue_kind)7, 0) == NULL && errno == EINVAL);
    CHECK(grove_priority_queue_new(0, NULL) == NULL && errno == EINVAL);
    grove_queue_t *queue = grove_queue_new(GROVE_FIFO, 0);
    void *got = item(5);
    CHECK_ERROR(grove_queue_put(queue, NULL, (double)NAN), EINVAL);
    CHECK_ERROR(grove_queue_get(queue, (double)NAN, &got), EINVAL);
    CHECK_ERROR(grove_queue_get(queue, 0, &got), EAGAIN);
    CHECK_ERROR(grove_queue_get(queue, 0.001, &got), ETIMEDOUT);
    CHECK_ERROR(grove_queue_peek(queue, 0, &got), EAGAIN);
    CHECK_EQUAL((intptr_t)got, 5); /* untouched by failures */
    CHECK_ERROR(grove_queue_task_done(queue), EINVAL);
    grove_queue_free(queue);
    grove_queue_free(NULL);
}
EVERYWHERE(bad_arguments_are_refused)

enum { MANY = 1000 };

static void a_fifo_keeps_the_order(void)
{
    grove_queue_t *queue = grove_queue_new(GROVE_FIFO, 0);
    void *front;

    CHECK(grove_queue_empty(queue));
    /* Puts and gets mixed, so that the ring wraps while it grows. */
    intptr_t expected = 0;
    for (intptr_t i = 0; i < MANY; i++) {
        CHECK_EQUAL(grove_queue_put(queue, item(i), i % 2 ? 0 : GROVE_FOREVER), 0);
        if (i % 3 == 0)
            CHECK_EQUAL(get_now(queue), expected++);
    }
    CHECK_EQUAL(grove_queue_size(queue), MANY - expected);
    CHECK(!grove_queue_full(queue));
    for (; expected < MANY; expected++) {
        CHECK_EQUAL(grove_queue_peek(queue, 0, &front), 0);
        CHECK_EQUAL((intptr_t)front, expected);
        CHECK_EQUAL(get_now(queue), expected);
    }
    CHECK(grove_queue_empty(queue));
    grove_queue_free(queue);
}
EVERYWHERE(a_fifo_keeps_the_order)

static void a_lifo_gives_the_newest(void)
{
    grove_queue_t *queue = grove_queue_new(GROVE_LIFO, 0);
    void *front;

    for (intptr_t i = 0; i < MANY; i++)
        CHECK_EQUAL(grove_queue_put(queue, item(i), 0), 0);
    for (intptr_t i = MANY - 1; i >= 0; i--) {
        CHECK_EQUAL(grove_queue_peek(queue, 0, &front), 0);
        CHECK_EQUAL((intptr_t)front, i);
        CHECK_EQUAL(get_now(queue), i);
    }
    grove_queue_free(queue);
}
EVERYWHERE(a_lifo_gives_the_newest)

static void a_priority_queue_gives_the_least(void)
{
    uint64_t state = harness_seed();
    grove_queue_t *queue = grove_priority_queue_new(0, compare);
    intptr_t previous = -1;
    void *front;

    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(grove_queue_put(queue, item(random_next(&state) % 500), 0), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQUAL(grove_queue_peek(queue, 0, &front), 0);
        intptr_t got = get_now(queue);
        CHECK_EQUAL((intptr_t)front, got);
        CHECK(got >= previous);
        previous = got;
    }
    CHECK(grove_queue_empty(queue));
    grove_queue_free(queue);
}
EVERYWHERE(a_priority_queue_gives_the_least)

static void a_full_queue_refuses(void)
{
    static const grove_queue_kind kinds[] = {GROVE_FIFO, GROVE_LIFO};

    for (int i = 0; i < 3; i++) {
        grove_queue_t *queue =
            i < 2 ? grove_queue_new(kinds[i], 2) : grove_priority_queue_new(2, compare);
        CHECK_EQUAL(grove_queue_put(queue, item(1), 0), 0);
        CHECK(!grove_queue_full(queue));
        CHECK_EQUAL(grove_queue_put(queue, item(2), 0), 0);
        CHECK(grove_queue_full(queue));
        CHECK_ERROR(grove_queue_put(queue, item(3), 0), EAGAIN);
        CHECK_ERROR(grove_queue_put(queue, item(3), 0.001), ETIMEDOUT);
        CHECK_EQUAL(grove_queue_size(queue), 2);
        grove_queue_free(queue);
    }
}
EVERYWHERE(a_full_queue_refuses)

static grove_queue_t *shared;
static intptr_t got_by[4];
static int served;

static void *get_and_note(void *arg)
{
    void *got = NULL;

    CHECK_EQUAL(grove_queue_get(shared, GROVE_FOREVER, &got), 0);
    got_by[(intptr_t)arg] = (intptr_t)got;
    served++;
    return NULL;
}

static void blocked_getters_are_served_in_order(void)
{
    grove_t *getter[4];

    shared = grove_queue_new(GROVE_FIFO, 0);
    served = 0;
    for (intptr_t i = 0; i < 4; i++)
        getter[i] = must(grove_spawn(get_and_note, (void *)i));
    grove_yield();
    for (intptr_t i = 0; i < 5; i++)
        grove_queue_put(shared, item(10 + i), GROVE_FOREVER);
    CHECK_EQUAL(served, 0); /* a put doesn't switch */
    /* Theirs are gone already: a newcomer gets what was put after them. */
    CHECK_EQUAL(get_now(shared), 14);
    for (int i = 0; i < 4; i++) {
        grove_await(getter[i]);
        CHECK_EQUAL(got_by[i], 10 + i);
    }
    grove_queue_free(shared);
}
EVERYWHERE(blocked_getters_are_served_in_order)

static void *put_number(void *arg)
{
    CHECK_EQUAL(grove_queue_put(shared, arg, GROVE_FOREVER), 0);
    served++;
    return NULL;
}

static void blocked_putters_are_served_in_order(void)
{
    grove_t *putter[4];

    shared = grove_queue_new(GROVE_FIFO, 1);
    served = 0;
    grove_queue_put(shared, item(9), 0);
    for (intptr_t i = 0; i < 4; i++)
        putter[i] = must(grove_spawn(put_number, item(10 + i)));
    grove_yield();
    CHECK_EQUAL(served, 0);
    /* The room that a get makes is taken by the first putter at once. */
    CHECK_EQUAL(get_now(shared), 9);
    CHECK_ERROR(grove_queue_put(shared, item(1), 0), EAGAIN);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(get_now(shared), 10 + i);
    CHECK_EQUAL(served, 0); /* a get doesn't switch */
    for (int i = 0; i < 4; i++)
        grove_await(putter[i]);
    grove_queue_free(shared);
}
EVERYWHERE(blocked_putters_are_served_in_order)

static void *peek_one(void *arg)
{
    void *front = NULL;

    (void)arg;
    CHECK_EQUAL(grove_queue_peek(shared, GROVE_FOREVER, &front), 0);
    return front;
}

static void blocked_peekers_leave_the_item(void)
{
    shared = grove_queue_new(GROVE_FIFO, 0);
    grove_t *peeker = must(grove_spawn(peek_one, NULL));
    grove_t *getter = must(grove_spawn(get_and_note, item(0)));
    grove_t *late = must(grove_spawn(peek_one, NULL));
    grove_yield();
    grove_queue_put(shared, item(1), 0);
    CHECK(grove_queue_empty(shared)); /* to the getter */
    grove_queue_put(shared, item(2), 0);
    CHECK_EQUAL(grove_queue_size(shared), 1); /* only looked at */
    CHECK_EQUAL((intptr_t)grove_await(peeker), 1);
    CHECK_EQUAL((intptr_t)grove_await(late), 2);
    grove_await(getter);
    CHECK_EQUAL(got_by[0], 1);
    CHECK_EQUAL(get_now(shared), 2);
    grove_queue_free(shared);
}
EVERYWHERE(blocked_peekers_leave_the_item)

static void *get_until_killed(void *arg)
{
    CHECK_ERROR(grove_queue_get(shared, GROVE_FOREVER, NULL), ECANCELED);
    return arg;
}

static void *put_until_killed(void *arg)
{
    CHECK_ERROR(grove_queue_put(shared, arg, GROVE_FOREVER), ECANCELED);
    return arg;
}

static void the_killed_take_and_put_nothing(void)
{
    shared = grove_queue_new(GROVE_FIFO, 1);
    grove_t *getter = must(grove_spawn(get_until_killed, NULL));
    grove_yield();
    CHECK_EQUAL(grove_kill(getter, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_queue_put(shared, item(1), 0), 0);
    CHECK_EQUAL(grove_queue_size(shared), 1);
    grove_t *putter = must(grove_spawn(put_until_killed, item(2)));
    grove_yield();
    CHECK_EQUAL(grove_kill(putter, GROVE_FOREVER), 0);
    CHECK_EQUAL(get_now(shared), 1);
    CHECK_EQUAL(get_now(shared), -1);
    grove_release(getter);
    grove_release(putter);
    grove_queue_free(shared);
}
EVERYWHERE(the_killed_take_and_put_nothing)

static void *join_it(void *arg)
{
    (void)arg;
    CHECK_EQUAL(grove_queue_join(shared, GROVE_FOREVER), 0);
    served++;
    return NULL;
}

static void join_waits_for_every_task(void)
{
    shared = grove_queue_new(GROVE_FIFO, 0);
    served = 0;
    CHECK_EQUAL(grove_queue_join(shared, 0), 0);
    grove_queue_put(shared, item(1), 0);
    grove_queue_put(shared, item(2), 0);
    CHECK_ERROR(grove_queue_join(shared, 0), ETIMEDOUT);
    CHECK_ERROR(grove_queue_join(shared, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_queue_join(shared, (double)NAN), EINVAL);
    grove_t *joiner = must(grove_spawn(join_it, NULL));
    get_now(shared);
    get_now(shared);
    CHECK_EQUAL(grove_queue_task_done(shared), 0);
    grove_yield();
    CHECK_EQUAL(served, 0); /* empty, but one is unfinished */
    CHECK_EQUAL(grove_queue_task_done(shared), 0);
    grove_await(joiner);
    CHECK_EQUAL(served, 1);
    CHECK_EQUAL(grove_queue_join(shared, GROVE_FOREVER), 0);
    CHECK_ERROR(grove_queue_task_done(shared), EINVAL);
    grove_queue_free(shared);
}
EVERYWHERE(join_waits_for_every_task)

static void *get_until_closed(void *arg)
{
    CHECK_ERROR(grove_queue_get(shared, GROVE_FOREVER, NULL), EPIPE);
    return arg;
}

static void *put_until_closed(void *arg)
{
    CHECK_ERROR(grove_queue_put(shared, arg, GROVE_FOREVER), EPIPE);
    return arg;
}

static void close_drains(void)
{
    shared = grove_queue_new(GROVE_FIFO, 2);
    grove_queue_put(shared, item(1), 0);
    grove_queue_put(shared, item(2), 0);
    grove_t *putter = must(grove_spawn(put_until_closed, item(3)));
    grove_yield();
    CHECK_EQUAL(grove_queue_close(shared), 0);
    CHECK_EQUAL(grove_queue_close(shared), 0);
    grove_await(putter);
    CHECK_ERROR(grove_queue_put(shared, item(4), 0), EPIPE);
    CHECK_ERROR(grove_queue_put(shared, item(4), GROVE_FOREVER), EPIPE);
    CHECK_EQUAL(get_now(shared), 1);
    CHECK_EQUAL(grove_queue_get(shared, GROVE_FOREVER, NULL), 0);
    CHECK_ERROR(grove_queue_get(shared, 0, NULL), EPIPE);
    CHECK_ERROR(grove_queue_get(shared, GROVE_FOREVER, NULL), EPIPE);
    CHECK_ERROR(grove_queue_peek(shared, GROVE_FOREVER, NULL), EPIPE);
    grove_queue_free(shared);
}
EVERYWHERE(close_drains)

static void close_wakes_getters(void)
{
    static const grove_queue_kind kinds[] = {GROVE_FIFO, GROVE_CHANNEL};

    for (int i = 0; i < 2; i++) {
        shared = grove_queue_new(kinds[i], 0);
        grove_t *getter = must(grove_spawn(get_until_closed, NULL));
        grove_yield();
        grove_queue_close(shared);
        grove_await(getter);
        grove_queue_free(shared);
    }
}
EVERYWHERE(close_wakes_getters)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("bad arguments are refused", bad_arguments_are_refused),
        TEST("a FIFO keeps the order", a_fifo_keeps_the_order),
        TEST("a LIFO gives the newest", a_lifo_gives_the_newest),
        TEST("a priority queue gives the least", a_priority_queue_gives_the_least),
        TEST("a full queue refuses", a_full_queue_refuses),
        TEST(
            "blocked getters are served in order", blocked_getters_are_served_in_order),
        TEST(
            "blocked putters are served in order", blocked_putters_are_served_in_order),
        TEST("blocked peekers leave the item", blocked_peekers_leave_the_item),
        TEST("the killed take and put nothing", the_killed_take_and_put_nothing),
        TEST("join waits for every task", join_waits_for_every_task),
        TEST("close drains", close_drains),
        TEST("close wakes getters", close_wakes_getters),
    };
    return harness_main("queue", tests, sizeof tests / sizeof *tests);
}
