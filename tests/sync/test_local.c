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

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("each greenlet has its own", each_greenlet_has_its_own),
        TEST("destructors run in reverse", destructors_run_in_reverse),
        TEST("many locals are told apart", many_locals_are_told_apart),
        TEST("a thread has its own", a_thread_has_its_own),
    };
    return harness_main("local", tests, sizeof tests / sizeof *tests);
}
