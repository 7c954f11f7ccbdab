/* SPDX-License-Identifier: MIT */
/* Every call fails cleanly when memory runs out: see tests/sched/refuse.h. */
#define _GNU_SOURCE
#include <grove/actor.h>
#include <grove/group.h>
#include <grove/iter.h>
#include <grove/iwait.h>
#include <grove/local.h>
#include <grove/scope.h>

#include "tests/sched/refuse.h"

enum { SOME = 90 }; /* more than there is room for timers at first */

static void *sleep_shortly(void *arg)
{
    while (grove_sleep(0.00001) < 0 && errno != ECANCELED)
        CHECK_EQUAL(errno, ENOMEM);
    return arg;
}

/* A child without memory for its stack fails with ENOMEM, and so does the close. */
static bool expected_end(int result)
{
    return result == 0 || errno == ENOMEM;
}

static enum outcome scope_of_many(void)
{
    static const grove_attr_t attr[] = {{.name = "named"}, {.delay = 0.00001},
        {.affinity = GROVE_ANY}, {.deferred = true}};
    enum outcome outcome = FAILED;
    grove_scope_t scope, inner;
    int error = 0;

    if (grove_scope_open(&scope, GROVE_COLLECT_ALL) < 0)
        return FAILED;
    if (grove_scope_open(&inner, GROVE_CANCEL_ON_FAILURE) < 0) {
        error = errno;
        goto close;
    }
    for (int i = 0; i < SOME && !error; i++) {
        grove_t *g = i % 6 < 4 ? grove_scope_spawn_with(
                                     &inner, &attr[i % 6], sleep_shortly, NULL)
                     : i % 6 == 4 ? grove_scope_spawn(&inner, sleep_shortly, NULL)
                                  : grove_scope_go(&inner, sleep_shortly, NULL);
        if (!g)
            error = errno;
        else if (grove_start(g) < 0)
            error = errno;
        grove_release(g);
    }
    if (!error && grove_scope_deadline(&inner, 1e6) < 0)
        error = errno;
    requests = 0;
    grove_scope_cancel(&inner);
    CHECK_EQUAL(grove_scope_close(&inner), -1);
    CHECK(errno == ECANCELED || errno == ENOMEM);
    if (!error)
        outcome = WORKED;
close:
    CHECK_EQUAL(grove_scope_close(&scope), 0);
    errno = error;
    return outcome;
}

/* All but the children's sleeps. */
static enum outcome scope_that_ends(void)
{
    grove_scope_t scope;
    int error = 0;

    if (grove_scope_open(&scope, GROVE_COLLECT_ALL) < 0)
        return FAILED;
    for (int i = 0; i < 3 && !error; i++) {
        grove_t *g = grove_scope_spawn(&scope, nothing, NULL);
        if (!g)
            error = errno;
        grove_release(g);
    }
    int result = grove_scope_close(&scope);
    CHECK(expected_end(result));
    if (!error && result < 0)
        error = errno;
    errno = error;
    return error ? FAILED : WORKED;
}

static void scopes(void)
{
    refuse_each_of(scope_of_many);
    refuse_each_of(scope_that_ends);
}
BARE(scopes)

static void add(grove_actor_t *actor, void *message, void *arg)
{
    (void)actor;
    *(intptr_t *)arg += (intptr_t)message;
}

static enum outcome add_up(void)
{
    intptr_t sum = 0, sent = 0;
    int error = 0;
    grove_actor_t *actor = grove_actor_new(add, &sum);

    if (!actor)
        return FAILED;
    for (intptr_t i = 1; i <= 200 && !error; i++) {
        if (grove_actor_send(actor, (void *)i, GROVE_FOREVER) == 0)
            sent += i;
        else if (errno != EPIPE)
            error = errno;
    }
    grove_actor_stop(actor);
    CHECK_EQUAL(grove_actor_join(actor, GROVE_FOREVER), 0);
    void *left;
    while (grove_actor_take(actor, &left) == 0)
        sent -= (intptr_t)left;
    CHECK_EQUAL(sum, sent);
    if (!error)
        error = grove_error(grove_actor_greenlet(actor)); /* no memory for its stack */
    CHECK_EQUAL(grove_actor_free(actor), 0);
    errno = error;
    return error ? FAILED : WORKED;
}

static void actors(void)
{
    refuse_each_of(add_up);
}
BARE(actors)

static void *copy_value(void *value)
{
    return strdup(value);
}

enum { VARIABLES = 9 };

static void *spawn_heir(void *arg)
{
    static grove_local_t variable[VARIABLES];
    grove_attr_t attr = {.name = "heir", .inherit_locals = true};
    grove_t *g = NULL;
    int error = 0;

    for (int i = 0; i < VARIABLES && !error; i++) {
        char *value = strdup("value");
        variable[i] = (grove_local_t)GROVE_LOCAL_INIT_INHERITED(free, copy_value);
        if (!value || grove_local_set(&variable[i], value) < 0) {
            error = errno;
            free(value);
        }
    }
    if (!error && !(g = grove_spawn_with(&attr, nothing, NULL)))
        error = errno;
    if (g)
        expect_end(g, NULL);
    *(int *)arg = error;
    return NULL;
}

static enum outcome inherit(void)
{
    int error = ENOMEM;
    grove_t *g = grove_spawn(spawn_heir, &error);

    if (!g)
        return FAILED;
    expect_end(g, NULL);
    errno = error;
    return error ? FAILED : WORKED;
}

static void inherited_locals(void)
{
    refuse_each_of(inherit);
}
BARE(inherited_locals)

static enum outcome group_of_some(void)
{
    grove_group_t *group = grove_pool_new(8);
    int error = 0;

    if (!group)
        return FAILED;
    for (int i = 0; i < SOME && !error; i++) {
        grove_t *g = i % 3 == 0   ? grove_group_spawn(group, nothing, NULL)
                     : i % 3 == 1 ? grove_group_go(group, nothing, NULL)
                                  : grove_group_apply_async(group, nothing, NULL);
        if (!g)
            error = errno;
        grove_release(g);
    }
    while (grove_group_join(group, GROVE_FOREVER) < 0)
        CHECK_EQUAL(errno, ENOMEM);
    grove_group_free(group);
    errno = error;
    return error ? FAILED : WORKED;
}

static enum outcome map_some(void)
{
    grove_group_t *group = grove_group_new();
    void *in[SOME] = {NULL}, *out[SOME];

    if (!group)
        return FAILED;
    int result = grove_group_map(group, nothing, in, out, SOME), error = errno;
    grove_group_free(group);
    errno = error;
    return result == 0 ? WORKED : FAILED;
}

static enum outcome iterate_some(void)
{
    grove_group_t *group = grove_group_new();
    void *in[SOME] = {NULL};
    int error = 0, result = 0, read = 0;

    if (!group)
        return FAILED;
    grove_iter_t *iter = grove_group_imap(group, nothing, in, SOME);
    if (!iter)
        error = errno;
    while (iter && (result = grove_iter_next(iter, GROVE_FOREVER, NULL)) != 0) {
        read++;
        if (result < 0 && !error)
            error = errno;
    }
    CHECK_EQUAL(read, iter ? SOME : 0);
    grove_iter_free(iter);
    while (grove_group_join(group, GROVE_FOREVER) < 0)
        CHECK_EQUAL(errno, ENOMEM);
    grove_group_free(group);
    errno = error;
    return error ? FAILED : WORKED;
}

static void groups(void)
{
    refuse_each_of(group_of_some);
    refuse_each_of(map_some);
    refuse_each_of(iterate_some);
}
BARE(groups)

enum { CASES = 40 }; /* more than a select has room for on its stack */

static void set_last(grove_t *g, void *event)
{
    (void)g;
    grove_event_set(event);
}

static void make_cases(grove_case_t *cases, grove_event_t *events)
{
    for (int i = 0; i < CASES; i++) {
        events[i] = (grove_event_t)GROVE_EVENT_INIT;
        cases[i] = grove_case_event(&events[i]);
    }
}

/* Waits for what becomes ready when a greenlet ends, also if it had no memory to run.
 */
static enum outcome select_many(void)
{
    grove_event_t events[CASES];
    grove_case_t cases[CASES];

    make_cases(cases, events);
    grove_t *g = grove_spawn(nothing, NULL);
    if (!g)
        return FAILED;
    int linked = grove_link(g, set_last, &events[CASES - 1]);
    int index = linked < 0 ? -1 : grove_select(cases, CASES, 1e6);
    int error = errno;
    CHECK(index == CASES - 1 || index == -1);
    expect_end(g, NULL);
    errno = error;
    return index < 0 ? FAILED : WORKED;
}

static enum outcome wait_for_many(void)
{
    grove_event_t events[CASES];
    grove_case_t cases[CASES];
    int result = 1, error = 0, count = 0;

    make_cases(cases, events);
    grove_iwait_t *iwait = grove_iwait_new(cases, CASES);
    if (!iwait)
        return FAILED;
    for (int i = 0; i < CASES; i++)
        grove_event_set(&events[i]);
    while ((result = grove_iwait_next(iwait, GROVE_FOREVER, NULL)) == 1)
        count++;
    error = errno;
    grove_iwait_free(iwait);
    errno = error;
    CHECK(result < 0 || count == CASES);
    return result < 0 ? FAILED : WORKED;
}

static void waits_for_many(void)
{
    refuse_each_of(select_many);
    refuse_each_of(wait_for_many);
}
BARE(waits_for_many)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("scopes", scopes),
        TEST("actors", actors),
        TEST("inherited locals", inherited_locals),
        TEST("groups", groups),
        TEST("waits for many", waits_for_many),
    };
    return harness_main("oom", tests, sizeof tests / sizeof *tests);
}
