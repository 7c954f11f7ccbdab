/* SPDX-License-Identifier: MIT */
/* Pools: slots, who gets them and when; apply. */
#include <grove/event.h>
#include <grove/group.h>

#include "tests/sync/runtimes.h"

static grove_group_t *pool;
static grove_event_t go_on;
static _Atomic(int) flag;

static void begin_pool(size_t size)
{
    pool = grove_pool_new(size);
    go_on = (grove_event_t)GROVE_EVENT_INIT;
    atomic_store(&flag, 0);
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

static void fill(size_t n)
{
    for (size_t i = 0; i < n; i++)
        grove_release(must(grove_group_spawn(pool, wait_for_event, NULL)));
}

static void end_pool(void)
{
    grove_event_set(&go_on);
    CHECK_EQUAL(grove_group_join(pool, GROVE_FOREVER), 0);
    grove_group_free(pool);
}

static void slots_are_counted(void)
{
    begin_pool(2);
    CHECK_EQUAL(grove_group_free_count(pool), 2);
    fill(1);
    CHECK(!grove_group_full(pool));
    CHECK_EQUAL(grove_group_free_count(pool), 1);
    fill(1);
    CHECK(grove_group_full(pool));
    CHECK_EQUAL(grove_group_free_count(pool), 0);
    end_pool();
}
EVERYWHERE(slots_are_counted)

static void *spawn_into_pool(void *arg)
{
    grove_t *g = grove_group_spawn(pool, nothing, arg);
    int error = errno;

    raise_flag(&flag);
    return g ? grove_await(g) : (void *)(intptr_t)-error;
}

/* Runs until that one waits for a slot: there is nothing else it could be parked in. */
static grove_t *blocked_spawn(void)
{
    grove_t *g = must(grove_spawn(spawn_into_pool, &pool));

    grove_yield();
    CHECK_EQUAL(atomic_load(&flag), 0);
    return g;
}

static void a_spawn_waits_for_a_slot(void)
{
    begin_pool(1);
    fill(1);
    grove_t *spawner = blocked_spawn();
    grove_event_set(&go_on);
    CHECK(grove_await(spawner) == &pool);
    end_pool();
}
EVERYWHERE(a_spawn_waits_for_a_slot)

static void a_killed_spawn_takes_no_slot(void)
{
    begin_pool(1);
    fill(1);
    grove_t *spawner = blocked_spawn();
    CHECK_EQUAL(grove_kill(spawner, GROVE_FOREVER), 0);
    CHECK_EQUAL((intptr_t)grove_value(spawner), -ECANCELED);
    grove_release(spawner);
    end_pool();
}
EVERYWHERE(a_killed_spawn_takes_no_slot)

static void an_add_waits_no_longer_than_asked(void)
{
    begin_pool(1);
    fill(1);
    grove_t *g = must(grove_spawn(wait_for_event, &pool));
    CHECK_ERROR(grove_group_add(pool, g, 0), EAGAIN);
    CHECK_ERROR(grove_group_add(pool, g, 0.001), ETIMEDOUT);
    CHECK(!grove_group_contains(pool, g));
    grove_event_set(&go_on);
    CHECK(grove_await(g) == &pool);
    end_pool();
}
EVERYWHERE(an_add_waits_no_longer_than_asked)

static void a_discard_frees_the_slot(void)
{
    begin_pool(1);
    grove_t *g = must(grove_group_spawn(pool, wait_for_event, NULL));
    grove_t *spawner = blocked_spawn();
    grove_group_discard(pool, g);
    CHECK(grove_await(spawner) == &pool);
    end_pool();
    grove_await(g);
}
EVERYWHERE(a_discard_frees_the_slot)

static void killing_one_that_never_started_frees_its_slot(void)
{
    begin_pool(1);
    grove_t *g = must(grove_group_spawn(pool, nothing, NULL));
    CHECK(grove_group_full(pool));
    grove_kill(g, 0);
    CHECK(!grove_group_full(pool));
    grove_release(g);
    end_pool();
}
EVERYWHERE(killing_one_that_never_started_frees_its_slot)

static void a_pool_of_none_is_always_full(void)
{
    begin_pool(0);
    grove_t *g = must(grove_spawn(nothing, NULL));
    CHECK(grove_group_full(pool));
    CHECK_ERROR(grove_group_add(pool, g, 0.001), ETIMEDOUT);
    grove_await(g);
    end_pool();
}
EVERYWHERE(a_pool_of_none_is_always_full)

static void waiting_for_a_slot_takes_none(void)
{
    begin_pool(1);
    CHECK_EQUAL(grove_group_wait_available(pool, 0), 0);
    fill(1);
    CHECK_ERROR(grove_group_wait_available(pool, 0), EAGAIN);
    CHECK_ERROR(grove_group_wait_available(pool, 0.001), ETIMEDOUT);
    grove_event_set(&go_on);
    CHECK_EQUAL(grove_group_wait_available(pool, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_group_free_count(pool), 1);
    end_pool();
}
EVERYWHERE(waiting_for_a_slot_takes_none)

enum { ORDERED = 5 };
static int order[ORDERED], ordered;

static void *note(void *arg)
{
    order[ordered++] = (int)(intptr_t)arg;
    return NULL;
}

static void *spawn_note(void *arg)
{
    grove_release(must(grove_group_spawn(pool, note, arg)));
    return NULL;
}

static void slots_are_given_in_turn(void)
{
    begin_pool(1);
    fill(1);
    ordered = 0;
    for (intptr_t i = 0; i < ORDERED; i++)
        grove_release(must(grove_spawn(spawn_note, (void *)i)));
    grove_yield();
    end_pool();
    CHECK_EQUAL(ordered, ORDERED);
    for (int i = 0; i < ORDERED; i++)
        CHECK_EQUAL(order[i], i);
}
ALONE(slots_are_given_in_turn)

static void apply_gives_value_or_error(void)
{
    for (grove_affinity_t where = GROVE_LOCAL; where <= GROVE_CPU; where++) {
        void *value = NULL;
        begin_pool(1);
        CHECK_EQUAL(grove_group_spread(pool, where), 0);
        CHECK_EQUAL(grove_group_apply(pool, nothing, &pool, GROVE_FOREVER, &value), 0);
        CHECK(value == &pool);
        CHECK_ERROR(
            grove_group_apply(pool, fail, (void *)EDOM, GROVE_FOREVER, &value), EDOM);
        CHECK(value == &pool);
        end_pool();
    }
}
EVERYWHERE(apply_gives_value_or_error)

static void apply_times_out(void)
{
    begin_pool(1);
    CHECK_ERROR(grove_group_apply(pool, wait_for_event, NULL, 0.001, NULL), ETIMEDOUT);
    /* It goes on, in its slot. */
    CHECK(grove_group_full(pool));
    CHECK_ERROR(grove_group_apply(pool, nothing, NULL, 0, NULL), EAGAIN);
    CHECK_ERROR(grove_group_apply(pool, nothing, NULL, 0.001, NULL), ETIMEDOUT);
    CHECK_ERROR(grove_group_apply(pool, nothing, NULL, NAN, NULL), EINVAL);
    end_pool();
}
EVERYWHERE(apply_times_out)

static void *apply_inside(void *arg)
{
    void *value = NULL;

    CHECK_EQUAL(grove_group_apply(pool, nothing, arg, GROVE_FOREVER, &value), 0);
    return value;
}

static void apply_in_a_member_needs_no_slot(void)
{
    void *value = NULL;

    begin_pool(1);
    CHECK_EQUAL(grove_group_apply(pool, apply_inside, &pool, GROVE_FOREVER, &value), 0);
    CHECK(value == &pool);
    end_pool();
}
EVERYWHERE(apply_in_a_member_needs_no_slot)

static void apply_async_never_waits(void)
{
    begin_pool(1);
    fill(1);
    grove_t *late = must(grove_group_apply_async(pool, apply_inside, &pool));
    grove_t *failing = must(grove_group_apply_async(pool, fail, (void *)EDOM));
    CHECK_EQUAL(grove_group_size(pool), 1);
    grove_yield();
    CHECK(!grove_group_contains(pool, late));
    grove_event_set(&go_on);
    CHECK(grove_await(late) == &pool);
    CHECK(grove_await(failing) == NULL);
    CHECK_EQUAL(errno, EDOM);
    end_pool();
}
EVERYWHERE(apply_async_never_waits)

static void *set_flag(void *arg)
{
    raise_flag(&flag);
    return arg;
}

static void a_late_apply_killed_in_time_never_runs(void)
{
    begin_pool(1);
    fill(1);
    grove_t *waiting = must(grove_group_apply_async(pool, set_flag, NULL));
    grove_yield();
    CHECK_EQUAL(grove_kill(waiting, GROVE_FOREVER), 0);
    CHECK(grove_value(waiting) == GROVE_KILLED);
    grove_t *unstarted = must(grove_group_apply_async(pool, set_flag, NULL));
    CHECK_EQUAL(grove_kill(unstarted, GROVE_FOREVER), 0);
    end_pool();
    CHECK_EQUAL(atomic_load(&flag), 0);
    grove_release(waiting);
    grove_release(unstarted);
}
EVERYWHERE(a_late_apply_killed_in_time_never_runs)

static void killed_with_its_slot_a_late_apply_never_runs(void)
{
    begin_pool(1);
    grove_t *first = must(grove_group_spawn(pool, wait_for_event, NULL));
    grove_t *late = must(grove_group_apply_async(pool, set_flag, NULL));
    grove_sleep(0);
    /* It has the slot now, but has not run. */
    CHECK_EQUAL(grove_group_discard(pool, first), 0);
    grove_kill_with(late, EIO, 0);
    grove_join(late, GROVE_FOREVER);
    CHECK_EQUAL(grove_error(late), EIO);
    CHECK_EQUAL(flag, 0);
    grove_release(late);
    end_pool();
    grove_await(first);
}
EVERYWHERE(killed_with_its_slot_a_late_apply_never_runs)

struct addition {
    grove_t *greenlet;
    int result;
};

static void *add(void *arg)
{
    struct addition *addition = arg;

    addition->result = grove_group_add(pool, addition->greenlet, GROVE_FOREVER);
    return NULL;
}

static void added_twice_it_takes_one_slot(void)
{
    begin_pool(2);
    grove_t *first = must(grove_group_spawn(pool, wait_for_event, NULL));
    grove_t *second = must(grove_group_spawn(pool, wait_for_event, NULL));
    grove_t *added = must(grove_spawn(wait_for_event, NULL));
    struct addition addition[2] = {{added, -1}, {added, -1}};
    grove_t *adder[2];
    for (int i = 0; i < 2; i++)
        adder[i] = must(grove_spawn(add, &addition[i]));
    grove_sleep(0);
    grove_group_discard(pool, first);
    grove_group_discard(pool, second);
    for (int i = 0; i < 2; i++) {
        grove_await(adder[i]);
        CHECK_EQUAL(addition[i].result, 0);
    }
    CHECK_EQUAL(grove_group_size(pool), 1);
    CHECK_EQUAL(grove_group_discard(pool, added), 0);
    CHECK(!grove_group_contains(pool, added));
    CHECK_EQUAL(grove_group_size(pool), 0);
    end_pool();
    grove_await(first);
    grove_await(second);
    grove_await(added);
}
EVERYWHERE(added_twice_it_takes_one_slot)

static void spawn_in_hub(grove_t *g, void *arg)
{
    (void)g;
    grove_release(must(grove_group_apply_async(pool, nothing, arg)));
    CHECK_ERROR(grove_group_join(pool, GROVE_FOREVER), EDEADLK);
    raise_flag(&flag);
}

static void hub_callbacks_may_not_wait(void)
{
    begin_pool(1);
    fill(1);
    grove_t *g = must(grove_spawn(nothing, NULL));
    grove_link(g, spawn_in_hub, NULL);
    grove_await(g);
    CHECK_EQUAL(atomic_load(&flag), 1);
    end_pool();
}
ALONE(hub_callbacks_may_not_wait)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("slots are counted", slots_are_counted),
        TEST("a spawn waits for a slot", a_spawn_waits_for_a_slot),
        TEST("a killed spawn takes no slot", a_killed_spawn_takes_no_slot),
        TEST("an add waits no longer than asked", an_add_waits_no_longer_than_asked),
        TEST("a discard frees the slot", a_discard_frees_the_slot),
        TEST("killing one that never started frees its slot",
            killing_one_that_never_started_frees_its_slot),
        TEST("a pool of none is always full", a_pool_of_none_is_always_full),
        TEST("waiting for a slot takes none", waiting_for_a_slot_takes_none),
        TEST("slots are given in turn", slots_are_given_in_turn),
        TEST("apply gives value or error", apply_gives_value_or_error),
        TEST("apply times out", apply_times_out),
        TEST("apply in a member needs no slot", apply_in_a_member_needs_no_slot),
        TEST("apply_async never waits", apply_async_never_waits),
        TEST("a late apply killed in time never runs",
            a_late_apply_killed_in_time_never_runs),
        TEST("killed with its slot a late apply never runs",
            killed_with_its_slot_a_late_apply_never_runs),
        TEST("added twice it takes one slot", added_twice_it_takes_one_slot),
        TEST("hub callbacks may not wait", hub_callbacks_may_not_wait),
    };
    return harness_main("pool", tests, sizeof tests / sizeof *tests);
}
