/* SPDX-License-Identifier: MIT */
/* Spawns, order, states, and what is known of a greenlet. */
#include "tests/sched/runtimes.h"

static int trace[256], traced;

static void *note(void *arg)
{
    trace[traced++] = (int)(intptr_t)arg;
    return arg;
}

static void expect_trace(const int *expected, int n)
{
    if (CHECK_EQUAL(traced, n))
        for (int i = 0; i < n; i++)
            CHECK_EQUAL(trace[i], expected[i]);
    traced = 0;
}

static void spawn_never_runs_at_once(void)
{
    traced = 0;
    grove_t *g = must(grove_spawn(note, (void *)1));
    CHECK_EQUAL(traced, 0);
    CHECK(!grove_ready(g));
    grove_yield();
    CHECK_EQUAL(traced, 1);
    CHECK(grove_ready(g));
    grove_release(g);
}
EVERYWHERE(spawn_never_runs_at_once)

static void go_never_runs_at_once_here(void)
{
    traced = 0;
    grove_t *g = must(grove_go(note, (void *)1));
    CHECK_EQUAL(traced, 0);
    CHECK(grove_await(g) == (void *)1);
    CHECK_EQUAL(traced, 1);
}
ALONE(go_never_runs_at_once_here)

static void spawns_run_first_in_first_out(void)
{
    grove_t *g[100];

    traced = 0;
    for (intptr_t i = 0; i < 100; i++)
        g[i] = must(grove_spawn(note, (void *)i));
    CHECK_EQUAL(grove_joinall(g, 100, GROVE_FOREVER), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(trace[i], i);
        grove_release(g[i]);
    }
}
EVERYWHERE(spawns_run_first_in_first_out)

static void *spawn_two(void *arg)
{
    note(arg);
    grove_release(must(grove_spawn(note, (void *)((intptr_t)arg * 10))));
    grove_yield();
    return note((void *)((intptr_t)arg * 100));
}

/* A spawn queues behind everything that is ready, as does a yield behind a spawn. */
static void spawns_queue_behind_what_is_ready(void)
{
    grove_t *a = must(grove_spawn(spawn_two, (void *)1));
    grove_t *b = must(grove_spawn(spawn_two, (void *)2));

    traced = 0;
    grove_await(a);
    grove_await(b);
    expect_trace((int[]){1, 2, 10, 100, 20, 200}, 6);
}
EVERYWHERE(spawns_queue_behind_what_is_ready)

static void *wander(void *arg)
{
    uint64_t state = (uint64_t)(intptr_t)arg;

    for (int i = 0; i < 10; i++) {
        note(arg);
        switch (random_next(&state) % 3) {
        case 0:
            grove_yield();
            break;
        case 1:
            grove_sleep(0);
            break;
        default:
            grove_await(must(grove_spawn(note, (void *)((intptr_t)arg + 100))));
        }
    }
    return NULL;
}

static int wander_all(int *into)
{
    grove_t *g[8];

    traced = 0;
    for (intptr_t i = 0; i < 8; i++)
        g[i] = must(grove_spawn(wander, (void *)i));
    for (int i = 0; i < 8; i++)
        grove_await(g[i]);
    memcpy(into, trace, sizeof trace);
    return traced;
}

static void same_program_same_order(void)
{
    static int first[256], again[256];
    int n = wander_all(first);

    for (int round = 0; round < 5; round++) {
        CHECK_EQUAL(wander_all(again), n);
        CHECK(memcmp(first, again, (size_t)n * sizeof *first) == 0);
    }
}
EVERYWHERE(same_program_same_order)

static void *yield_and_return(void *arg)
{
    grove_yield();
    return arg;
}

/* gevent: started from the start to the end; ready and successful after it. */
static void states_of_a_life(void)
{
    grove_t *g = must(grove_spawn(yield_and_return, (void *)7));

    CHECK(grove_started(g));
    CHECK(!grove_ready(g));
    CHECK(!grove_successful(g));
    CHECK(grove_value(g) == NULL);
    grove_yield();
    CHECK(grove_started(g));
    CHECK(!grove_ready(g));
    CHECK(grove_value(g) == NULL);
    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    CHECK(!grove_started(g));
    CHECK(grove_ready(g));
    CHECK(grove_successful(g));
    CHECK(grove_value(g) == (void *)7);
    CHECK_EQUAL(grove_error(g), 0);
    CHECK_STRING(grove_error_text(g), "");
    grove_release(g);
}
EVERYWHERE(states_of_a_life)

static void spawn_needs_a_function(void)
{
    errno = 0;
    CHECK(grove_spawn(NULL, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    errno = 0;
    CHECK(grove_go(NULL, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    errno = 0;
    CHECK(grove_spawn_later(0.001, NULL, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    errno = 0;
    CHECK(grove_spawn_with(&(grove_attr_t){.name = "x"}, NULL, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
}
EVERYWHERE(spawn_needs_a_function)

static void bad_attributes_are_refused(void)
{
    static const grove_attr_t bad[] = {
        {.affinity = (grove_affinity_t)99},
        {.stack_size = 1},
        {.stack_size = SIZE_MAX},
        {.delay = -1},
        {.delay = (double)NAN},
    };

    traced = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        CHECK(grove_spawn_with(&bad[i], note, NULL) == NULL);
        CHECK_EQUAL(errno, EINVAL);
    }
    errno = 0;
    CHECK(grove_spawn_later(-0.001, note, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    errno = 0;
    CHECK(grove_spawn_later((double)NAN, note, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    grove_yield();
    CHECK_EQUAL(traced, 0);
}
EVERYWHERE(bad_attributes_are_refused)

static void *name_of_current(void *arg)
{
    (void)arg;
    CHECK_STRING(grove_name(grove_current()), "night watch");
    return NULL;
}

static void names(void)
{
    char name[] = "night watch", expected[40];
    grove_t *named =
        must(grove_spawn_with(&(grove_attr_t){.name = name}, name_of_current, NULL));
    grove_t *plain = must(grove_spawn(note, NULL));

    name[0] = '?'; /* it was copied */
    snprintf(expected, sizeof expected, "greenlet-%llu",
        (unsigned long long)grove_id(plain));
    CHECK_STRING(grove_name(plain), expected);
    CHECK(grove_name(plain) == grove_name(plain));
    grove_await(named);
    grove_join(plain, GROVE_FOREVER);
    CHECK_STRING(grove_name(plain), expected);
    grove_release(plain);
    CHECK_STRING(grove_name(grove_current()), "main");
}
EVERYWHERE(names)

static void numbers_are_unique(void)
{
    enum { COUNT = 200 };
    grove_t *g[COUNT];

    for (int i = 0; i < COUNT; i++)
        g[i] = must((i % 2 ? grove_go : grove_spawn)(yield_and_return, NULL));
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < i; j++)
            CHECK(grove_id(g[i]) != grove_id(g[j]));
    for (int i = 0; i < COUNT; i++)
        grove_await(g[i]);
}
EVERYWHERE(numbers_are_unique)

static void *deep(void *arg)
{
    volatile char room[900 * 1024];

    for (size_t i = 0; i < sizeof room; i += 1024)
        room[i] = (char)i;
    grove_yield();
    for (size_t i = 0; i < sizeof room; i += 1024)
        CHECK_EQUAL(room[i], (char)i);
    return arg;
}

static void stacks_as_large_as_asked(void)
{
    grove_t *g[4];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            g[i] =
                must(grove_spawn_with(&(grove_attr_t){.stack_size = 1 << 20,
                                          .affinity = i % 2 ? GROVE_ANY : GROVE_LOCAL},
                    deep, g));
        grove_await(must(grove_spawn(yield_and_return, NULL)));
        for (int i = 0; i < 4; i++)
            CHECK(grove_await(g[i]) == g);
    }
}
EVERYWHERE(stacks_as_large_as_asked)

static void every_affinity_runs(void)
{
    static const grove_affinity_t affinities[] = {GROVE_LOCAL, GROVE_ANY, GROVE_CPU};

    for (size_t i = 0; i < 3; i++) {
        grove_attr_t attr = {.affinity = affinities[i]};
        CHECK(grove_await(must(grove_spawn_with(&attr, yield_and_return, &attr))) ==
              &attr);
    }
    CHECK(grove_await(must(grove_spawn_with(NULL, yield_and_return, trace))) == trace);
}
EVERYWHERE(every_affinity_runs)

static void a_deferred_one_waits_for_its_start(void)
{
    static const grove_affinity_t affinities[] = {GROVE_LOCAL, GROVE_ANY};

    for (size_t i = 0; i < 2; i++) {
        grove_attr_t attr = {.affinity = affinities[i], .deferred = true};
        traced = 0;
        grove_t *g = must(grove_spawn_with(&attr, note, (void *)3));
        for (int turn = 0; turn < 10; turn++)
            grove_yield();
        CHECK(!grove_started(g));
        CHECK_EQUAL(traced, 0);
        CHECK_EQUAL(grove_start(g), 0);
        if (affinities[i] == GROVE_LOCAL) /* others may run it at once */
            CHECK_EQUAL(traced, 0);
        CHECK_EQUAL(grove_start(g), 0);
        CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_start(g), 0);
        grove_yield();
        CHECK_EQUAL(traced, 1);
        grove_release(g);
    }
}
EVERYWHERE(a_deferred_one_waits_for_its_start)

static void a_start_of_a_started_one_is_a_no_op(void)
{
    traced = 0;
    grove_t *g = must(grove_spawn(note, NULL));
    CHECK_EQUAL(grove_start(g), 0);
    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    grove_yield();
    CHECK_EQUAL(traced, 1);
    grove_release(g);
}
EVERYWHERE(a_start_of_a_started_one_is_a_no_op)

static pthread_t ran_on;

static void *note_thread(void *arg)
{
    ran_on = pthread_self();
    return arg;
}

static void start_it(void *g)
{
    CHECK_EQUAL(grove_start(g), 0);
}

static void started_from_elsewhere_it_runs_at_home(void)
{
    grove_attr_t attr = {.deferred = true};
    grove_t *g = must(grove_spawn_with(&attr, note_thread, NULL));

    in_thread(start_it, g);
    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    CHECK(pthread_equal(ran_on, pthread_self()));
    grove_release(g);
}
EVERYWHERE(started_from_elsewhere_it_runs_at_home)

static double monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *note_time(void *arg)
{
    *(double *)arg = monotonic();
    return NULL;
}

static void delays_are_never_early(void)
{
    grove_t *g[20];
    double began[20], ran[20];

    for (int i = 0; i < 20; i++) {
        began[i] = monotonic();
        g[i] = must(grove_spawn_later(0.0003 * i, note_time, &ran[i]));
    }
    CHECK_EQUAL(grove_joinall(g, 20, GROVE_FOREVER), 0);
    for (int i = 0; i < 20; i++) {
        CHECK(ran[i] - began[i] >= 0.0003 * i);
        grove_release(g[i]);
    }
}
EVERYWHERE(delays_are_never_early)

/* The order of times, not of the calls. Says nothing if the calls took longer than the
 * times differ. */
static void delayed_ones_run_in_order_of_time(void)
{
    traced = 0;
    double began = monotonic();
    grove_t *last = must(grove_spawn_later(0.02, note, (void *)3));
    grove_t *middle = must(grove_spawn_later(0.01, note, (void *)2));
    grove_t *first = must(grove_spawn_later(0, note, (void *)1));
    bool quick = monotonic() - began < 0.01;

    CHECK(!grove_started(last));
    CHECK(grove_started(first));
    grove_await(last);
    grove_await(middle);
    grove_await(first);
    CHECK_EQUAL(traced, 3);
    CHECK_EQUAL(trace[0], 1);
    if (quick)
        expect_trace((int[]){1, 2, 3}, 3);
}
EVERYWHERE(delayed_ones_run_in_order_of_time)

/* The delay of a deferred one counts from its start. */
static void deferred_and_delayed(void)
{
    double ran;
    grove_attr_t attr = {.deferred = true, .delay = 0.002};
    grove_t *g = must(grove_spawn_with(&attr, note_time, &ran));

    CHECK_EQUAL(grove_join(g, 0.004), -1);
    double started = monotonic();
    CHECK_EQUAL(grove_start(g), 0);
    grove_await(g);
    CHECK(ran - started >= 0.002);
}
EVERYWHERE(deferred_and_delayed)

static void *is_current(void *arg)
{
    grove_t **self = arg;

    CHECK(grove_current() == *self);
    grove_yield();
    CHECK(grove_current() == *self);
    return NULL;
}

static void no_current(void *arg)
{
    (void)arg;
    CHECK(grove_current() == NULL);
    CHECK_EQUAL(grove_worker_self(), -1);
}

static void current_greenlets(void)
{
    grove_t *main = grove_current();
    grove_t *a, *b;

    CHECK(main != NULL);
    a = must(grove_spawn(is_current, &a));
    b = must(grove_spawn(is_current, &b));
    grove_join(a, GROVE_FOREVER);
    grove_join(b, GROVE_FOREVER);
    grove_release(a);
    grove_release(b);
    CHECK(grove_current() == main);
    in_thread(no_current, NULL);
}
EVERYWHERE(current_greenlets)

static void references(void)
{
    traced = 0;
    grove_t *g = must(grove_spawn(note, (void *)1));
    CHECK(grove_retain(g) == g);
    CHECK(grove_await(g) == (void *)1);
    CHECK(grove_value(g) == (void *)1); /* by the second reference */
    grove_release(g);
    grove_release(must(grove_spawn(note, (void *)2)));
    grove_release(must(grove_go(note, (void *)3)));
    grove_release(NULL);
    while (traced < 3)
        grove_yield();
}
ALONE(references)

/* Records are used again: a new greenlet must know nothing of an old one. */
static void records_are_as_new(void)
{
    for (int i = 0; i < 2000; i++) {
        grove_t *g = must(grove_spawn(yield_and_return, NULL));
        if (i % 3 == 0)
            grove_kill(g, 0);
        if (i % 5 == 0)
            grove_name(g);
        grove_join(g, GROVE_FOREVER);
        CHECK(grove_value(g) == (i % 3 == 0 ? GROVE_KILLED : NULL));
        CHECK_EQUAL(grove_error(g), 0);
        grove_release(g);
    }
}
EVERYWHERE(records_are_as_new)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("spawn never runs at once", spawn_never_runs_at_once),
        TEST("go never runs at once here", go_never_runs_at_once_here),
        TEST("spawns run first in, first out", spawns_run_first_in_first_out),
        TEST("spawns queue behind what is ready", spawns_queue_behind_what_is_ready),
        TEST("same program, same order", same_program_same_order),
        TEST("states of a life", states_of_a_life),
        TEST("spawn needs a function", spawn_needs_a_function),
        TEST("bad attributes are refused", bad_attributes_are_refused),
        TEST("names", names),
        TEST("numbers are unique", numbers_are_unique),
        TEST("stacks as large as asked", stacks_as_large_as_asked),
        TEST("every affinity runs", every_affinity_runs),
        TEST("a deferred one waits for its start", a_deferred_one_waits_for_its_start),
        TEST(
            "a start of a started one is a no-op", a_start_of_a_started_one_is_a_no_op),
        TEST("started from elsewhere it runs at home",
            started_from_elsewhere_it_runs_at_home),
        TEST("delays are never early", delays_are_never_early),
        TEST("delayed ones run in order of time", delayed_ones_run_in_order_of_time),
        TEST("deferred and delayed", deferred_and_delayed),
        TEST("current greenlets", current_greenlets),
        TEST("references", references),
        TEST("records are as new", records_are_as_new),
    };
    return harness_main("greenlet", tests, sizeof tests / sizeof *tests);
}
