/* SPDX-License-Identifier: MIT */
/* grove_iwait: things in the order in which they become ready. */
#include <grove/iwait.h>

#include "tests/sync/runtimes.h"

static void *give_back(void *arg)
{
    return arg;
}

static void *set_event(void *event)
{
    grove_event_set(event);
    return NULL;
}

static void in_order_of_readiness(void)
{
    grove_event_t event[2] = {GROVE_EVENT_INIT, GROVE_EVENT_INIT};
    grove_result_t result = GROVE_RESULT_INIT;
    grove_t *greenlet = must(grove_spawn(give_back, &result));
    grove_case_t cases[] = {
        grove_case_event(&event[0]),
        grove_case_event(&event[1]),
        {0},
        grove_case_result(&result),
        grove_case_end(greenlet),
    };
    static const size_t order[] = {1, 3, 4, 0};
    size_t index = 99;

    grove_event_set(&event[1]);
    grove_iwait_t *iwait = grove_iwait_new(cases, 5);
    if (!CHECK(iwait != NULL))
        return;
    grove_result_fail(&result, EDOM, NULL);
    grove_join(greenlet, GROVE_FOREVER);
    grove_event_set(&event[0]);
    for (int i = 0; i < 4; i++) {
        CHECK_EQUAL(grove_iwait_next(iwait, 0, &index), 1);
        CHECK_EQUAL(index, order[i]);
    }
    CHECK_EQUAL(grove_iwait_next(iwait, GROVE_FOREVER, &index), 0);
    CHECK_EQUAL(cases[3].error, EDOM);
    CHECK(cases[4].item == &result);
    grove_iwait_free(iwait);
    grove_release(greenlet);
}
EVERYWHERE(in_order_of_readiness)

static void waits(void)
{
    grove_event_t event[2] = {GROVE_EVENT_INIT, GROVE_EVENT_INIT};
    grove_case_t cases[] = {grove_case_event(&event[0]), grove_case_event(&event[1])};
    grove_iwait_t *iwait = grove_iwait_new(cases, 2);
    size_t index = 99;

    CHECK_ERROR(grove_iwait_next(iwait, 0, &index), ETIMEDOUT);
    CHECK_ERROR(grove_iwait_next(iwait, 0.001, &index), ETIMEDOUT);
    CHECK_EQUAL(index, 99);
    for (int i = 1; i >= 0; i--) {
        grove_t *setter = must(grove_go(set_event, &event[i]));
        CHECK_EQUAL(grove_iwait_next(iwait, GROVE_FOREVER, &index), 1);
        CHECK_EQUAL(index, i);
        grove_await(setter);
    }
    CHECK_EQUAL(grove_iwait_next(iwait, GROVE_FOREVER, NULL), 0);
    grove_iwait_free(iwait);
}
EVERYWHERE(waits)

/* What has not become ready knows nothing of the iteration afterwards. */
static void gives_up(void)
{
    grove_event_t event = GROVE_EVENT_INIT;
    grove_result_t result = GROVE_RESULT_INIT;
    grove_t *greenlet = must(grove_spawn(give_back, NULL));
    grove_case_t cases[] = {
        grove_case_event(&event), grove_case_result(&result), grove_case_end(greenlet)};

    grove_iwait_free(grove_iwait_new(cases, 3));
    grove_iwait_free(NULL);
    grove_event_set(&event);
    grove_result_set(&result, NULL);
    CHECK_EQUAL(grove_join(greenlet, GROVE_FOREVER), 0);
    grove_release(greenlet);
}
EVERYWHERE(gives_up)

static void *read_one(void *iwait)
{
    size_t index;
    int got = grove_iwait_next(iwait, GROVE_FOREVER, &index);

    return (void *)(intptr_t)(got == 1 ? 10 + (int)index : got);
}

/* Of several readers each thing goes to one, and the others learn of the end. */
static void several_readers(void)
{
    grove_event_t event[2] = {GROVE_EVENT_INIT, GROVE_EVENT_INIT};
    grove_case_t cases[] = {grove_case_event(&event[0]), grove_case_event(&event[1])};
    grove_iwait_t *iwait = grove_iwait_new(cases, 2);
    grove_t *reader[4];
    intptr_t sum = 0;

    for (int i = 0; i < 4; i++)
        reader[i] = must(grove_go(read_one, iwait));
    grove_sleep(0);
    grove_event_set(&event[0]);
    grove_event_set(&event[1]);
    for (int i = 0; i < 4; i++)
        sum += (intptr_t)grove_await(reader[i]);
    CHECK_EQUAL(sum, 10 + 11);
    grove_iwait_free(iwait);
}
EVERYWHERE(several_readers)

static void *wait_for_ever(void *iwait)
{
    CHECK_ERROR(grove_iwait_next(iwait, GROVE_FOREVER, NULL), ECANCELED);
    return NULL;
}

static void a_killed_reader_takes_nothing(void)
{
    grove_event_t event = GROVE_EVENT_INIT;
    grove_case_t one = grove_case_event(&event);
    grove_iwait_t *iwait = grove_iwait_new(&one, 1);
    grove_t *victim = must(grove_go(wait_for_ever, iwait));

    while (!grove_started(victim))
        grove_yield();
    grove_kill(victim, GROVE_FOREVER);
    grove_event_set(&event);
    CHECK_EQUAL(grove_iwait_next(iwait, GROVE_FOREVER, NULL), 1);
    grove_release(victim);
    grove_iwait_free(iwait);
}
EVERYWHERE(a_killed_reader_takes_nothing)

static void *wait_in_time(void *iwait)
{
    grove_timeout_t timeout;

    grove_timeout_start(&timeout, 0.001);
    CHECK_ERROR(grove_iwait_next(iwait, GROVE_FOREVER, NULL), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    return NULL;
}

/* Neither a kill nor a timeout that comes between a reader's wake and its run is lost
 * when another takes what woke it. */
static void interrupted_while_woken(grove_fn reader, bool kill)
{
    grove_event_t event[2] = {GROVE_EVENT_INIT, GROVE_EVENT_INIT};
    grove_case_t cases[] = {grove_case_event(&event[0]), grove_case_event(&event[1])};
    grove_iwait_t *iwait = grove_iwait_new(cases, 2);
    grove_t *victim = must(grove_spawn(reader, iwait));

    grove_sleep(0);
    /* Ready before the timer fires, and due when it next runs. */
    grove_event_set(&event[0]);
    CHECK_EQUAL(grove_iwait_next(iwait, 0, NULL), 1);
    if (kill)
        grove_kill(victim, 0);
    else
        usleep(2000);
    grove_join(victim, GROVE_FOREVER);
    grove_event_set(&event[1]);
    CHECK_EQUAL(grove_iwait_next(iwait, GROVE_FOREVER, NULL), 1);
    grove_release(victim);
    grove_iwait_free(iwait);
}

static void a_kill_of_a_woken_reader_is_not_lost(void)
{
    interrupted_while_woken(wait_for_ever, true);
}
EVERYWHERE(a_kill_of_a_woken_reader_is_not_lost)

static void a_timeout_of_a_woken_reader_is_not_lost(void)
{
    interrupted_while_woken(wait_in_time, false);
}
EVERYWHERE(a_timeout_of_a_woken_reader_is_not_lost)

/* Woken for what comes, but killed before it runs. The other reader gets it. */
static void a_killed_reader_passes_its_wake_on(void)
{
    grove_event_t event[2] = {GROVE_EVENT_INIT, GROVE_EVENT_INIT};
    grove_case_t cases[] = {grove_case_event(&event[0]), grove_case_event(&event[1])};
    grove_iwait_t *iwait = grove_iwait_new(cases, 2);
    grove_t *victim = must(grove_spawn(wait_for_ever, iwait));
    grove_t *other = must(grove_spawn(read_one, iwait));

    grove_sleep(0);
    grove_event_set(&event[0]);
    grove_kill(victim, 0);
    CHECK_EQUAL((intptr_t)grove_await(other), 10);
    grove_await(victim);
    grove_iwait_free(iwait);
}
EVERYWHERE(a_killed_reader_passes_its_wake_on)

static void bad_arguments(void)
{
    grove_case_t timer = grove_case_timer(1), none = {.kind = GROVE_CASE_EVENT};

    CHECK(grove_iwait_new(&timer, 1) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    CHECK(grove_iwait_new(&none, 1) == NULL);
    CHECK(grove_iwait_new(NULL, 1) == NULL);
    CHECK_ERROR(grove_iwait_next(NULL, 0, NULL), EINVAL);
    grove_iwait_t *empty = grove_iwait_new(NULL, 0);
    CHECK_ERROR(grove_iwait_next(empty, NAN, NULL), EINVAL);
    CHECK_EQUAL(grove_iwait_next(empty, GROVE_FOREVER, NULL), 0);
    grove_iwait_free(empty);
}
ALONE(bad_arguments)

/* Everything becomes ready on all workers at once, while the reader gives up now and
 * then: each is given out once. */
static void nothing_lost(void)
{
    enum { N = 200 };
    grove_case_t cases[N];
    grove_t *greenlet[N];
    uint64_t state = harness_seed();

    for (size_t round = harness_rounds(100); round > 0; round--) {
        int given[N] = {0};
        size_t wanted = random_next(&state) % (N + 1), got = 0, index;
        for (int i = 0; i < N; i++) {
            greenlet[i] = must(grove_go(give_back, NULL));
            cases[i] = grove_case_end(greenlet[i]);
        }
        grove_iwait_t *iwait = grove_iwait_new(cases, N);
        while (got < wanted && CHECK_EQUAL(grove_iwait_next(iwait, 10, &index), 1)) {
            given[index]++;
            got++;
        }
        grove_iwait_free(iwait);
        for (int i = 0; i < N; i++) {
            CHECK(given[i] <= 1);
            got -= (size_t)given[i];
            grove_await(greenlet[i]);
        }
        CHECK_EQUAL(got, 0);
    }
}
EVERYWHERE(nothing_lost)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("in order of readiness", in_order_of_readiness),
        TEST("waits", waits),
        TEST("gives up", gives_up),
        TEST("several readers", several_readers),
        TEST("a killed reader takes nothing", a_killed_reader_takes_nothing),
        TEST("a kill of a woken reader is not lost",
            a_kill_of_a_woken_reader_is_not_lost),
        TEST("a timeout of a woken reader is not lost",
            a_timeout_of_a_woken_reader_is_not_lost),
        TEST("a killed reader passes its wake on", a_killed_reader_passes_its_wake_on),
        TEST("bad arguments", bad_arguments),
        TEST("nothing is lost or doubled", nothing_lost),
    };
    return harness_main("iwait", tests, sizeof tests / sizeof *tests);
}
