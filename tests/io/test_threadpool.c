/* SPDX-License-Identifier: MIT */
/* Pools of native threads: how many, for how long, and what becomes of their calls. */
#include <grove.h>

#include "tests/sync/runtimes.h"

enum { MAX = 3, MANY = 20 };

static _Atomic(int) ran, running, most_running;
static grove_event_t let_go = GROVE_EVENT_INIT;

static void fresh(void)
{
    atomic_store(&ran, 0);
    atomic_store(&running, 0);
    atomic_store(&most_running, 0);
    grove_event_clear(&let_go);
}

static void *note(void *arg)
{
    atomic_fetch_add(&ran, 1);
    return arg;
}

static void *hold(void *arg)
{
    int now = atomic_fetch_add(&running, 1) + 1;
    int most = atomic_load(&most_running);

    while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now))
        ;
    CHECK_EQUAL(grove_event_wait(&let_go, GROVE_FOREVER), 0);
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&ran, 1);
    return arg;
}

static grove_threadpool_t *pool_of(size_t max)
{
    grove_threadpool_t *pool = grove_threadpool_new(max);

    if (!pool) {
        CHECK(pool != NULL);
        abort();
    }
    return pool;
}

static grove_result_t *give(grove_threadpool_t *pool, grove_fn fn, void *arg)
{
    grove_result_t *result = grove_threadpool_spawn(pool, fn, arg);

    if (!result) {
        CHECK(result != NULL);
        abort();
    }
    return result;
}

static void until_running(int number)
{
    while (atomic_load(&running) < number)
        grove_yield();
}

static void results_get_the_values(void)
{
    grove_threadpool_t *pool = pool_of(MAX);
    grove_result_t *result[MANY];
    void *value;

    fresh();
    CHECK_EQUAL(grove_threadpool_size(pool), 0);
    for (intptr_t i = 0; i < MANY; i++)
        result[i] = give(pool, note, (void *)i);
    for (intptr_t i = 0; i < MANY; i++) {
        CHECK_EQUAL(grove_result_get(result[i], GROVE_FOREVER, &value), 0);
        CHECK_EQUAL((intptr_t)value, i);
        CHECK_ERROR(grove_threadpool_cancel(pool, result[i]), EALREADY);
        grove_threadpool_release(result[i]);
    }
    CHECK(grove_threadpool_size(pool) >= 1 && grove_threadpool_size(pool) <= MAX);
    CHECK_EQUAL(atomic_load(&ran), MANY);
    grove_threadpool_free(pool);
}
EVERYWHERE(results_get_the_values)

static void no_more_threads_than_asked(void)
{
    grove_threadpool_t *pool = pool_of(MAX);

    fresh();
    for (int i = 0; i < MANY; i++)
        grove_threadpool_release(give(pool, hold, NULL));
    until_running(MAX);
    CHECK_EQUAL(grove_threadpool_size(pool), MAX);
    CHECK_EQUAL(grove_threadpool_queued(pool), MANY - MAX);
    grove_event_set(&let_go);
    while (atomic_load(&ran) < MANY)
        grove_yield();
    CHECK_EQUAL(atomic_load(&most_running), MAX);
    CHECK_EQUAL(grove_threadpool_queued(pool), 0);
    grove_threadpool_free(pool);
}
EVERYWHERE(no_more_threads_than_asked)

static intptr_t order[MANY];

static void *note_order(void *arg)
{
    order[atomic_fetch_add(&ran, 1)] = (intptr_t)arg;
    return NULL;
}

static void first_in_first_out(void)
{
    grove_threadpool_t *pool = pool_of(1);
    grove_result_t *last = NULL;

    fresh();
    for (intptr_t i = 0; i < MANY; i++) {
        grove_threadpool_release(last);
        last = give(pool, note_order, (void *)i);
    }
    CHECK_EQUAL(grove_result_wait(last, GROVE_FOREVER), 0);
    grove_threadpool_release(last);
    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(order[i], i);
    grove_threadpool_free(pool);
}
EVERYWHERE(first_in_first_out)

static void a_cancelled_call_never_runs(void)
{
    grove_threadpool_t *pool = pool_of(1), *other = pool_of(1);
    void *value = &ran;

    fresh();
    grove_result_t *runs = give(pool, hold, NULL);
    until_running(1);
    grove_result_t *queued[3];
    for (int i = 0; i < 3; i++)
        queued[i] = give(pool, note, NULL);
    CHECK_ERROR(grove_threadpool_cancel(pool, NULL), EINVAL);
    CHECK_ERROR(grove_threadpool_cancel(other, queued[1]), EINVAL);
    CHECK_ERROR(grove_threadpool_cancel(pool, runs), EALREADY);
    /* From the middle, the front and the end. */
    static const int places[] = {1, 0, 2};
    for (int i = 0; i < 3; i++) {
        grove_result_t *result = queued[places[i]];
        CHECK_EQUAL(grove_threadpool_cancel(pool, result), 0);
        CHECK_ERROR(grove_threadpool_cancel(pool, result), EALREADY);
        CHECK_ERROR(grove_result_get(result, GROVE_FOREVER, &value), ECANCELED);
        CHECK_EQUAL(grove_threadpool_queued(pool), 2 - i);
        grove_threadpool_release(result);
    }
    grove_event_set(&let_go);
    CHECK_EQUAL(grove_result_get(runs, GROVE_FOREVER, &value), 0);
    grove_threadpool_release(runs);
    grove_threadpool_free(pool);
    grove_threadpool_free(other);
    CHECK_EQUAL(atomic_load(&ran), 1);
}
EVERYWHERE(a_cancelled_call_never_runs)

static void bad_arguments(void)
{
    grove_threadpool_t *pool = pool_of(1);

    errno = 0;
    CHECK(grove_threadpool_spawn(pool, NULL, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    grove_threadpool_release(NULL);
    grove_threadpool_free(NULL);
    grove_threadpool_free(pool);
}
EVERYWHERE(bad_arguments)

static void *free_it(void *arg)
{
    grove_threadpool_free(arg);
    return NULL;
}

static void free_waits_for_what_runs(void)
{
    grove_threadpool_t *pool = pool_of(1);

    fresh();
    grove_result_t *runs = give(pool, hold, &ran);
    until_running(1);
    grove_result_t *queued = give(pool, note, NULL);
    grove_t *g = must(grove_spawn(free_it, pool));
    CHECK_ERROR(grove_result_get(queued, GROVE_FOREVER, NULL), ECANCELED);
    /* Nothing cuts it short. */
    CHECK_ERROR(grove_kill(g, 0.001), ETIMEDOUT);
    CHECK(!grove_ready(g));
    grove_event_set(&let_go);
    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    grove_release(g);
    CHECK_EQUAL(atomic_load(&running), 0);
    CHECK(grove_result_ready(runs));
    grove_threadpool_release(runs);
    grove_threadpool_release(queued);
    CHECK_EQUAL(atomic_load(&ran), 1);
}
EVERYWHERE(free_waits_for_what_runs)

static void use_pool(void *arg)
{
    grove_threadpool_t *pool = pool_of(2);
    void *value;

    for (intptr_t i = 1; i < 10; i++) {
        grove_result_t *result = give(pool, note, (void *)i);
        CHECK_EQUAL(grove_result_get(result, GROVE_FOREVER, &value), 0);
        CHECK_EQUAL((intptr_t)value, i);
        grove_threadpool_release(result);
    }
    grove_threadpool_free(pool);
    (void)arg;
}

static void plain_threads_may_use_pools(void)
{
    fresh();
    in_thread(use_pool, NULL);
}
EVERYWHERE(plain_threads_may_use_pools)

static void idle_threads_end(void)
{
    grove_config_t config = {.workers = 2, .threads_idle = 0.001};

    CHECK_EQUAL(grove_init(&config), 0);
    fresh();
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 5; i++)
            grove_threadpool_release(give(NULL, note, NULL));
        while (grove_threadpool_size(NULL) > 0)
            grove_sleep(0.001);
        CHECK_EQUAL(grove_threadpool_queued(NULL), 0);
        CHECK_EQUAL(atomic_load(&ran), 5 * (round + 1));
    }
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}

static void a_pool_outlives_the_runtime(void)
{
    grove_config_t config = {.workers = 2};
    grove_threadpool_t *pool = pool_of(1);

    for (int round = 0; round < 3; round++) {
        CHECK_EQUAL(grove_init(&config), 0);
        fresh();
        grove_result_t *runs = give(pool, note, &ran);
        grove_result_wait(runs, GROVE_FOREVER);
        CHECK(grove_result_successful(runs));
        grove_threadpool_release(runs);
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_threadpool_size(pool), 0);
    }
    grove_threadpool_free(pool);
}

/* -- Stress ------------------------------------------------------------------------ */

static grove_threadpool_t *shared_pool;
static _Atomic(int) begun, taken_back;

static void *maybe_exit(void *arg)
{
    atomic_fetch_add(&begun, 1);
    if ((uintptr_t)arg % 16 == 0)
        pthread_exit(NULL);
    return arg;
}

/* Gives calls, takes some back, drops the others. */
static void *give_and_cancel(void *arg)
{
    uint64_t dice = *(uint64_t *)arg;

    for (int i = 0; i < 20; i++) {
        uintptr_t number = random_next(&dice) % 100;
        grove_result_t *result = give(shared_pool, maybe_exit, (void *)number);
        if (random_next(&dice) % 3 == 0)
            grove_yield();
        if (random_next(&dice) % 2) {
            if (grove_threadpool_cancel(shared_pool, result) == 0) {
                atomic_fetch_add(&taken_back, 1);
                CHECK_EQUAL(grove_result_error(result), ECANCELED);
            } else {
                CHECK_EQUAL(errno, EALREADY);
            }
        }
        grove_threadpool_release(result);
    }
    return NULL;
}

static void cancels_and_runs_race(void)
{
    enum { AT_ONCE = 6 };
    uint64_t state = harness_seed();

    for (size_t i = harness_rounds(100); i > 0; i--) {
        uint64_t seed[AT_ONCE];
        grove_t *g[AT_ONCE];
        atomic_store(&begun, 0);
        atomic_store(&taken_back, 0);
        shared_pool = pool_of(1 + random_next(&state) % 4);
        for (int k = 0; k < AT_ONCE; k++) {
            seed[k] = random_next(&state);
            g[k] = must(grove_go(give_and_cancel, &seed[k]));
        }
        for (int k = 0; k < AT_ONCE; k++)
            grove_await(g[k]);
        if (random_next(&state) % 2) {
            /* Each either runs or is taken back. */
            while (atomic_load(&begun) + atomic_load(&taken_back) < AT_ONCE * 20)
                grove_yield();
        }
        grove_threadpool_free(shared_pool);
        CHECK(atomic_load(&begun) + atomic_load(&taken_back) <= AT_ONCE * 20);
    }
}
EVERYWHERE(cancels_and_runs_race)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("results get the values", results_get_the_values),
        TEST("no more threads than asked", no_more_threads_than_asked),
        TEST("first in, first out", first_in_first_out),
        TEST("a cancelled call never runs", a_cancelled_call_never_runs),
        TEST("bad arguments", bad_arguments),
        TEST("free waits for what runs", free_waits_for_what_runs),
        TEST("plain threads may use pools", plain_threads_may_use_pools),
        {"idle threads end", idle_threads_end},
        {"a pool outlives the runtime", a_pool_outlives_the_runtime},
        TEST("cancels and runs race", cancels_and_runs_race),
    };
    return harness_main("threadpool", tests, sizeof tests / sizeof *tests);
}
