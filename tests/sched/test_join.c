/* SPDX-License-Identifier: MIT */
/* Waiting for greenlets: await, join, get, joinall, wait. */
#include "tests/sched/runtimes.h"

static grove_t *must_both(int i, grove_fn fn, void *arg)
{
    return must(i % 2 ? grove_go(fn, arg) : grove_spawn(fn, arg));
}

static void *yield_and_return(void *arg)
{
    grove_yield();
    return arg;
}

static void *sleep_forever(void *arg)
{
    CHECK_ERROR(grove_sleep(1e6), ECANCELED);
    return arg;
}

static void *fail_softly(void *arg)
{
    grove_fail((int)(intptr_t)arg, "no luck today");
}

static void await_takes_the_value(void)
{
    CHECK(grove_await(must(grove_spawn(yield_and_return, (void *)5))) == (void *)5);
    CHECK(grove_await(must(grove_go(yield_and_return, (void *)6))) == (void *)6);
    errno = EBUSY;
    CHECK(grove_await(must(grove_spawn(yield_and_return, NULL))) == NULL);
    CHECK_EQUAL(errno, 0);
}
EVERYWHERE(await_takes_the_value)

static void await_of_an_ended_one(void)
{
    grove_t *g = must(grove_spawn(yield_and_return, (void *)5));

    grove_join(g, GROVE_FOREVER);
    CHECK(grove_await(g) == (void *)5);
}
EVERYWHERE(await_of_an_ended_one)

static void a_failure_is_reported(void)
{
    void *value = &value;
    grove_t *g = must(grove_spawn(fail_softly, (void *)EDOM));

    grove_retain(g);
    errno = 0;
    CHECK(grove_await(g) == NULL);
    CHECK_EQUAL(errno, EDOM);
    CHECK_ERROR(grove_get(g, GROVE_FOREVER, &value), EDOM);
    CHECK(value == &value);
    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    CHECK(grove_ready(g));
    CHECK(!grove_successful(g));
    CHECK(grove_value(g) == NULL);
    CHECK_EQUAL(grove_error(g), EDOM);
    CHECK_STRING(grove_error_text(g), "no luck today");
    grove_release(g);
}
EVERYWHERE(a_failure_is_reported)

static void get_takes_the_value(void)
{
    void *value = NULL;
    grove_t *g = must(grove_spawn(yield_and_return, &value));

    CHECK_ERROR(grove_get(g, 0, &value), ETIMEDOUT);
    CHECK(value == NULL);
    CHECK_EQUAL(grove_get(g, GROVE_FOREVER, &value), 0);
    CHECK(value == &value);
    CHECK_EQUAL(grove_get(g, 0, NULL), 0);
    grove_release(g);
}
EVERYWHERE(get_takes_the_value)

static void timeouts(void)
{
    grove_t *g = must(grove_spawn(sleep_forever, NULL));
    grove_t *done[1];

    CHECK_ERROR(grove_join(g, 0), ETIMEDOUT);
    CHECK_ERROR(grove_join(g, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_join(g, (double)NAN), EINVAL);
    CHECK_ERROR(grove_get(g, 0.001, NULL), ETIMEDOUT);
    CHECK_ERROR(grove_joinall(&g, 1, 0), ETIMEDOUT);
    CHECK_ERROR(grove_joinall(&g, 1, 0.001), ETIMEDOUT);
    CHECK_EQUAL(grove_wait(&g, 1, 0, 0, done), 0);
    CHECK_EQUAL(grove_wait(&g, 1, 0, 0.001, done), 0);
    CHECK_ERROR(grove_wait(&g, 1, 0, (double)NAN, done), EINVAL);
    CHECK(!grove_ready(g));
    grove_kill(g, GROVE_FOREVER);
    CHECK_EQUAL(grove_join(g, 0), 0);
    grove_release(g);
}
EVERYWHERE(timeouts)

static void *join_self(void *arg)
{
    grove_t **self = arg;

    CHECK_ERROR(grove_join(*self, 0), ETIMEDOUT);
    CHECK_ERROR(grove_join(*self, 0.001), EDEADLK);
    CHECK_ERROR(grove_join(*self, GROVE_FOREVER), EDEADLK);
    CHECK_ERROR(grove_joinall(self, 1, GROVE_FOREVER), EDEADLK);
    CHECK_ERROR(grove_get(*self, GROVE_FOREVER, NULL), EDEADLK);
    errno = 0;
    CHECK(grove_await(grove_retain(*self)) == NULL);
    CHECK_EQUAL(errno, EDEADLK);
    return arg;
}

static void nobody_joins_himself(void)
{
    grove_t *g = must(grove_spawn(join_self, &g));

    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    grove_release(g);
    CHECK_ERROR(grove_join(grove_current(), GROVE_FOREVER), EDEADLK);
}
EVERYWHERE(nobody_joins_himself)

enum { JOINERS = 20 };

static int order[JOINERS], joined;

struct joiner {
    grove_t *target;
    int number;
};

static void *join_and_note(void *arg)
{
    struct joiner *me = arg;

    CHECK_EQUAL(grove_join(me->target, me->number % 3 ? GROVE_FOREVER : 1e6), 0);
    order[joined++] = me->number;
    return NULL;
}

static void many_joiners_in_the_order_of_their_calls(void)
{
    struct joiner joiner[JOINERS];
    grove_t *g[JOINERS],
        *target = must(grove_spawn_later(0.001, yield_and_return, order));

    joined = 0;
    for (int i = 0; i < JOINERS; i++) {
        joiner[i] = (struct joiner){target, i};
        g[i] = must(grove_spawn(join_and_note, &joiner[i]));
    }
    CHECK_EQUAL(grove_joinall(g, JOINERS, GROVE_FOREVER), 0);
    for (int i = 0; i < JOINERS; i++) {
        CHECK_EQUAL(order[i], i);
        grove_release(g[i]);
    }
    CHECK(grove_await(target) == order);
}
EVERYWHERE(many_joiners_in_the_order_of_their_calls)

static void *join_value(void *arg)
{
    void *value = NULL;

    CHECK_EQUAL(grove_get(arg, GROVE_FOREVER, &value), 0);
    return value;
}

static void join_value_in_thread(void *arg)
{
    CHECK(join_value(arg) == order);
    CHECK(grove_current() == NULL); /* it has waited natively */
}

static void joiners_on_other_threads(void)
{
    for (size_t round = harness_rounds(100); round > 0; round--) {
        grove_t *target = must_both(round % 2, yield_and_return, order);
        grove_t *joiner[8];
        for (int i = 0; i < 8; i++)
            joiner[i] = must(grove_go(join_value, target));
        if (round % 8 == 0)
            in_thread(join_value_in_thread, target);
        for (int i = 0; i < 8; i++)
            CHECK(grove_await(joiner[i]) == order);
        CHECK(grove_await(target) == order);
    }
}
EVERYWHERE(joiners_on_other_threads)

static void timed_join_in_thread(void *arg)
{
    CHECK_ERROR(grove_join(arg, 0.002), ETIMEDOUT);
    CHECK_ERROR(grove_join(arg, 0), ETIMEDOUT);
}

static void a_plain_thread_times_out(void)
{
    grove_t *g = must(grove_spawn(sleep_forever, NULL));

    in_thread(timed_join_in_thread, g);
    grove_kill(g, GROVE_FOREVER);
    grove_release(g);
}
EVERYWHERE(a_plain_thread_times_out)

/* The ends of greenlets and the timeouts of those who join them at about the same time.
 */
static void *timed_join(void *arg)
{
    int result = grove_join(arg, 0.00003);

    CHECK(result == 0 || errno == ETIMEDOUT);
    return NULL;
}

static void ends_and_timeouts_race(void)
{
    for (size_t round = harness_rounds(1000); round > 0; round--) {
        grove_attr_t attr = {
            .delay = 0.00003, .affinity = round % 2 ? GROVE_ANY : GROVE_LOCAL};
        grove_t *target = must(grove_spawn_with(&attr, yield_and_return, order));
        grove_t *a = must(grove_spawn(timed_join, target));
        grove_t *b = must(grove_go(timed_join, target));
        grove_await(a);
        grove_await(b);
        CHECK(grove_await(target) == order);
    }
}
EVERYWHERE(ends_and_timeouts_race)

static void joinall_waits_for_all(void)
{
    grove_t *g[50];

    for (int i = 0; i < 50; i++)
        g[i] = must_both(i, i % 3 ? yield_and_return : fail_softly, (void *)EDOM);
    CHECK_EQUAL(grove_joinall(g, 50, 1e6), 0);
    for (int i = 0; i < 50; i++) {
        CHECK(grove_ready(g[i]));
        grove_release(g[i]);
    }
    CHECK_EQUAL(grove_joinall(NULL, 0, GROVE_FOREVER), 0);
}
EVERYWHERE(joinall_waits_for_all)

static void *take_turns(void *arg)
{
    for (int turns = *(const int *)arg; turns > 0; turns--)
        grove_yield();
    return arg;
}

static void wait_gives_the_order_of_ends(void)
{
    static const int turns[] = {6, 2, 4};
    grove_t *g[3], *done[3] = {NULL};

    for (int i = 0; i < 3; i++)
        g[i] = must(grove_spawn(take_turns, (void *)&turns[i]));
    CHECK_EQUAL(grove_wait(g, 3, 0, GROVE_FOREVER, done), 3);
    CHECK(done[0] == g[1]);
    CHECK(done[1] == g[2]);
    CHECK(done[2] == g[0]);
    CHECK_EQUAL(grove_wait(g, 3, 99, GROVE_FOREVER, done), 3); /* all ended already */
    CHECK(done[0] == g[0]);
    for (int i = 0; i < 3; i++)
        grove_release(g[i]);
}
EVERYWHERE(wait_gives_the_order_of_ends)

static void wait_for_the_first_of_many(void)
{
    grove_t *g[10], *done[10] = {NULL};

    for (int i = 0; i < 10; i++)
        g[i] = must(grove_spawn(i == 7 ? yield_and_return : sleep_forever, NULL));
    CHECK_EQUAL(grove_wait(g, 10, 1, GROVE_FOREVER, done), 1);
    CHECK(done[0] == g[7]);
    CHECK(done[1] == NULL);
    /* An ended one counts again; the time runs out with fewer than asked for. */
    CHECK_EQUAL(grove_wait(g, 10, 2, 0.001, done), 1);
    CHECK(done[0] == g[7]);
    CHECK_EQUAL(grove_wait(g, 10, 1, 0, done), 1);
    CHECK_EQUAL(grove_wait(NULL, 0, 0, GROVE_FOREVER, NULL), 0);
    CHECK_EQUAL(grove_killall(g, 10, GROVE_FOREVER), 0);
    for (int i = 0; i < 10; i++)
        grove_release(g[i]);
}
EVERYWHERE(wait_for_the_first_of_many)

static void *wait_until_killed(void *arg)
{
    grove_t **g = arg, *done[2];

    CHECK_ERROR(grove_wait(g, 2, 0, GROVE_FOREVER, done), ECANCELED);
    return NULL;
}

static void a_kill_ends_a_wait_for_many(void)
{
    grove_t *g[2] = {
        must(grove_spawn(sleep_forever, NULL)), must(grove_go(sleep_forever, NULL))};
    grove_t *waiter = must(grove_spawn(wait_until_killed, g));

    grove_yield();
    CHECK_EQUAL(grove_kill(waiter, GROVE_FOREVER), 0);
    grove_release(waiter);
    /* No link of that wait is left. */
    CHECK_EQUAL(grove_killall(g, 2, GROVE_FOREVER), 0);
    grove_release(g[0]);
    grove_release(g[1]);
}
EVERYWHERE(a_kill_ends_a_wait_for_many)

static void wait_counts_each_end_once(void)
{
    enum { COUNT = 64 };
    grove_t *g[COUNT], *done[COUNT];

    for (size_t round = harness_rounds(100); round > 0; round--) {
        for (int i = 0; i < COUNT; i++)
            g[i] = must_both(i, yield_and_return, (void *)(intptr_t)i);
        CHECK_EQUAL(grove_wait(g, COUNT, 0, GROVE_FOREVER, done), COUNT);
        uint64_t seen = 0;
        for (int i = 0; i < COUNT; i++)
            seen |= (uint64_t)1 << (intptr_t)grove_value(done[i]);
        CHECK_EQUAL(seen, UINT64_MAX);
        for (int i = 0; i < COUNT; i++)
            grove_release(g[i]);
    }
}
EVERYWHERE(wait_counts_each_end_once)

static void *await_child(void *arg)
{
    if (arg == NULL)
        return NULL;
    grove_t *child = must(grove_go(await_child, (void *)((intptr_t)arg - 1)));
    return (void *)((intptr_t)grove_await(child) + 1);
}

static void chains_of_awaits(void)
{
    grove_t *g[10];

    for (int i = 0; i < 10; i++)
        g[i] = must_both(i, await_child, (void *)100);
    for (int i = 0; i < 10; i++)
        CHECK_EQUAL((intptr_t)grove_await(g[i]), 100);
}
EVERYWHERE(chains_of_awaits)

static void *await_that(void *arg)
{
    errno = 0;
    CHECK(grove_await(arg) == NULL);
    CHECK_EQUAL(errno, ECANCELED);
    return NULL;
}

/* A killed await lets go of its reference and of nothing else. */
static void a_kill_ends_an_await(void)
{
    static const grove_affinity_t affinities[] = {GROVE_LOCAL, GROVE_ANY};

    for (int i = 0; i < 2; i++) {
        grove_attr_t attr = {.affinity = affinities[i]};
        grove_t *target = must(grove_spawn_with(&attr, sleep_forever, NULL));
        grove_t *waiter = must(grove_spawn(await_that, grove_retain(target)));
        grove_yield();
        CHECK_EQUAL(grove_kill(waiter, GROVE_FOREVER), 0);
        CHECK(!grove_ready(target));
        grove_release(waiter);
        CHECK_EQUAL(grove_kill(target, GROVE_FOREVER), 0);
        grove_release(target);
    }
}
EVERYWHERE(a_kill_ends_an_await)

static void a_timeout_ends_an_await(void)
{
    grove_timeout_t timeout;
    grove_t *target = must(grove_spawn(sleep_forever, NULL));

    grove_timeout_start(&timeout, 0.001);
    errno = 0;
    CHECK(grove_await(grove_retain(target)) == NULL);
    CHECK_EQUAL(errno, ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(grove_kill(target, GROVE_FOREVER), 0);
    grove_release(target);
}
EVERYWHERE(a_timeout_ends_an_await)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("await takes the value", await_takes_the_value),
        TEST("await of an ended one", await_of_an_ended_one),
        TEST("a failure is reported", a_failure_is_reported),
        TEST("get takes the value", get_takes_the_value),
        TEST("timeouts", timeouts),
        TEST("nobody joins himself", nobody_joins_himself),
        TEST("many joiners in the order of their calls",
            many_joiners_in_the_order_of_their_calls),
        TEST("joiners on other threads", joiners_on_other_threads),
        TEST("a plain thread times out", a_plain_thread_times_out),
        TEST("ends and timeouts race", ends_and_timeouts_race),
        TEST("joinall waits for all", joinall_waits_for_all),
        TEST("wait gives the order of ends", wait_gives_the_order_of_ends),
        TEST("wait for the first of many", wait_for_the_first_of_many),
        TEST("a kill ends a wait for many", a_kill_ends_a_wait_for_many),
        TEST("wait counts each end once", wait_counts_each_end_once),
        TEST("chains of awaits", chains_of_awaits),
        TEST("a kill ends an await", a_kill_ends_an_await),
        TEST("a timeout ends an await", a_timeout_ends_an_await),
    };
    return harness_main("join", tests, sizeof tests / sizeof *tests);
}
