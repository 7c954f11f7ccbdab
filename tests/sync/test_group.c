/* SPDX-License-Identifier: MIT */
/* Groups: who is a member and until when, joins, kills. */
#include <grove/event.h>
#include <grove/group.h>

#include "tests/sync/runtimes.h"

static grove_group_t *group;
static grove_event_t go_on;

static void begin_group(void)
{
    group = grove_group_new();
    go_on = (grove_event_t)GROVE_EVENT_INIT;
}

static void *wait_for_event(void *arg)
{
    return grove_event_wait(&go_on, GROVE_FOREVER) == 0 ? arg : NULL;
}

static void *nothing(void *arg)
{
    return arg;
}

static void *fail(void *arg)
{
    grove_fail((int)(intptr_t)arg, "");
}

/* Both kinds of spawn. */
static grove_t *(*const spawns[])(grove_group_t *, grove_fn, void *) = {
    grove_group_spawn, grove_group_go};

static void a_member_is_one_until_its_end(void)
{
    for (int kind = 0; kind < 2; kind++) {
        begin_group();
        grove_t *g = must(spawns[kind](group, wait_for_event, group));
        CHECK_EQUAL(grove_group_size(group), 1);
        CHECK(grove_group_contains(group, g));
        grove_event_set(&go_on);
        CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_group_size(group), 0);
        CHECK(grove_await(g) == group);
        grove_group_free(group);
    }
}
EVERYWHERE(a_member_is_one_until_its_end)

static void *ask_membership(void *arg)
{
    return grove_group_contains(group, grove_current()) ? arg : NULL;
}

static void a_member_is_one_before_it_runs(void)
{
    for (size_t round = harness_rounds(200); round > 0; round--) {
        begin_group();
        grove_t *g = must(grove_group_go(group, ask_membership, &group));
        CHECK(grove_await(g) == &group);
        grove_group_free(group);
    }
}
EVERYWHERE(a_member_is_one_before_it_runs)

static void failed_ones_leave(void)
{
    begin_group();
    grove_t *g = must(grove_group_spawn(group, fail, (void *)EDOM));
    CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_error(g), EDOM);
    grove_release(g);
    grove_group_free(group);
}
EVERYWHERE(failed_ones_leave)

static void killed_before_the_start_they_leave(void)
{
    begin_group();
    grove_t *g = must(grove_group_spawn(group, nothing, NULL));
    CHECK_EQUAL(grove_kill(g, 0), 0);
    CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
    CHECK(grove_await(g) == GROVE_KILLED);
    grove_group_free(group);
}
EVERYWHERE(killed_before_the_start_they_leave)

static void an_added_one_is_a_member(void)
{
    begin_group();
    grove_t *g = must(grove_spawn(wait_for_event, &group));
    CHECK(!grove_group_contains(group, g));
    CHECK_EQUAL(grove_group_add(group, g, 0), 0);
    CHECK_EQUAL(grove_group_add(group, g, 0), 0);
    CHECK_EQUAL(grove_group_size(group), 1);
    CHECK(grove_group_contains(group, g));
    grove_event_set(&go_on);
    CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
    CHECK(grove_await(g) == &group);
    grove_group_free(group);
}
EVERYWHERE(an_added_one_is_a_member)

static void one_that_ended_is_not_added(void)
{
    begin_group();
    grove_t *g = must(grove_spawn(nothing, NULL));
    grove_join(g, GROVE_FOREVER);
    CHECK_EQUAL(grove_group_add(group, g, 0), 0);
    CHECK_EQUAL(grove_group_size(group), 0);
    grove_release(g);
    grove_group_free(group);
}
EVERYWHERE(one_that_ended_is_not_added)

static void a_discarded_one_goes_on(void)
{
    begin_group();
    grove_t *g = must(grove_group_spawn(group, wait_for_event, &group));
    CHECK_EQUAL(grove_group_discard(group, g), 0);
    CHECK_EQUAL(grove_group_discard(group, g), 0);
    CHECK(!grove_group_contains(group, g));
    CHECK_EQUAL(grove_group_size(group), 0);
    grove_group_free(group);
    CHECK(!grove_ready(g));
    grove_event_set(&go_on);
    CHECK(grove_await(g) == &group);
}
EVERYWHERE(a_discarded_one_goes_on)

static void members_outlive_their_group(void)
{
    begin_group();
    grove_t *g = must(grove_group_go(group, wait_for_event, &group));
    grove_group_free(group);
    grove_event_set(&go_on);
    CHECK(grove_await(g) == &group);
}
EVERYWHERE(members_outlive_their_group)

static void one_may_be_in_two_groups(void)
{
    begin_group();
    grove_group_t *other = grove_group_new();
    grove_t *g = must(grove_group_spawn(group, wait_for_event, NULL));
    grove_group_add(other, g, 0);
    CHECK(grove_group_contains(other, g) && grove_group_contains(group, g));
    grove_group_discard(group, g);
    CHECK(grove_group_contains(other, g) && !grove_group_contains(group, g));
    grove_event_set(&go_on);
    CHECK_EQUAL(grove_group_join(other, GROVE_FOREVER), 0);
    grove_release(g);
    grove_group_free(other);
    grove_group_free(group);
}
EVERYWHERE(one_may_be_in_two_groups)

static void a_join_times_out(void)
{
    begin_group();
    CHECK_EQUAL(grove_group_join(group, 0), 0);
    grove_t *g = must(grove_group_spawn(group, wait_for_event, NULL));
    CHECK_ERROR(grove_group_join(group, 0), ETIMEDOUT);
    CHECK_ERROR(grove_group_join(group, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_group_join(group, NAN), EINVAL);
    grove_event_set(&go_on);
    CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
    grove_release(g);
    grove_group_free(group);
}
EVERYWHERE(a_join_times_out)

static void *refill(void *arg)
{
    (void)arg;
    grove_release(must(grove_group_spawn(group, wait_for_event, NULL)));
    return NULL;
}

static void *join(void *arg)
{
    return grove_group_join(group, GROVE_FOREVER) == 0 ? arg : NULL;
}

static void empty_once_is_enough_for_a_join(void)
{
    begin_group();
    grove_t *member = must(grove_group_spawn(group, nothing, NULL));
    grove_t *joiner = must(grove_spawn(join, &group));
    /* Made after the joiner has begun to wait; fills the group in the same pass. */
    grove_yield();
    grove_t *filler = must(grove_spawn(refill, NULL));
    CHECK(grove_await(joiner) == &group);
    grove_await(filler);
    grove_event_set(&go_on);
    CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
    grove_release(member);
    grove_group_free(group);
}
ALONE(empty_once_is_enough_for_a_join)

static void a_kill_ends_all(void)
{
    enum { MEMBERS = 100 };
    grove_t *g[MEMBERS];

    begin_group();
    for (int i = 0; i < MEMBERS; i++)
        g[i] = must(spawns[i % 2](group, wait_for_event, &group));
    grove_yield();
    CHECK_EQUAL(grove_group_kill(group, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_group_size(group), 0);
    for (int i = 0; i < MEMBERS; i++) {
        CHECK(grove_ready(g[i]) && grove_successful(g[i]));
        CHECK(grove_await(g[i]) != &group);
    }
    grove_group_free(group);
}
EVERYWHERE(a_kill_ends_all)

static _Atomic(int) survived;

static void *survive(void *arg)
{
    CHECK_ERROR(grove_event_wait(&go_on, GROVE_FOREVER), ECANCELED);
    grove_kill_clear();
    raise_flag(&survived);
    CHECK_EQUAL(grove_event_wait(&go_on, GROVE_FOREVER), 0);
    return arg;
}

static void each_is_killed_once(void)
{
    begin_group();
    atomic_store(&survived, 0);
    grove_t *g = must(grove_group_spawn(group, survive, &group));
    grove_yield();
    CHECK_ERROR(grove_group_kill(group, 0.001), ETIMEDOUT);
    until(&survived);
    CHECK_ERROR(grove_group_kill(group, 0.001), ETIMEDOUT);
    grove_event_set(&go_on);
    CHECK(grove_await(g) == &group);
    CHECK_EQUAL(grove_group_kill(group, GROVE_FOREVER), 0);
    grove_group_free(group);
}
EVERYWHERE(each_is_killed_once)

static void *spawn_another(void *arg)
{
    grove_event_wait(&go_on, GROVE_FOREVER);
    grove_release(must(grove_group_spawn(group, wait_for_event, NULL)));
    return arg;
}

static void a_kill_gets_those_that_come_meanwhile(void)
{
    begin_group();
    grove_t *g = must(grove_group_spawn(group, spawn_another, &group));
    grove_yield();
    CHECK_EQUAL(grove_group_kill(group, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_group_size(group), 0);
    CHECK(grove_await(g) == &group);
    grove_group_free(group);
}
EVERYWHERE(a_kill_gets_those_that_come_meanwhile)

static void one_is_killed_if_it_is_a_member(void)
{
    begin_group();
    grove_t *member = must(grove_group_spawn(group, wait_for_event, NULL));
    grove_t *other = must(grove_spawn(wait_for_event, &group));
    grove_yield();
    CHECK_EQUAL(grove_group_killone(group, other, GROVE_FOREVER), 0);
    CHECK(!grove_ready(other));
    CHECK_EQUAL(grove_group_killone(group, member, GROVE_FOREVER), 0);
    CHECK(grove_ready(member));
    CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
    grove_event_set(&go_on);
    CHECK(grove_await(other) == &group);
    grove_release(member);
    grove_group_free(group);
}
EVERYWHERE(one_is_killed_if_it_is_a_member)

static void use_in_thread(void *arg)
{
    grove_t *g = must(grove_group_go(group, wait_for_event, arg));
    grove_t *here = must(grove_group_spawn(group, nothing, NULL));
    CHECK_EQUAL(grove_join(here, GROVE_FOREVER), 0);
    grove_event_set(&go_on);
    CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
    CHECK(grove_await(g) == arg);
    grove_release(here);
}

static void plain_threads_may_use_it(void)
{
    begin_group();
    in_thread(use_in_thread, &group);
    grove_group_free(group);
}
EVERYWHERE(plain_threads_may_use_it)

static void bad_arguments_are_refused(void)
{
    begin_group();
    errno = 0;
    CHECK(grove_group_spawn(group, NULL, NULL) == NULL && errno == EINVAL);
    CHECK(grove_group_go(NULL, nothing, NULL) == NULL && errno == EINVAL);
    CHECK_ERROR(grove_group_add(group, NULL, 0), EINVAL);
    CHECK_ERROR(grove_group_add(group, grove_current(), NAN), EINVAL);
    CHECK_ERROR(grove_group_join(NULL, 0), EINVAL);
    CHECK_ERROR(grove_group_kill(NULL, 0), EINVAL);
    CHECK_ERROR(grove_group_spread(group, (grove_affinity_t)3), EINVAL);
    CHECK(!grove_group_full(group));
    CHECK(grove_group_free_count(group) == SIZE_MAX);
    CHECK_EQUAL(grove_group_wait_available(group, 0), 0);
    grove_group_free(group);
    grove_group_free(NULL);
}
ALONE(bad_arguments_are_refused)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a member is one until its end", a_member_is_one_until_its_end),
        TEST("a member is one before it runs", a_member_is_one_before_it_runs),
        TEST("failed ones leave", failed_ones_leave),
        TEST("killed before the start they leave", killed_before_the_start_they_leave),
        TEST("an added one is a member", an_added_one_is_a_member),
        TEST("one that ended is not added", one_that_ended_is_not_added),
        TEST("a discarded one goes on", a_discarded_one_goes_on),
        TEST("members outlive their group", members_outlive_their_group),
        TEST("one may be in two groups", one_may_be_in_two_groups),
        TEST("a join times out", a_join_times_out),
        TEST("empty once is enough for a join", empty_once_is_enough_for_a_join),
        TEST("a kill ends all", a_kill_ends_all),
        TEST("each is killed once", each_is_killed_once),
        TEST("a kill gets those that come meanwhile",
            a_kill_gets_those_that_come_meanwhile),
        TEST("one is killed if it is a member", one_is_killed_if_it_is_a_member),
        TEST("plain threads may use it", plain_threads_may_use_it),
        TEST("bad arguments are refused", bad_arguments_are_refused),
    };
    return harness_main("group", tests, sizeof tests / sizeof *tests);
}
