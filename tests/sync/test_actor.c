/* SPDX-License-Identifier: MIT */
#include <grove/actor.h>
#include <grove/event.h>

#include "tests/sync/runtimes.h"

enum { MESSAGES = 20, SENDERS = 4 };

static const grove_attr_t anywhere = {.affinity = GROVE_ANY};
static int values[MESSAGES];

static void end_and_free(grove_actor_t *actor)
{
    CHECK_EQUAL(grove_actor_stop(actor), 0);
    CHECK_EQUAL(grove_actor_join(actor, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_actor_free(actor), 0);
}

/* The tutorial's example, which there goes on for ever. */
static grove_actor_t *pinger, *ponger;
static int pings, pongs;

static void ping(grove_actor_t *actor, void *message, void *arg)
{
    CHECK(actor == pinger && arg == &pings);
    CHECK_STRING(message, pings ? "pong" : "start");
    if (++pings == MESSAGES)
        grove_actor_stop(ponger), grove_actor_stop(pinger);
    else
        CHECK_EQUAL(grove_actor_send(ponger, (void *)"ping", GROVE_FOREVER), 0);
}

static void pong(grove_actor_t *actor, void *message, void *arg)
{
    CHECK(actor == ponger && arg == &pongs);
    CHECK_STRING(message, "ping");
    pongs++;
    CHECK_EQUAL(grove_actor_send(pinger, (void *)"pong", GROVE_FOREVER), 0);
}

static void ping_pong(void)
{
    for (int i = 0; i < 2; i++) {
        const grove_attr_t *attr = i ? &anywhere : NULL;
        pings = pongs = 0;
        pinger = grove_actor_new_with(attr, 0, ping, &pings);
        ponger = grove_actor_new_with(attr, 0, pong, &pongs);
        CHECK_EQUAL(grove_actor_send(pinger, (void *)"start", GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_actor_join(pinger, GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_actor_join(ponger, GROVE_FOREVER), 0);
        CHECK_EQUAL(pings, MESSAGES);
        CHECK_EQUAL(pongs, MESSAGES - 1);
        CHECK_EQUAL(grove_actor_free(pinger), 0);
        CHECK_EQUAL(grove_actor_free(ponger), 0);
    }
}
EVERYWHERE(ping_pong)

static void expect_next(grove_actor_t *actor, void *message, void *arg)
{
    int *next = arg;

    (void)actor;
    CHECK(message == &values[*next]);
    ++*next;
    grove_yield();
}

static void stop_drains_in_order(void)
{
    int next = 0;
    grove_actor_t *actor = grove_actor_new(expect_next, &next);

    for (int i = 0; i < MESSAGES; i++)
        CHECK_EQUAL(grove_actor_send(actor, &values[i], 0), 0);
    CHECK_EQUAL(next, 0); /* a send never switches to the actor */
    CHECK_ERROR(grove_actor_free(actor), EBUSY);
    CHECK_ERROR(grove_actor_take(actor, NULL), EBUSY);
    grove_actor_stop(actor);
    CHECK_ERROR(grove_actor_send(actor, &values[0], GROVE_FOREVER), EPIPE);
    CHECK_ERROR(grove_actor_join(actor, 0), ETIMEDOUT);
    CHECK_EQUAL(grove_actor_join(actor, GROVE_FOREVER), 0);
    CHECK_EQUAL(next, MESSAGES);
    CHECK_EQUAL(grove_actor_free(actor), 0);
}
EVERYWHERE(stop_drains_in_order)

static grove_event_t never = GROVE_EVENT_INIT;
static atomic_int entered;

static void block(grove_actor_t *actor, void *message, void *arg)
{
    (void)message;
    (void)arg;
    CHECK_ERROR(grove_actor_join(actor, GROVE_FOREVER), EDEADLK);
    raise_flag(&entered);
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), ECANCELED);
}

static void take_all(grove_actor_t *actor, int from, int to)
{
    void *message;

    for (int i = from; i < to; i++) {
        CHECK_EQUAL(grove_actor_take(actor, &message), 0);
        CHECK(message == &values[i]);
    }
    CHECK_ERROR(grove_actor_take(actor, &message), ENOENT);
}

static void a_kill_leaves_messages_to_the_owner(void)
{
    grove_actor_t *actor = grove_actor_new_with(&anywhere, 0, block, NULL);

    atomic_store_explicit(&entered, 0, memory_order_relaxed);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(grove_actor_send(actor, &values[i], GROVE_FOREVER), 0);
    until(&entered);
    grove_actor_kill(actor);
    CHECK_EQUAL(grove_actor_join(actor, GROVE_FOREVER), 0);
    CHECK_ERROR(grove_actor_free(actor), EBUSY);
    take_all(actor, 1, 3);
    CHECK_EQUAL(grove_actor_free(actor), 0);
}
EVERYWHERE(a_kill_leaves_messages_to_the_owner)

static void killed_before_it_ran(void)
{
    grove_actor_t *actor = grove_actor_new(block, NULL);

    CHECK_EQUAL(grove_actor_send(actor, &values[0], 0), 0);
    grove_actor_kill(actor);
    CHECK_EQUAL(grove_actor_join(actor, GROVE_FOREVER), 0);
    CHECK(grove_value(grove_actor_greenlet(actor)) == GROVE_KILLED);
    take_all(actor, 0, 1);
    CHECK_EQUAL(grove_actor_free(actor), 0);
}
EVERYWHERE(killed_before_it_ran)

/* Of one place. */
static void send_twice_to_itself(grove_actor_t *actor, void *message, void *arg)
{
    (void)arg;
    if (message != &values[0])
        return;
    CHECK_EQUAL(grove_actor_send(actor, &values[1], GROVE_FOREVER), 0);
    CHECK_ERROR(grove_actor_send(actor, &values[2], GROVE_FOREVER), EDEADLK);
    CHECK_ERROR(grove_actor_send(actor, &values[2], 1000), EDEADLK);
    CHECK_ERROR(grove_actor_send(actor, &values[2], (double)NAN), EINVAL);
    CHECK_ERROR(grove_actor_send(actor, &values[2], 0), EAGAIN);
    grove_actor_stop(actor);
    CHECK_ERROR(grove_actor_send(actor, &values[2], GROVE_FOREVER), EPIPE);
}

static void it_never_waits_for_itself(void)
{
    grove_actor_t *actor =
        grove_actor_new_with(&anywhere, 1, send_twice_to_itself, NULL);

    CHECK_EQUAL(grove_actor_send(actor, &values[0], GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_actor_join(actor, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_actor_free(actor), 0);
}
EVERYWHERE(it_never_waits_for_itself)

static void fail(grove_actor_t *actor, void *message, void *arg)
{
    (void)actor;
    (void)message;
    (void)arg;
    grove_fail(EIO, "by design");
}

static void *send_when_full(void *actor)
{
    CHECK_ERROR(grove_actor_send(actor, &values[2], GROVE_FOREVER), EPIPE);
    return NULL;
}

static void a_failure_ends_it(void)
{
    grove_actor_t *actor = grove_actor_new_with(NULL, 1, fail, NULL);

    CHECK_EQUAL(grove_actor_send(actor, &values[0], GROVE_FOREVER), 0);
    CHECK_ERROR(grove_actor_send(actor, &values[1], 0), EAGAIN);
    CHECK_EQUAL(grove_actor_send(actor, &values[1], GROVE_FOREVER), 0);
    grove_t *sender = must(grove_spawn(send_when_full, actor));
    CHECK_EQUAL(grove_actor_join(actor, GROVE_FOREVER), 0);
    grove_await(sender);
    CHECK_EQUAL(grove_error(grove_actor_greenlet(actor)), EIO);
    CHECK_ERROR(grove_actor_send(actor, &values[0], GROVE_FOREVER), EPIPE);
    take_all(actor, 1, 2);
    CHECK_EQUAL(grove_actor_free(actor), 0);
}
EVERYWHERE(a_failure_ends_it)

static void bad_arguments(void)
{
    const grove_attr_t bad = {.affinity = (grove_affinity_t)9};

    CHECK(grove_actor_new(NULL, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    CHECK(grove_actor_new_with(&bad, 0, block, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    CHECK_EQUAL(grove_actor_free(NULL), 0);
    end_and_free(grove_actor_new(block, NULL));
}
EVERYWHERE(bad_arguments)

/* Every message sent was either dealt with or is given back, whenever the end came. */
static atomic_size_t handled, sent;
static grove_actor_t *target;

static void count(grove_actor_t *actor, void *message, void *arg)
{
    (void)actor;
    (void)message;
    (void)arg;
    if (atomic_fetch_add_explicit(&handled, 1, memory_order_relaxed) % 8 == 7)
        grove_yield();
}

static void *send_until_closed(void *arg)
{
    uint64_t state = (uintptr_t)arg;

    for (;;) {
        double timeout = random_next(&state) % 2 ? GROVE_FOREVER : 0.00002;
        if (grove_actor_send(target, &values[0], timeout) == 0)
            atomic_fetch_add_explicit(&sent, 1, memory_order_relaxed);
        else if (errno == EPIPE)
            return NULL;
        if (random_next(&state) % 16 == 0)
            grove_yield();
    }
}

static void ends_race_with_sends(void)
{
    uint64_t state = harness_seed();
    grove_t *sender[SENDERS];

    for (size_t round = harness_rounds(200); round > 0; round--) {
        size_t left = 0;
        atomic_store_explicit(&handled, 0, memory_order_relaxed);
        atomic_store_explicit(&sent, 0, memory_order_relaxed);
        target = grove_actor_new_with(&anywhere, random_next(&state) % 4, count, NULL);
        for (int i = 0; i < SENDERS; i++)
            sender[i] = must(
                grove_go(send_until_closed, (void *)(uintptr_t)random_next(&state)));
        for (uint32_t n = random_next(&state) % 8; n > 0; n--)
            grove_yield();
        if (random_next(&state) % 2)
            grove_actor_kill(target);
        else
            grove_actor_stop(target);
        CHECK_EQUAL(grove_actor_join(target, GROVE_FOREVER), 0);
        for (int i = 0; i < SENDERS; i++)
            grove_await(sender[i]);
        while (grove_actor_take(target, NULL) == 0)
            left++;
        CHECK_EQUAL(atomic_load(&handled) + left, atomic_load(&sent));
        CHECK_EQUAL(grove_actor_free(target), 0);
    }
}
EVERYWHERE(ends_race_with_sends)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("ping pong", ping_pong),
        TEST("stop drains in order", stop_drains_in_order),
        TEST(
            "a kill leaves messages to the owner", a_kill_leaves_messages_to_the_owner),
        TEST("killed before it ran", killed_before_it_ran),
        TEST("it never waits for itself", it_never_waits_for_itself),
        TEST("a failure ends it", a_failure_ends_it),
        TEST("bad arguments", bad_arguments),
        TEST("ends race with sends", ends_race_with_sends),
    };
    return harness_main("actor", tests, sizeof tests / sizeof *tests);
}
