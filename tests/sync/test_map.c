/* SPDX-License-Identifier: MIT */
/* Maps: values in order, failures, how many tasks run at a time, what ends them. */
#include <grove/event.h>
#include <grove/iter.h>
#include <grove/local.h>

#include "tests/sync/runtimes.h"

enum { ITEMS = 300 };

static grove_group_t *group;
static grove_event_t go_on;
static void *in[ITEMS], *out[ITEMS];
static _Atomic(int) begun, ended, most, running;

static void prepare(grove_group_t *made)
{
    group = made;
    go_on = (grove_event_t)GROVE_EVENT_INIT;
    for (intptr_t i = 0; i < ITEMS; i++) {
        in[i] = (void *)i;
        out[i] = &group;
    }
    begun = ended = most = running = 0;
}

/* As prepare, with tasks on the calling thread, on any worker, or in the lane. */
#define FOR_EACH_AFFINITY(where) \
    for (grove_affinity_t where = GROVE_LOCAL; where <= GROVE_CPU; where++)

static void *twice(void *arg)
{
    return (void *)(2 * (intptr_t)arg);
}

static void *twice_later(void *arg)
{
    if ((intptr_t)arg % 3 == 0)
        grove_yield();
    if ((intptr_t)arg % 7 == 0)
        grove_sleep(0.00001);
    return twice(arg);
}

static void check_doubled(void)
{
    for (intptr_t i = 0; i < ITEMS; i++)
        CHECK_EQUAL((intptr_t)out[i], 2 * i);
}

static void values_are_in_order(void)
{
    FOR_EACH_AFFINITY(where)
    {
        for (size_t size = 1; size <= 10; size += 3) {
            prepare(grove_pool_new(size));
            grove_group_spread(group, where);
            CHECK_EQUAL(grove_group_map(group, twice_later, in, out, ITEMS), 0);
            check_doubled();
            CHECK_EQUAL(grove_group_size(group), 0);
            grove_group_free(group);
        }
    }
}
EVERYWHERE(values_are_in_order)

static void *count(void *arg)
{
    int now = atomic_fetch_add(&running, 1) + 1, before = atomic_load(&most);

    while (before < now && !atomic_compare_exchange_weak(&most, &before, now))
        ;
    grove_yield();
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&ended, 1);
    return arg;
}

static void no_more_run_than_slots(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(3));
        grove_group_spread(group, where);
        CHECK_EQUAL(grove_group_map(group, count, in, NULL, ITEMS), 0);
        CHECK_EQUAL(atomic_load(&ended), ITEMS);
        CHECK(atomic_load(&most) <= 3);
        grove_group_free(group);
    }
}
EVERYWHERE(no_more_run_than_slots)

/* Returns when [ITEMS] are in it. */
static void *meet(void *arg)
{
    if (atomic_fetch_add(&begun, 1) + 1 == ITEMS)
        grove_event_set(&go_on);
    CHECK_EQUAL(grove_event_wait(&go_on, GROVE_FOREVER), 0);
    return twice(arg);
}

static void as_many_run_as_slots(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(where == GROVE_ANY ? grove_group_new() : grove_pool_new(ITEMS));
        grove_group_spread(group, where);
        CHECK_EQUAL(grove_group_map(group, meet, in, out, ITEMS), 0);
        check_doubled();
        grove_group_free(group);
    }
}
EVERYWHERE(as_many_run_as_slots)

static void *fail_some(void *arg)
{
    intptr_t i = (intptr_t)arg;

    if (i % 3 == 1)
        grove_yield();
    if (i % 10 == 4)
        grove_fail(i == 14 ? EDOM : ERANGE, "");
    if (i % 10 == 5)
        grove_exit(twice(arg));
    return twice(arg);
}

static void a_failed_task_loses_its_own_item(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(4));
        grove_group_spread(group, where);
        CHECK_ERROR(grove_group_map(group, fail_some, in + 5, out + 5, 100), EDOM);
        for (intptr_t i = 5; i < 105; i++)
            CHECK_EQUAL((intptr_t)out[i], i % 10 == 4 ? 0 : 2 * i);
        CHECK_ERROR(grove_group_map(group, fail_some, in, out, 20), ERANGE);
        grove_group_free(group);
    }
}
EVERYWHERE(a_failed_task_loses_its_own_item)

static grove_local_t slot = GROVE_LOCAL_INIT(NULL);
static grove_timeout_t unstopped[ITEMS];

static void clean(void *arg)
{
    grove_yield();
    atomic_fetch_add((_Atomic(int) *)arg, 1);
}

/* Every task finds a greenlet without traces of another, and leaves some. */
static void *leave_traces(void *arg)
{
    intptr_t i = (intptr_t)arg;

    CHECK(grove_local_get(&slot) == NULL);
    CHECK_EQUAL(errno, 0);
    errno = EDOM;
    if (grove_sleep(0) != 0)
        return NULL;
    if (i % 5 == 0)
        grove_local_set(&slot, &slot);
    if (i % 5 == 1)
        grove_defer(clean, &ended);
    if (i % 5 == 2)
        grove_kill(grove_current(), 0);
    if (i % 5 == 3)
        grove_timeout_start(&unstopped[i], 0);
    return twice(arg);
}

static void a_task_leaves_nothing_to_the_next(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(2));
        grove_group_spread(group, where);
        CHECK_EQUAL(grove_group_map(group, leave_traces, in, out, ITEMS), 0);
        check_doubled();
        /* The cleanups of the last ones, too, have ended. */
        CHECK_EQUAL(atomic_load(&ended), ITEMS / 5);
        grove_group_free(group);
    }
}
EVERYWHERE(a_task_leaves_nothing_to_the_next)

static grove_t *known;

/* The first makes its greenlet known; who kills that must not hit another. */
static void *make_known(void *arg)
{
    if (arg == in[0])
        known = grove_retain(grove_current());
    if (arg == in[1]) {
        CHECK(grove_current() != known);
        CHECK_EQUAL(grove_kill(known, GROVE_FOREVER), 0);
        grove_release(known);
    }
    return twice(arg);
}

static void a_known_greenlet_runs_no_other_task(void)
{
    prepare(grove_pool_new(1));
    CHECK_EQUAL(grove_group_map(group, make_known, in, out, ITEMS), 0);
    check_doubled();
    grove_group_free(group);
}
EVERYWHERE(a_known_greenlet_runs_no_other_task)

static void note_end(grove_t *g, void *arg)
{
    (void)g;
    atomic_fetch_add((_Atomic(int) *)arg, 1);
}

static void *link_self(void *arg)
{
    if ((intptr_t)arg % 2)
        grove_link(grove_current(), note_end, &ended);
    CHECK_EQUAL(atomic_load(&ended), (intptr_t)arg / 2);
    return twice(arg);
}

static void links_are_called_after_their_task(void)
{
    prepare(grove_pool_new(1));
    CHECK_EQUAL(grove_group_map(group, link_self, in, out, ITEMS), 0);
    CHECK_EQUAL(atomic_load(&ended), ITEMS / 2);
    grove_group_free(group);
}
EVERYWHERE(links_are_called_after_their_task)

static void *wait_killed(void *arg)
{
    atomic_fetch_add(&begun, 1);
    CHECK_ERROR(grove_event_wait(&go_on, GROVE_FOREVER), ECANCELED);
    atomic_fetch_add(&ended, 1);
    return arg;
}

static void *map_waiting(void *arg)
{
    int result = grove_group_map(group, wait_killed, in, out, ITEMS);
    int error = result ? errno : 0;

    CHECK_EQUAL(atomic_load(&ended), atomic_load(&begun));
    return arg ? (void *)(intptr_t)error : NULL;
}

static void a_killed_map_ends_when_its_tasks_have(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(5));
        grove_group_spread(group, where);
        grove_t *mapper = must(grove_spawn(map_waiting, &group));
        while (atomic_load(&begun) < 5)
            grove_yield();
        CHECK_EQUAL(grove_kill(mapper, GROVE_FOREVER), 0);
        CHECK_EQUAL((intptr_t)grove_value(mapper), ECANCELED);
        CHECK_EQUAL(atomic_load(&begun), 5);
        CHECK_EQUAL(grove_group_size(group), 0);
        CHECK(out[4] != &group && out[ITEMS - 1] == NULL);
        grove_release(mapper);
        grove_group_free(group);
    }
}
EVERYWHERE(a_killed_map_ends_when_its_tasks_have)

static void killing_the_group_ends_a_map(void)
{
    for (int timeout = -1; timeout <= 0; timeout++) {
        prepare(grove_pool_new(5));
        grove_t *mapper = must(grove_spawn(map_waiting, &group));
        while (atomic_load(&begun) < 5)
            grove_yield();
        CHECK_EQUAL(grove_group_kill(group, timeout), 0);
        CHECK_EQUAL((intptr_t)grove_await(mapper), ECANCELED);
        CHECK_EQUAL(atomic_load(&begun), 5);
        CHECK_EQUAL(grove_group_size(group), 0);
        grove_group_free(group);
    }
}
EVERYWHERE(killing_the_group_ends_a_map)

/* Nothing that ends gives it a slot with which it would notice. */
static void killing_the_group_ends_a_map_that_waits_for_a_slot(void)
{
    prepare(grove_pool_new(0));
    grove_t *mapper = must(grove_spawn(map_waiting, &group));
    grove_sleep(0);
    CHECK_EQUAL(grove_group_kill(group, 0), 0);
    CHECK_EQUAL((intptr_t)grove_await(mapper), ECANCELED);
    grove_t *unkilled = must(grove_spawn(map_waiting, &group));
    grove_sleep(0);
    CHECK(!grove_ready(unkilled));
    grove_kill(unkilled, GROVE_FOREVER);
    grove_release(unkilled);
    grove_group_free(group);
}
EVERYWHERE(killing_the_group_ends_a_map_that_waits_for_a_slot)

static void a_timeout_cuts_a_map_short(void)
{
    grove_timeout_t timeout;

    prepare(grove_pool_new(5));
    grove_timeout_start(&timeout, 0.001);
    CHECK_ERROR(grove_group_map(group, wait_killed, in, out, ITEMS), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(atomic_load(&ended), atomic_load(&begun));
    grove_group_free(group);
}
EVERYWHERE(a_timeout_cuts_a_map_short)

static void *nothing(void *arg)
{
    return arg;
}

static void *gate(void *arg)
{
    raise_flag(&begun);
    grove_event_wait(&go_on, GROVE_FOREVER);
    return twice(arg);
}

static void *map_gated(void *arg)
{
    CHECK_EQUAL(grove_group_map(group, gate, in, out, ITEMS), 0);
    return arg;
}

static void *spawn_one(void *arg)
{
    grove_t *g = must(grove_group_spawn(group, nothing, arg));
    return grove_await(g);
}

/* With tasks left for much more than a turn, a spawn that waits gets the next slot. */
static void a_map_lets_others_have_slots(void)
{
    prepare(grove_pool_new(1));
    grove_t *mapper = must(grove_spawn(map_gated, NULL));
    until(&begun);
    grove_t *spawner = must(grove_spawn(spawn_one, &group));
    grove_yield();
    grove_event_set(&go_on);
    CHECK(grove_await(spawner) == &group);
    CHECK(out[ITEMS - 1] == &group);
    grove_await(mapper);
    check_doubled();
    grove_group_free(group);
}
ALONE(a_map_lets_others_have_slots)

static void a_map_ends_though_others_keep_the_slots(void)
{
    prepare(grove_pool_new(2));
    grove_t *other = must(grove_group_spawn(group, gate, NULL));
    /* One slot for the map, whose feeder waits for a second one all the time. */
    CHECK_EQUAL(grove_group_map(group, twice_later, in, out, ITEMS), 0);
    check_doubled();
    CHECK_EQUAL(grove_group_size(group), 1);
    grove_event_set(&go_on);
    grove_await(other);
    CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
    grove_group_free(group);
}
EVERYWHERE(a_map_ends_though_others_keep_the_slots)

static void *map_inside(void *arg)
{
    CHECK_EQUAL(grove_group_map(group, twice, in, out, ITEMS), 0);
    return arg;
}

static void maps_may_be_nested(void)
{
    prepare(grove_pool_new(2));
    void *item = &group, *value = NULL;
    CHECK_EQUAL(grove_group_map(group, map_inside, &item, &value, 1), 0);
    CHECK(value == &group);
    check_doubled();
    grove_group_free(group);
}
EVERYWHERE(maps_may_be_nested)

static void map_async_tells_the_outcome(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(3));
        grove_group_spread(group, where);
        grove_t *g = must(grove_group_map_async(group, twice_later, in, out, ITEMS));
        CHECK(grove_await(g) == out);
        check_doubled();
        g = must(grove_group_map_async(group, fail_some, in + 5, out + 5, 100));
        CHECK(grove_await(g) == NULL);
        CHECK_EQUAL(errno, EDOM);
        grove_group_free(group);
    }
}
EVERYWHERE(map_async_tells_the_outcome)

static void a_killed_map_async_leaks_nothing(void)
{
    prepare(grove_pool_new(3));
    grove_t *g = must(grove_group_map_async(group, twice, in, out, ITEMS));
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    grove_release(g);
    g = must(grove_group_map_async(group, wait_killed, in, out, ITEMS));
    while (atomic_load(&begun) < 3)
        grove_yield();
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_error(g), ECANCELED);
    CHECK_EQUAL(atomic_load(&ended), 3);
    grove_release(g);
    grove_group_free(group);
}
EVERYWHERE(a_killed_map_async_leaks_nothing)

static void map_in_thread(void *arg)
{
    (void)arg;
    CHECK_EQUAL(grove_group_map(group, twice_later, in, out, ITEMS), 0);
}

static void plain_threads_may_map(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(3));
        grove_group_spread(group, where);
        in_thread(map_in_thread, NULL);
        check_doubled();
        grove_group_free(group);
    }
}
EVERYWHERE(plain_threads_may_map)

static void other_greenlets_take_turns(void)
{
    prepare(grove_pool_new(1));
    void **many = calloc(100000, sizeof *many);
    grove_t *g = must(grove_group_map_async(group, nothing, many, NULL, 100000));
    int turns = 0;
    for (; !grove_ready(g); turns++)
        grove_yield();
    CHECK(turns > 100);
    grove_await(g);
    free(many);
    grove_group_free(group);
}
ALONE(other_greenlets_take_turns)

static void bad_arguments_are_refused(void)
{
    prepare(grove_group_new());
    CHECK_ERROR(grove_group_map(NULL, twice, in, out, 1), EINVAL);
    CHECK_ERROR(grove_group_map(group, NULL, in, out, 1), EINVAL);
    CHECK_ERROR(grove_group_map(group, twice, NULL, out, 1), EINVAL);
    CHECK_EQUAL(grove_group_map(group, twice, NULL, NULL, 0), 0);
    CHECK(grove_group_map_async(group, NULL, in, out, 1) == NULL);
    grove_group_free(group);
}
ALONE(bad_arguments_are_refused)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("values are in order", values_are_in_order),
        TEST("no more run than slots", no_more_run_than_slots),
        TEST("as many run as slots", as_many_run_as_slots),
        TEST("a failed task loses its own item", a_failed_task_loses_its_own_item),
        TEST("a task leaves nothing to the next", a_task_leaves_nothing_to_the_next),
        TEST(
            "a known greenlet runs no other task", a_known_greenlet_runs_no_other_task),
        TEST("links are called after their task", links_are_called_after_their_task),
        TEST("a killed map ends when its tasks have",
            a_killed_map_ends_when_its_tasks_have),
        TEST("killing the group ends a map", killing_the_group_ends_a_map),
        TEST("killing the group ends a map that waits for a slot",
            killing_the_group_ends_a_map_that_waits_for_a_slot),
        TEST("a timeout cuts a map short", a_timeout_cuts_a_map_short),
        TEST("a map lets others have slots", a_map_lets_others_have_slots),
        TEST("a map ends though others keep the slots",
            a_map_ends_though_others_keep_the_slots),
        TEST("maps may be nested", maps_may_be_nested),
        TEST("map_async tells the outcome", map_async_tells_the_outcome),
        TEST("a killed map_async leaks nothing", a_killed_map_async_leaks_nothing),
        TEST("plain threads may map", plain_threads_may_map),
        TEST("other greenlets take turns", other_greenlets_take_turns),
        TEST("bad arguments are refused", bad_arguments_are_refused),
    };
    return harness_main("map", tests, sizeof tests / sizeof *tests);
}
