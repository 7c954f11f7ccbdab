/* SPDX-License-Identifier: MIT */
/* Iterators over the results of tasks. */
#include <grove/event.h>
#include <grove/iter.h>

#include "tests/sync/runtimes.h"

enum { ITEMS = 200 };

static grove_group_t *group;
static grove_event_t go_on;
static void *in[ITEMS];
static _Atomic(int) begun, ended;

static void prepare(grove_group_t *made, grove_affinity_t where)
{
    group = made;
    go_on = (grove_event_t)GROVE_EVENT_INIT;
    grove_group_spread(group, where);
    for (intptr_t i = 0; i < ITEMS; i++)
        in[i] = (void *)i;
    begun = ended = 0;
}

#define FOR_EACH_AFFINITY(where) \
    for (grove_affinity_t where = GROVE_LOCAL; where <= GROVE_CPU; where++)

static grove_iter_t *must_iter(grove_iter_t *iter)
{
    if (!CHECK(iter != NULL))
        abort();
    return iter;
}

static void *twice(void *arg)
{
    return (void *)(2 * (intptr_t)arg);
}

static void *twice_later(void *arg)
{
    atomic_fetch_add(&begun, 1);
    if ((intptr_t)arg % 3 == 0)
        grove_yield();
    if ((intptr_t)arg % 7 == 0)
        grove_sleep(0.00001);
    return twice(arg);
}

static void *wait_or_end(void *arg)
{
    atomic_fetch_add(&begun, 1);
    grove_event_wait(&go_on, GROVE_FOREVER);
    atomic_fetch_add(&ended, 1);
    return arg;
}

/* Reads everything: each item comes once, in order if [ordered]. */
static void read_doubled(grove_iter_t *iter, bool ordered)
{
    bool seen[ITEMS] = {false};
    void *value;
    size_t n = 0;

    for (; grove_iter_next(iter, GROVE_FOREVER, &value) == 1; n++) {
        size_t index = grove_iter_index(iter);
        if (!CHECK(index < ITEMS && !seen[index]))
            return;
        seen[index] = true;
        CHECK_EQUAL((intptr_t)value, 2 * (intptr_t)index);
        if (ordered)
            CHECK_EQUAL(index, n);
    }
    CHECK_EQUAL(n, ITEMS);
    CHECK_EQUAL(grove_iter_next(iter, GROVE_FOREVER, &value), 0);
}

static void imap_is_in_order(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(4), where);
        grove_iter_t *iter = must_iter(grove_group_imap(group, twice_later, in, ITEMS));
        CHECK_EQUAL(grove_iter_index(iter), SIZE_MAX);
        read_doubled(iter, true);
        grove_iter_free(iter);
        grove_group_free(group);
    }
}
EVERYWHERE(imap_is_in_order)

static void imap_unordered_gives_each_once(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(4), where);
        grove_iter_t *iter =
            must_iter(grove_group_imap_unordered(group, twice_later, in, ITEMS));
        read_doubled(iter, false);
        grove_iter_free(iter);
        grove_group_free(group);
    }
}
EVERYWHERE(imap_unordered_gives_each_once)

static void bounded_ones_give_all(void)
{
    FOR_EACH_AFFINITY(where)
    {
        for (size_t ahead = 0; ahead < 4; ahead++) {
            prepare(grove_pool_new(3), where);
            grove_iter_t *iter = must_iter(
                grove_group_imap_bounded(group, twice_later, in, ITEMS, ahead));
            read_doubled(iter, true);
            grove_iter_free(iter);
            iter = must_iter(grove_group_imap_unordered_bounded(
                group, twice_later, in, ITEMS, ahead));
            read_doubled(iter, false);
            grove_iter_free(iter);
            grove_group_free(group);
        }
    }
}
EVERYWHERE(bounded_ones_give_all)

static void no_more_begin_than_bounded(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_group_new(), where);
        grove_iter_t *iter =
            must_iter(grove_group_imap_bounded(group, twice_later, in, ITEMS, 5));
        for (int read = 0; grove_iter_next(iter, GROVE_FOREVER, NULL) == 1; read++) {
            grove_yield();
            CHECK(atomic_load(&begun) <= read + 1 + 5);
        }
        CHECK_EQUAL(atomic_load(&begun), ITEMS);
        grove_iter_free(iter);
        grove_group_free(group);
    }
}
EVERYWHERE(no_more_begin_than_bounded)

static void *first_waits(void *arg)
{
    if (arg == in[0])
        grove_event_wait(&go_on, GROVE_FOREVER);
    return twice(arg);
}

static void unordered_is_in_order_of_the_ends(void)
{
    prepare(grove_pool_new(2), GROVE_LOCAL);
    grove_iter_t *iter =
        must_iter(grove_group_imap_unordered(group, first_waits, in, ITEMS));
    for (size_t i = 1; i < ITEMS; i++) {
        CHECK_EQUAL(grove_iter_next(iter, GROVE_FOREVER, NULL), 1);
        CHECK_EQUAL(grove_iter_index(iter), i);
    }
    CHECK_ERROR(grove_iter_next(iter, 0, NULL), ETIMEDOUT);
    grove_event_set(&go_on);
    CHECK_EQUAL(grove_iter_next(iter, GROVE_FOREVER, NULL), 1);
    CHECK_EQUAL(grove_iter_index(iter), 0);
    CHECK_EQUAL(grove_iter_next(iter, GROVE_FOREVER, NULL), 0);
    grove_iter_free(iter);
    grove_group_free(group);
}
EVERYWHERE(unordered_is_in_order_of_the_ends)

static void *fail_odd(void *arg)
{
    if ((intptr_t)arg % 2)
        grove_fail(EDOM, "");
    return twice(arg);
}

static void a_failed_task_fails_at_its_item(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(4), where);
        grove_iter_t *iter = must_iter(grove_group_imap(group, fail_odd, in, 20));
        for (int i = 0; i < 20; i++) {
            if (i % 2)
                CHECK_ERROR(grove_iter_next(iter, GROVE_FOREVER, NULL), EDOM);
            else
                CHECK_EQUAL(grove_iter_next(iter, GROVE_FOREVER, NULL), 1);
            CHECK_EQUAL(grove_iter_failed(iter), i % 2);
            CHECK_EQUAL(grove_iter_index(iter), i);
        }
        CHECK_EQUAL(grove_iter_next(iter, GROVE_FOREVER, NULL), 0);
        CHECK(!grove_iter_failed(iter));
        grove_iter_free(iter);
        grove_group_free(group);
    }
}
EVERYWHERE(a_failed_task_fails_at_its_item)

static void a_wait_that_fails_loses_nothing(void)
{
    void *value = NULL;

    prepare(grove_pool_new(1), GROVE_LOCAL);
    grove_iter_t *iter = must_iter(grove_group_imap(group, wait_or_end, in + 1, 1));
    CHECK_ERROR(grove_iter_next(iter, 0, &value), ETIMEDOUT);
    CHECK_ERROR(grove_iter_next(iter, 0.001, &value), ETIMEDOUT);
    CHECK(!grove_iter_failed(iter));
    CHECK_EQUAL(grove_iter_index(iter), SIZE_MAX);
    CHECK_ERROR(grove_iter_next(iter, NAN, &value), EINVAL);
    grove_event_set(&go_on);
    CHECK_EQUAL(grove_iter_next(iter, GROVE_FOREVER, &value), 1);
    CHECK(value == in[1]);
    grove_iter_free(iter);
    grove_group_free(group);
}
EVERYWHERE(a_wait_that_fails_loses_nothing)

static void freeing_ends_the_tasks(void)
{
    FOR_EACH_AFFINITY(where)
    {
        for (int unordered = 0; unordered < 2; unordered++) {
            prepare(grove_pool_new(3), where);
            grove_iter_t *iter = must_iter(
                unordered ? grove_group_imap_unordered(group, wait_or_end, in, ITEMS)
                          : grove_group_imap(group, wait_or_end, in, ITEMS));
            while (atomic_load(&begun) < 3)
                grove_yield();
            grove_iter_free(iter);
            CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
            CHECK_EQUAL(atomic_load(&begun), 3);
            CHECK_EQUAL(atomic_load(&ended), 3);
            grove_group_free(group);
        }
    }
}
EVERYWHERE(freeing_ends_the_tasks)

static void freed_at_once_nothing_begins(void)
{
    prepare(grove_pool_new(3), GROVE_LOCAL);
    grove_iter_free(must_iter(grove_group_imap(group, wait_or_end, in, ITEMS)));
    grove_group_free(group);
    grove_yield();
    CHECK_EQUAL(atomic_load(&begun), 0);
}
EVERYWHERE(freed_at_once_nothing_begins)

static void freed_while_bounded(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_group_new(), where);
        grove_iter_t *iter =
            must_iter(grove_group_imap_bounded(group, twice_later, in, ITEMS, 2));
        CHECK_EQUAL(grove_iter_next(iter, GROVE_FOREVER, NULL), 1);
        grove_iter_free(iter);
        CHECK_EQUAL(grove_group_join(group, GROVE_FOREVER), 0);
        CHECK(atomic_load(&begun) <= 3);
        grove_group_free(group);
    }
}
EVERYWHERE(freed_while_bounded)

static void a_killed_group_fails_the_rest(void)
{
    FOR_EACH_AFFINITY(where)
    {
        int values = 0, errors = 0, result;
        prepare(grove_pool_new(3), where);
        grove_iter_t *iter = must_iter(grove_group_imap(group, wait_or_end, in, ITEMS));
        while (atomic_load(&begun) < 3)
            grove_yield();
        CHECK_EQUAL(grove_group_kill(group, GROVE_FOREVER), 0);
        while ((result = grove_iter_next(iter, GROVE_FOREVER, NULL)) != 0) {
            values += result == 1;
            errors += result == -1 && errno == ECANCELED && grove_iter_failed(iter);
        }
        CHECK_EQUAL(values, 3);
        CHECK_EQUAL(errors, ITEMS - 3);
        grove_iter_free(iter);
        grove_group_free(group);
    }
}
EVERYWHERE(a_killed_group_fails_the_rest)

static grove_iter_t *shared;

static void *read_all(void *arg)
{
    intptr_t n = 0;

    (void)arg;
    while (grove_iter_next(shared, GROVE_FOREVER, NULL) == 1)
        n++;
    return (void *)n;
}

static void readers_share_the_results(void)
{
    enum { READERS = 5 };
    grove_t *reader[READERS];
    intptr_t n = 0;

    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(3), where);
        shared = must_iter(grove_group_imap_bounded(group, twice_later, in, ITEMS, 2));
        for (int i = 0; i < READERS; i++)
            reader[i] = must(grove_go(read_all, NULL));
        for (int i = 0; i < READERS; i++)
            n += (intptr_t)grove_await(reader[i]);
        grove_iter_free(shared);
        grove_group_free(group);
    }
    CHECK_EQUAL(n, 3 * ITEMS);
}
EVERYWHERE(readers_share_the_results)

static void read_in_thread(void *arg)
{
    grove_iter_t *iter = must_iter(grove_group_imap(group, twice_later, in, ITEMS));

    (void)arg;
    read_doubled(iter, true);
    grove_iter_free(iter);
}

static void plain_threads_may_read(void)
{
    FOR_EACH_AFFINITY(where)
    {
        prepare(grove_pool_new(3), where);
        in_thread(read_in_thread, NULL);
        grove_group_free(group);
    }
}
EVERYWHERE(plain_threads_may_read)

static void none_is_the_end_at_once(void)
{
    prepare(grove_pool_new(0), GROVE_LOCAL);
    grove_iter_t *iter = must_iter(grove_group_imap(group, twice, NULL, 0));
    CHECK_EQUAL(grove_iter_next(iter, 0, NULL), 0);
    grove_iter_free(iter);
    grove_iter_free(NULL);
    CHECK(grove_group_imap(group, NULL, in, 1) == NULL);
    CHECK(grove_group_imap(NULL, twice, in, 1) == NULL);
    CHECK(grove_group_imap_unordered(group, twice, NULL, 1) == NULL);
    errno = 0;
    CHECK(grove_group_imap(group, twice, in, SIZE_MAX / 2) == NULL && errno == ENOMEM);
    CHECK_ERROR(grove_iter_next(NULL, 0, NULL), EINVAL);
    grove_group_free(group);
}
ALONE(none_is_the_end_at_once)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("imap is in order", imap_is_in_order),
        TEST("imap_unordered gives each once", imap_unordered_gives_each_once),
        TEST("bounded ones give all", bounded_ones_give_all),
        TEST("no more begin than bounded", no_more_begin_than_bounded),
        TEST("unordered is in order of the ends", unordered_is_in_order_of_the_ends),
        TEST("a failed task fails at its item", a_failed_task_fails_at_its_item),
        TEST("a wait that fails loses nothing", a_wait_that_fails_loses_nothing),
        TEST("freeing ends the tasks", freeing_ends_the_tasks),
        TEST("freed at once nothing begins", freed_at_once_nothing_begins),
        TEST("freed while bounded", freed_while_bounded),
        TEST("a killed group fails the rest", a_killed_group_fails_the_rest),
        TEST("readers share the results", readers_share_the_results),
        TEST("plain threads may read", plain_threads_may_read),
        TEST("none is the end at once", none_is_the_end_at_once),
    };
    return harness_main("iter", tests, sizeof tests / sizeof *tests);
}
