/* SPDX-License-Identifier: MIT */
#include <grove/result.h>

#include "tests/sync/runtimes.h"

static int object;

static void starts_pending(void)
{
    grove_result_t result = GROVE_RESULT_INIT;
    void *value = &object;

    CHECK(!grove_result_ready(&result));
    CHECK(!grove_result_successful(&result));
    CHECK_EQUAL(grove_result_error(&result), 0);
    CHECK_ERROR(grove_result_get(&result, 0, &value), ETIMEDOUT);
    CHECK_ERROR(grove_result_get(&result, 0.001, &value), ETIMEDOUT);
    CHECK_ERROR(grove_result_wait(&result, (double)NAN), EINVAL);
    CHECK(value == &object); /* untouched by failures */
}
EVERYWHERE(starts_pending)

static void a_value_is_got(void)
{
    grove_result_t result = GROVE_RESULT_INIT;
    void *value = NULL;

    CHECK_EQUAL(grove_result_set(&result, &object), 0);
    CHECK(grove_result_ready(&result));
    CHECK(grove_result_successful(&result));
    CHECK_EQUAL(grove_result_get(&result, 0, &value), 0);
    CHECK(value == &object);
    CHECK_EQUAL(grove_result_get(&result, GROVE_FOREVER, NULL), 0);
    CHECK_STRING(grove_result_error_text(&result), "");
}
EVERYWHERE(a_value_is_got)

static void an_error_is_got(void)
{
    grove_result_t result = GROVE_RESULT_INIT;

    CHECK_ERROR(grove_result_fail(&result, 0, "no error"), EINVAL);
    CHECK(!grove_result_ready(&result));
    CHECK_EQUAL(grove_result_fail(&result, ENOENT, "no such thing"), 0);
    CHECK(grove_result_ready(&result));
    CHECK(!grove_result_successful(&result));
    CHECK_ERROR(grove_result_get(&result, GROVE_FOREVER, NULL), ENOENT);
    CHECK_EQUAL(grove_result_wait(&result, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_result_error(&result), ENOENT);
    CHECK_STRING(grove_result_error_text(&result), "no such thing");
    grove_result_destroy(&result);
    CHECK(!grove_result_ready(&result));
}
EVERYWHERE(an_error_is_got)

static void a_second_set_replaces(void)
{
    grove_result_t result = GROVE_RESULT_INIT;
    void *value = NULL;

    grove_result_fail(&result, EIO, "first");
    grove_result_set(&result, &object);
    CHECK_EQUAL(grove_result_get(&result, 0, &value), 0);
    CHECK(value == &object);
    CHECK_STRING(grove_result_error_text(&result), "");
}
EVERYWHERE(a_second_set_replaces)

static void *get_it(void *arg)
{
    void *value = NULL;

    CHECK_EQUAL(grove_result_get(arg, GROVE_FOREVER, &value), 0);
    return value;
}

static void all_waiters_get_it(void)
{
    grove_result_t result = GROVE_RESULT_INIT;
    grove_t *getter[4];
    pthread_t thread;
    void *value;

    for (int i = 0; i < 4; i++)
        getter[i] =
            must(i % 2 ? grove_spawn(get_it, &result) : grove_go(get_it, &result));
    if (!CHECK_EQUAL(pthread_create(&thread, NULL, get_it, &result), 0))
        return;
    until_waited_for(&result.waiters_);
    grove_result_set(&result, &object);
    for (int i = 0; i < 4; i++)
        CHECK(grove_await(getter[i]) == &object);
    pthread_join(thread, &value);
    CHECK(value == &object);
}
EVERYWHERE(all_waiters_get_it)

static void *get_until_killed(void *arg)
{
    CHECK_ERROR(grove_result_get(arg, GROVE_FOREVER, NULL), ECANCELED);
    return NULL;
}

static void kill_ends_a_get(void)
{
    grove_result_t result = GROVE_RESULT_INIT;
    grove_t *getter = must(grove_spawn(get_until_killed, &result));

    grove_yield();
    CHECK_EQUAL(grove_kill(getter, GROVE_FOREVER), 0);
    CHECK(!grove_result_ready(&result));
    grove_release(getter);
}
EVERYWHERE(kill_ends_a_get)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("starts pending", starts_pending),
        TEST("a value is got", a_value_is_got),
        TEST("an error is got", an_error_is_got),
        TEST("a second set replaces", a_second_set_replaces),
        TEST("all waiters get it", all_waiters_get_it),
        TEST("kill ends a get", kill_ends_a_get),
    };
    return harness_main("result", tests, sizeof tests / sizeof *tests);
}
