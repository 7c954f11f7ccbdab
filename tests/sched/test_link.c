/* SPDX-License-Identifier: MIT */
/* Links: callbacks at the end of a greenlet. */
#include "tests/sched/runtimes.h"

static int trace[32], traced;

static void note(grove_t *g, void *arg)
{
    CHECK(grove_ready(g));
    trace[traced++] = (int)(intptr_t)arg;
}

static void *yield_and_return(void *arg)
{
    grove_yield();
    return arg;
}

static void expect_trace(const int *expected, int n)
{
    if (CHECK_EQUAL(traced, n))
        for (int i = 0; i < n; i++)
            CHECK_EQUAL(trace[i], expected[i]);
    traced = 0;
}

static void links_run_once_in_link_order(void)
{
    grove_t *g = must(grove_spawn(yield_and_return, NULL));

    traced = 0;
    for (intptr_t i = 0; i < 5; i++)
        CHECK_EQUAL(grove_link(g, note, (void *)i), 0);
    CHECK_EQUAL(traced, 0);
    grove_join(g, GROVE_FOREVER);
    expect_trace((int[]){0, 1, 2, 3, 4}, 5);
    grove_yield();
    CHECK_EQUAL(traced, 0);
    grove_release(g);
}
EVERYWHERE(links_run_once_in_link_order)

static void unlink_takes_out_the_oldest(void)
{
    grove_t *g = must(grove_spawn(yield_and_return, NULL));

    traced = 0;
    CHECK_ERROR(grove_unlink(g, note, (void *)1), ENOENT);
    grove_link(g, note, (void *)1);
    grove_link(g, note, (void *)2);
    grove_link(g, note, (void *)1);
    CHECK_EQUAL(grove_unlink(g, note, (void *)1), 0);
    CHECK_ERROR(grove_unlink(g, note, (void *)3), ENOENT);
    grove_join(g, GROVE_FOREVER);
    expect_trace((int[]){2, 1}, 2);
    CHECK_ERROR(grove_unlink(g, note, (void *)1), ENOENT);
    grove_release(g);
}
EVERYWHERE(unlink_takes_out_the_oldest)

static void all_can_be_unlinked(void)
{
    grove_t *g = must(grove_spawn(yield_and_return, NULL));

    traced = 0;
    for (intptr_t i = 0; i < 3; i++)
        grove_link(g, note, (void *)i);
    for (intptr_t i = 2; i >= 0; i--)
        CHECK_EQUAL(grove_unlink(g, note, (void *)i), 0);
    grove_link(g, note, (void *)9);
    grove_join(g, GROVE_FOREVER);
    expect_trace((int[]){9}, 1);
    grove_release(g);
}
EVERYWHERE(all_can_be_unlinked)

static void a_link_to_an_ended_one_runs_at_once(void)
{
    grove_t *g = must(grove_spawn(yield_and_return, NULL));

    grove_join(g, GROVE_FOREVER);
    traced = 0;
    CHECK_EQUAL(grove_link(g, note, (void *)4), 0);
    expect_trace((int[]){4}, 1);
    grove_release(g);
}
EVERYWHERE(a_link_to_an_ended_one_runs_at_once)

static void a_link_needs_a_function(void)
{
    CHECK_ERROR(grove_link(grove_current(), NULL, NULL), EINVAL);
}
EVERYWHERE(a_link_needs_a_function)

/* A link may look at the end, link again, spawn, but not block. */
static pthread_t *expected_thread;

static void look(grove_t *g, void *arg)
{
    CHECK(grove_ready(g));
    CHECK(grove_value(g) == arg);
    CHECK(grove_current() == NULL);
    CHECK_ERROR(grove_sleep(0), EDEADLK);
    CHECK_ERROR(grove_sleep(1), EDEADLK);
    CHECK_ERROR(grove_idle(), EDEADLK);
    grove_t *other = must(grove_spawn(yield_and_return, NULL));
    CHECK_ERROR(grove_join(other, GROVE_FOREVER), EDEADLK);
    CHECK_ERROR(grove_join(other, 0), ETIMEDOUT);
    grove_link(other, note, (void *)8);
    grove_release(other);
    grove_link(g, note, (void *)7);
    CHECK(pthread_equal(*expected_thread, pthread_self()));
}

static void *note_own_thread(void *arg)
{
    *expected_thread = pthread_self();
    grove_yield();
    return arg;
}

static void links_run_in_the_hub_of_the_ended(void)
{
    pthread_t thread;

    for (int i = 0; i < 2; i++) {
        expected_thread = &thread;
        traced = 0;
        grove_attr_t attr = {.deferred = true, .affinity = i ? GROVE_ANY : GROVE_LOCAL};
        grove_t *g = must(grove_spawn_with(&attr, note_own_thread, &thread));
        grove_link(g, look, &thread);
        grove_start(g);
        CHECK(grove_await(g) == &thread);
        while (traced < 2)
            grove_sleep(0.0001);
        expect_trace((int[]){7, 8}, 2);
    }
}
EVERYWHERE(links_run_in_the_hub_of_the_ended)

static void unlink_next(grove_t *g, void *arg)
{
    note(g, arg);
    CHECK_ERROR(grove_unlink(g, note, (void *)2), ENOENT); /* being called already */
}

static void a_link_may_try_to_unlink(void)
{
    grove_t *g = must(grove_spawn(yield_and_return, NULL));

    traced = 0;
    grove_link(g, unlink_next, (void *)1);
    grove_link(g, note, (void *)2);
    grove_join(g, GROVE_FOREVER);
    expect_trace((int[]){1, 2}, 2);
    grove_release(g);
}
EVERYWHERE(a_link_may_try_to_unlink)

/* Joiners and links stand in one queue. */
static void *join_and_trace(void *arg)
{
    grove_join(arg, GROVE_FOREVER);
    trace[traced++] = 100;
    return NULL;
}

static void links_run_before_joiners_wake(void)
{
    grove_t *g = must(grove_spawn(yield_and_return, NULL));
    grove_t *joiner = must(grove_spawn(join_and_trace, g));

    traced = 0;
    grove_yield();
    grove_link(g, note, (void *)1);
    grove_await(joiner);
    expect_trace((int[]){1, 100}, 2);
    grove_release(g);
}
EVERYWHERE(links_run_before_joiners_wake)

static void *end_now(void *arg)
{
    return arg;
}

static void count(grove_t *g, void *arg)
{
    (void)g;
    atomic_fetch_add((_Atomic(int) *)arg, 1);
}

/* Linked and unlinked while it ends on another worker: called exactly once, or unlinked
 * exactly once. */
static void links_race_with_the_end(void)
{
    uint64_t state = harness_seed();

    for (size_t round = harness_rounds(3000); round > 0; round--) {
        _Atomic(int) calls = 0;
        int expected = 0;
        grove_t *g = must(grove_go(end_now, NULL));
        for (int i = random_next(&state) % 4; i >= 0; i--) {
            expected += grove_link(g, count, &calls) == 0;
            if (random_next(&state) % 2)
                expected -= grove_unlink(g, count, &calls) == 0;
        }
        grove_join(g, GROVE_FOREVER);
        while (atomic_load(&calls) < expected)
            grove_yield();
        CHECK_EQUAL(atomic_load(&calls), expected);
        grove_release(g);
    }
}
EVERYWHERE(links_race_with_the_end)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("links run once, in link order", links_run_once_in_link_order),
        TEST("unlink takes out the oldest", unlink_takes_out_the_oldest),
        TEST("all can be unlinked", all_can_be_unlinked),
        TEST(
            "a link to an ended one runs at once", a_link_to_an_ended_one_runs_at_once),
        TEST("a link needs a function", a_link_needs_a_function),
        TEST("links run in the hub of the ended", links_run_in_the_hub_of_the_ended),
        TEST("a link may try to unlink", a_link_may_try_to_unlink),
        TEST("links run before joiners wake", links_run_before_joiners_wake),
        TEST("links race with the end", links_race_with_the_end),
    };
    return harness_main("link", tests, sizeof tests / sizeof *tests);
}
