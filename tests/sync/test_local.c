/* SPDX-License-Identifier: MIT */
#include <grove/local.h>

#include "tests/sync/runtimes.h"

enum { GREENLETS = 8, LOCALS = 20 };

static atomic_int ended;

static void note_end(void *value)
{
    atomic_fetch_add_explicit(&ended, (int)(intptr_t)value, memory_order_relaxed);
}

static grove_local_t local = GROVE_LOCAL_INIT(note_end);
static grove_local_t plain = GROVE_LOCAL_INIT(NULL);

static void *set_and_check(void *arg)
{
    CHECK(grove_local_get(&local) == NULL);
    CHECK_EQUAL(grove_local_set(&local, arg), 0);
    for (int i = 0; i < 3; i++) {
        grove_yield();
        CHECK(grove_local_get(&local) == arg);
    }
    return NULL;
}

static void each_greenlet_has_its_own(void)
{
    grove_t *greenlet[GREENLETS];

    atomic_store_explicit(&ended, 0, memory_order_relaxed);
    CHECK_EQUAL(grove_local_set(&plain, &ended), 0);
    for (intptr_t i = 0; i < GREENLETS; i++)
        greenlet[i] = must(i % 2 ? grove_go(set_and_check, (void *)(i + 1))
                                 : grove_spawn(set_and_check, (void *)(i + 1)));
    for (int i = 0; i < GREENLETS; i++)
        grove_await(greenlet[i]);
    CHECK_EQUAL(atomic_load_explicit(&ended, memory_order_relaxed),
        GREENLETS * (GREENLETS + 1) / 2);
    CHECK(grove_local_get(&local) == NULL);
    CHECK(grove_local_get(&plain) == &ended);
}
EVERYWHERE(each_greenlet_has_its_own)

static int order[3], destroyed;

static void note_order(void *value)
{
    order[destroyed++] = (int)(intptr_t)value;
}

static grove_local_t ordered[3] = {GROVE_LOCAL_INIT(note_order),
    GROVE_LOCAL_INIT(note_order), GROVE_LOCAL_INIT(note_order)};

static void *set_three(void *arg)
{
    for (intptr_t i = 0; i < 3; i++)
        CHECK_EQUAL(grove_local_set(&ordered[i], (void *)(i + 1)), 0);
    CHECK_EQUAL(grove_local_set(&ordered[1], NULL), 0); /* no destructor for it */
    return arg;
}

static void destructors_run_in_reverse(void)
{
    destroyed = 0;
    grove_await(must(grove_spawn(set_three, NULL)));
    CHECK_EQUAL(destroyed, 2);
    CHECK_EQUAL(order[0], 3);
    CHECK_EQUAL(order[1], 1);
}
EVERYWHERE(destructors_run_in_reverse)

static void note_order_and_fail(void *value)
{
    note_order(value);
    grove_fail(EDOM, "in a destructor");
}

static grove_local_t failing = GROVE_LOCAL_INIT(note_order_and_fail);

static void *set_failing(void *arg)
{
    CHECK_EQUAL(grove_local_set(&ordered[0], (void *)1), 0);
    CHECK_EQUAL(grove_local_set(&failing, (void *)2), 0);
    CHECK_EQUAL(grove_local_set(&ordered[1], (void *)3), 0);
    return arg;
}

static void a_destructor_that_fails_leaves_none_out(void)
{
    destroyed = 0;
    grove_t *greenlet = must(grove_go(set_failing, NULL));
    CHECK_EQUAL(grove_join(greenlet, GROVE_FOREVER), 0);
    CHECK_EQUAL(destroyed, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(order[i], 3 - i);
    CHECK_EQUAL(grove_error(greenlet), EDOM);
    grove_release(greenlet);
}
EVERYWHERE(a_destructor_that_fails_leaves_none_out)

static void *set_many(void *arg)
{
    grove_local_t many[LOCALS];

    for (intptr_t i = 0; i < LOCALS; i++) {
        many[i] = (grove_local_t)GROVE_LOCAL_INIT(NULL);
        CHECK_EQUAL(grove_local_set(&many[i], (void *)(i + 1)), 0);
    }
    for (intptr_t i = 0; i < LOCALS; i++)
        CHECK_EQUAL((intptr_t)grove_local_get(&many[i]), i + 1);
    /* Another variable in the same place is another variable. */
    many[0] = (grove_local_t)GROVE_LOCAL_INIT(NULL);
    CHECK(grove_local_get(&many[0]) == NULL);
    CHECK_EQUAL(grove_local_set(&many[0], arg), 0);
    CHECK(grove_local_get(&many[0]) == arg);
    return arg;
}

static void many_locals_are_told_apart(void)
{
    grove_await(must(grove_spawn(set_many, &ended)));
}
EVERYWHERE(many_locals_are_told_apart)

static void *set_in_thread(void *arg)
{
    CHECK(grove_local_get(&local) == NULL);
    CHECK_EQUAL(grove_local_set(&local, arg), 0);
    /* The thread's stays what it is when the thread gets a main greenlet. */
    grove_await(must(grove_spawn(set_and_check, (void *)1)));
    CHECK(grove_local_get(&local) == arg);
    return NULL;
}

static void a_thread_has_its_own(void)
{
    pthread_t thread;

    atomic_store_explicit(&ended, 0, memory_order_relaxed);
    if (CHECK_EQUAL(pthread_create(&thread, NULL, set_in_thread, (void *)10), 0))
        pthread_join(thread, NULL);
    CHECK_EQUAL(atomic_load_explicit(&ended, memory_order_relaxed), 11);
    CHECK(grove_local_get(&local) == NULL);
}
EVERYWHERE(a_thread_has_its_own)

/* Inherited values count their copies, and how many of all are left. */
static atomic_int alive, copies;
static int fail_copy_with;

static void *make_counted(intptr_t number)
{
    intptr_t *value = malloc(sizeof *value);

    *value = number;
    atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    return value;
}

static void destroy_counted(void *value)
{
    free(value);
    atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
}

static void *copy_counted(void *value)
{
    if (fail_copy_with && *(intptr_t *)value == 2) {
        errno = fail_copy_with;
        return NULL;
    }
    atomic_fetch_add_explicit(&copies, 1, memory_order_relaxed);
    return make_counted(*(intptr_t *)value + 10);
}

static void *copy_nothing(void *value)
{
    (void)value;
    return NULL;
}

static grove_local_t inherited[2] = {
    GROVE_LOCAL_INIT_INHERITED(destroy_counted, copy_counted),
    GROVE_LOCAL_INIT_INHERITED(destroy_counted, copy_counted)};
static grove_local_t dropped = GROVE_LOCAL_INIT_INHERITED(NULL, copy_nothing);

static void expect_inherited(intptr_t first, intptr_t second)
{
    const intptr_t *value = grove_local_get(&inherited[0]);
    CHECK(value && *value == first);
    value = grove_local_get(&inherited[1]);
    CHECK(value && *value == second);
    CHECK(grove_local_get(&plain) == NULL);
    CHECK(grove_local_get(&dropped) == NULL);
}

static void *check_nothing(void *arg)
{
    CHECK(grove_local_get(&inherited[0]) == NULL);
    return arg;
}

static void *check_copies(void *arg)
{
    expect_inherited(11, 12);
    return arg;
}

/* Runs in a greenlet with locals of its own, which the test's thread keeps none of. */
static void *spawn_heirs(void *arg)
{
    grove_attr_t attr = {.inherit_locals = true};

    CHECK_EQUAL(grove_local_set(&inherited[0], make_counted(1)), 0);
    CHECK_EQUAL(grove_local_set(&plain, arg), 0);
    CHECK_EQUAL(grove_local_set(&inherited[1], make_counted(2)), 0);
    CHECK_EQUAL(grove_local_set(&dropped, arg), 0);
    /* By no other spawn. */
    grove_await(must(grove_spawn(check_nothing, NULL)));
    grove_await(must(grove_go(check_nothing, NULL)));
    grove_await(
        must(grove_spawn_with(&(grove_attr_t){.name = "none"}, check_nothing, NULL)));
    CHECK_EQUAL(atomic_load_explicit(&copies, memory_order_relaxed), 0);
    grove_await(must(grove_spawn_with(&attr, check_copies, NULL)));
    attr.affinity = GROVE_ANY;
    grove_await(must(grove_spawn_with(&attr, check_copies, NULL)));
    CHECK_EQUAL(atomic_load_explicit(&copies, memory_order_relaxed), 4);
    CHECK_EQUAL(atomic_load_explicit(&alive, memory_order_relaxed), 2);
    /* Killed before it ran: its values are destroyed when it has ended. */
    attr.affinity = GROVE_LOCAL;
    for (int deferred = 0; deferred < 2; deferred++) {
        attr.deferred = deferred;
        grove_t *unrun = must(grove_spawn_with(&attr, check_copies, NULL));
        CHECK_EQUAL(atomic_load_explicit(&alive, memory_order_relaxed), 4);
        CHECK_EQUAL(grove_kill(unrun, GROVE_FOREVER), 0);
        CHECK_EQUAL(atomic_load_explicit(&alive, memory_order_relaxed), 2);
        grove_release(unrun);
    }
    /* A copy that fails, after another that hasn't. */
    fail_copy_with = EACCES;
    CHECK(grove_spawn_with(&attr, check_copies, NULL) == NULL);
    CHECK_EQUAL(errno, EACCES);
    fail_copy_with = 0;
    CHECK_EQUAL(atomic_load_explicit(&alive, memory_order_relaxed), 2);
    /* A spawn that fails later. */
    CHECK(grove_spawn_with(&attr, NULL, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    CHECK_EQUAL(atomic_load_explicit(&alive, memory_order_relaxed), 2);
    return NULL;
}

static void locals_are_inherited_by_opt_in(void)
{
    atomic_store_explicit(&alive, 0, memory_order_relaxed);
    atomic_store_explicit(&copies, 0, memory_order_relaxed);
    grove_await(must(grove_spawn(spawn_heirs, &ended)));
    CHECK_EQUAL(atomic_load_explicit(&alive, memory_order_relaxed), 0);
}
EVERYWHERE(locals_are_inherited_by_opt_in)

/* Kills race with starts: each copy is destroyed once, by whoever ends its greenlet. */
static void *make_victims(void *arg)
{
    grove_attr_t attr = {.affinity = GROVE_ANY, .inherit_locals = true};

    CHECK_EQUAL(grove_local_set(&inherited[0], make_counted(1)), 0);
    CHECK_EQUAL(grove_local_set(&inherited[1], make_counted(2)), 0);
    for (size_t round = harness_rounds(1000); round > 0; round--) {
        grove_t *victim = must(grove_spawn_with(&attr, check_copies, NULL));
        CHECK_EQUAL(grove_kill(victim, GROVE_FOREVER), 0);
        grove_release(victim);
    }
    return arg;
}

static void no_copy_is_lost_to_a_kill(void)
{
    atomic_store_explicit(&alive, 0, memory_order_relaxed);
    grove_await(must(grove_spawn(make_victims, NULL)));
    CHECK_EQUAL(atomic_load_explicit(&alive, memory_order_relaxed), 0);
}
EVERYWHERE(no_copy_is_lost_to_a_kill)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("each greenlet has its own", each_greenlet_has_its_own),
        TEST("destructors run in reverse", destructors_run_in_reverse),
        TEST("a destructor that fails leaves none out",
            a_destructor_that_fails_leaves_none_out),
        TEST("many locals are told apart", many_locals_are_told_apart),
        TEST("a thread has its own", a_thread_has_its_own),
        TEST("locals are inherited by opt-in", locals_are_inherited_by_opt_in),
        TEST("no copy is lost to a kill", no_copy_is_lost_to_a_kill),
    };
    return harness_main("local", tests, sizeof tests / sizeof *tests);
}
