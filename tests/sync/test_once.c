/* SPDX-License-Identifier: MIT */
#include <grove/once.h>

#include "tests/sync/runtimes.h"

enum { GREENLETS = 5, THREADS = 2 };

static grove_once_t once;
static int runs;

static void fresh(void)
{
    once = (grove_once_t)GROVE_ONCE_INIT;
    runs = 0;
}

static int succeed(void *arg)
{
    (void)arg;
    runs++;
    return 0;
}

static int fail(void *error)
{
    runs++;
    return (int)(intptr_t)error;
}

static void it_runs_once(void)
{
    fresh();
    CHECK_EQUAL(grove_once_run(&once, succeed, NULL), 0);
    CHECK_EQUAL(grove_once_run(&once, succeed, NULL), 0);
    CHECK_EQUAL(grove_once_run(&once, fail, (void *)EIO), 0);
    CHECK_EQUAL(runs, 1);
}
EVERYWHERE(it_runs_once)

static void a_failure_undoes_it(void)
{
    fresh();
    CHECK_ERROR(grove_once_run(&once, NULL, NULL), EINVAL);
    CHECK_ERROR(grove_once_run(&once, fail, (void *)EIO), EIO);
    CHECK_ERROR(grove_once_run(&once, fail, (void *)-7), EINVAL);
    CHECK_EQUAL(grove_once_run(&once, succeed, NULL), 0);
    CHECK_EQUAL(runs, 3);
}
EVERYWHERE(a_failure_undoes_it)

static int recurse(void *arg)
{
    (void)arg;
    CHECK_ERROR(grove_once_run(&once, succeed, NULL), EDEADLK);
    return 0;
}

static void *call_recursing(void *arg)
{
    CHECK_EQUAL(grove_once_run(&once, recurse, NULL), 0);
    return arg;
}

static void call_recursing_in_thread(void *arg)
{
    call_recursing(arg);
}

static void recursion_is_a_deadlock(void)
{
    fresh();
    call_recursing(NULL);
    fresh();
    grove_await(must(grove_spawn(call_recursing, NULL)));
    fresh();
    in_thread(call_recursing_in_thread, NULL);
    CHECK_EQUAL(runs, 0);
}
EVERYWHERE(recursion_is_a_deadlock)

/* How the function that the first greenlet runs is to end. */
enum ending { RETURN, FAIL, EXIT, CALL_FAIL, UNTIL_KILLED };
static enum ending ending;
static _Atomic(int) go_on;

static int block_and_end(void *arg)
{
    (void)arg;
    runs++;
    if (ending == UNTIL_KILLED) {
        CHECK_ERROR(grove_sleep(60), ECANCELED);
        return ECANCELED;
    }
    until(&go_on);
    if (ending == FAIL)
        return EIO;
    if (ending == EXIT)
        grove_exit(NULL);
    if (ending == CALL_FAIL)
        grove_fail(EIO, "");
    return 0;
}

static void *run_first(void *arg)
{
    int result = grove_once_run(&once, block_and_end, NULL);

    CHECK_EQUAL(result, ending == RETURN ? 0 : -1);
    return arg;
}

static void *run_later(void *arg)
{
    CHECK_EQUAL(grove_once_run(&once, succeed, NULL), 0);
    CHECK(runs > 0);
    return arg;
}

/* The others come while the first is at it. */
static void run_together(enum ending how, int expected_runs)
{
    grove_t *first, *later[GREENLETS];

    fresh();
    ending = how;
    go_on = 0;
    first = must(grove_spawn(run_first, NULL));
    for (int i = 0; i < GREENLETS; i++)
        later[i] = must(grove_spawn(run_later, NULL));
    grove_yield();
    CHECK_EQUAL(runs, 1);
    CHECK(once.waiters_.first_ != NULL);
    if (how == UNTIL_KILLED)
        grove_kill(first, 0);
    raise_flag(&go_on);
    for (int i = 0; i < GREENLETS; i++)
        grove_await(later[i]);
    grove_await(first);
    CHECK_EQUAL(runs, expected_runs);
    CHECK(once.waiters_.first_ == NULL);
}

static void the_others_wait(void)
{
    run_together(RETURN, 1);
}
EVERYWHERE(the_others_wait)

static void after_a_failure_the_next_runs_it(void)
{
    run_together(FAIL, 2);
}
EVERYWHERE(after_a_failure_the_next_runs_it)

static void after_an_exit_the_next_runs_it(void)
{
    run_together(EXIT, 2);
}
EVERYWHERE(after_an_exit_the_next_runs_it)

static void after_a_grove_fail_the_next_runs_it(void)
{
    run_together(CALL_FAIL, 2);
}
EVERYWHERE(after_a_grove_fail_the_next_runs_it)

static void after_a_kill_the_next_runs_it(void)
{
    run_together(UNTIL_KILLED, 2);
}
EVERYWHERE(after_a_kill_the_next_runs_it)

static void *exit_inside(void *arg)
{
    grove_once_run(&once, block_and_end, NULL);
    return arg;
}

static void a_thread_that_exits_undoes_it(void)
{
    pthread_t thread;

    fresh();
    ending = EXIT;
    go_on = 1;
    if (CHECK_EQUAL(pthread_create(&thread, NULL, exit_inside, NULL), 0))
        pthread_join(thread, NULL);
    CHECK_EQUAL(runs, 1);
    CHECK_EQUAL(grove_once_run(&once, succeed, NULL), 0);
    CHECK_EQUAL(runs, 2);
}
EVERYWHERE(a_thread_that_exits_undoes_it)

static void *run_in_vain(void *arg)
{
    CHECK_ERROR(grove_once_run(&once, succeed, NULL), ECANCELED);
    return arg;
}

static grove_t *chosen;

/* The next has been woken, but can't have run yet when it is killed. */
static void *fail_and_kill_next(void *arg)
{
    CHECK_ERROR(grove_once_run(&once, block_and_end, NULL), EIO);
    grove_kill(chosen, 0);
    return arg;
}

static void a_killed_waiter_passes_it_on(void)
{
    fresh();
    ending = FAIL;
    go_on = 0;
    grove_t *first = must(grove_spawn(fail_and_kill_next, NULL));
    grove_t *waiting = must(grove_spawn(run_in_vain, NULL));
    chosen = must(grove_spawn(run_in_vain, NULL));
    grove_t *last = must(grove_spawn(run_later, NULL));
    grove_yield();
    grove_kill(waiting, 0);
    grove_await(waiting);
    raise_flag(&go_on);
    grove_await(first);
    grove_await(chosen);
    grove_await(last);
    CHECK_EQUAL(runs, 2);
}
EVERYWHERE(a_killed_waiter_passes_it_on)

static void run_in_callback(grove_t *g, void *arg)
{
    (void)g;
    CHECK_EQUAL(grove_once_run(&once, succeed, NULL), arg ? 0 : -1);
    CHECK(arg || errno == EDEADLK);
}

static void *nothing(void *arg)
{
    return arg;
}

static void a_hub_callback_only_looks(void)
{
    fresh();
    grove_t *g = must(grove_spawn(nothing, NULL));
    CHECK_EQUAL(grove_link(g, run_in_callback, NULL), 0);
    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_once_run(&once, succeed, NULL), 0);
    CHECK_EQUAL(grove_link(g, run_in_callback, &once), 0);
    grove_await(g);
    CHECK_EQUAL(runs, 1);
}
EVERYWHERE(a_hub_callback_only_looks)

/* However the attempts before end, exactly one succeeds, and no two run at once. */
static atomic_int inside, done;
static int made; /* what it makes: seen by all whose call returned 0 */

static int make(void *state)
{
    CHECK_EQUAL(atomic_fetch_add_explicit(&inside, 1, memory_order_relaxed), 0);
    uint32_t decision = random_next(state) % 8;
    int error = grove_sleep(random_next(state) % 2 ? 0 : 0.00002) < 0 ? errno : 0;
    atomic_fetch_sub_explicit(&inside, 1, memory_order_relaxed);
    if (decision == 0)
        grove_exit(NULL);
    if (error || decision < 6)
        return error ? error : EIO;
    made++;
    atomic_fetch_add_explicit(&done, 1, memory_order_relaxed);
    return 0;
}

static void *make_once(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;
    int error;

    do {
        error = grove_once_run(&once, make, &state) < 0 ? errno : 0;
        CHECK(error == 0 || error == EIO || error == ECANCELED);
    } while (error == EIO);
    if (error == 0)
        CHECK_EQUAL(made, 1);
    return NULL;
}

static void kills_and_ends_race_runs(void)
{
    uint64_t state = harness_seed();

    for (size_t round = harness_rounds(300); round > 0; round--) {
        grove_t *greenlet[GREENLETS];
        pthread_t thread[THREADS];
        fresh();
        made = 0;
        done = 0;
        intptr_t seed = (intptr_t)round * 100;
        for (intptr_t i = 0; i < GREENLETS; i++)
            greenlet[i] = must(grove_go(make_once, (void *)(seed + i)));
        for (intptr_t i = 0; i < THREADS; i++)
            CHECK_EQUAL(
                pthread_create(&thread[i], NULL, make_once, (void *)(seed + 50 + i)),
                0);
        for (uint32_t turns = random_next(&state) % 4; turns > 0; turns--)
            grove_yield();
        for (int i = 0; i < GREENLETS; i++)
            if (random_next(&state) % 2)
                grove_kill(greenlet[i], 0);
        for (int i = 0; i < GREENLETS; i++)
            grove_await(greenlet[i]);
        for (int i = 0; i < THREADS; i++)
            pthread_join(thread[i], NULL);
        for (intptr_t i = 60; done == 0; i++)
            grove_await(must(grove_spawn(make_once, (void *)(seed + i))));
        CHECK_EQUAL(done, 1);
        CHECK(once.waiters_.first_ == NULL);
    }
}
EVERYWHERE(kills_and_ends_race_runs)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("it runs once", it_runs_once),
        TEST("a failure undoes it", a_failure_undoes_it),
        TEST("recursion is a deadlock", recursion_is_a_deadlock),
        TEST("the others wait", the_others_wait),
        TEST("after a failure the next runs it", after_a_failure_the_next_runs_it),
        TEST("after an exit the next runs it", after_an_exit_the_next_runs_it),
        TEST(
            "after a grove_fail the next runs it", after_a_grove_fail_the_next_runs_it),
        TEST("after a kill the next runs it", after_a_kill_the_next_runs_it),
        TEST("a thread that exits undoes it", a_thread_that_exits_undoes_it),
        TEST("a killed waiter passes it on", a_killed_waiter_passes_it_on),
        TEST("a hub callback only looks", a_hub_callback_only_looks),
        TEST("kills and ends race runs", kills_and_ends_race_runs),
    };
    return harness_main("once", tests, sizeof tests / sizeof *tests);
}
