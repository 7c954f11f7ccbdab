/* SPDX-License-Identifier: MIT */
/* grove_offload: one call on another thread, and the greenlet that waits for it. */
#include <grove.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>

#include "sched/sanitize.h"
#include "tests/sync/runtimes.h"

static _Atomic(int) ran, ended;
static grove_event_t started = GROVE_EVENT_INIT, let_go = GROVE_EVENT_INIT;

static void fresh(void)
{
    atomic_store(&ran, 0);
    atomic_store(&ended, 0);
    grove_event_clear(&started);
    grove_event_clear(&let_go);
}

static void *thread_of(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return arg;
}

static void it_runs_elsewhere_and_returns_the_value(void)
{
    pthread_t thread = pthread_self();
    void *value = NULL;

    errno = 77;
    CHECK_EQUAL(grove_offload(thread_of, &thread, GROVE_FOREVER, &value), 0);
    CHECK_EQUAL(errno, 77);
    CHECK(value == &thread);
    CHECK(!pthread_equal(thread, pthread_self()));
    CHECK_EQUAL(grove_offload(thread_of, &thread, 60, NULL), 0);
}
EVERYWHERE(it_runs_elsewhere_and_returns_the_value)

static void *fail_with(void *arg)
{
    errno = (int)(intptr_t)arg;
    return NULL;
}

static void *note(void *arg)
{
    atomic_fetch_add(&ran, 1);
    return arg;
}

static void a_null_value_brings_its_errno(void)
{
    void *value = &ran;

    CHECK_EQUAL(
        grove_offload(fail_with, (void *)(intptr_t)EXDEV, GROVE_FOREVER, &value), 0);
    CHECK_EQUAL(errno, EXDEV);
    CHECK(value == NULL);
    CHECK_EQUAL(grove_offload(note, NULL, GROVE_FOREVER, &value), 0);
    CHECK_EQUAL(errno, 0);
}
EVERYWHERE(a_null_value_brings_its_errno)

static void bad_arguments(void)
{
    void *value = &ran;

    fresh();
    CHECK_ERROR(grove_offload(NULL, NULL, GROVE_FOREVER, &value), EINVAL);
    CHECK_ERROR(grove_offload(note, NULL, (double)NAN, &value), EINVAL);
    CHECK_ERROR(grove_offload(note, NULL, 0, &value), ETIMEDOUT);
    CHECK(value == &ran);
    CHECK_EQUAL(atomic_load(&ran), 0);
}
EVERYWHERE(bad_arguments)

/* Runs until it is let go, and owns nothing. */
static void *hold(void *arg)
{
    atomic_fetch_add(&ran, 1);
    grove_event_set(&started);
    CHECK_EQUAL(grove_event_wait(&let_go, GROVE_FOREVER), 0);
    atomic_fetch_add(&ended, 1);
    return arg;
}

static void *offload_hold(void *arg)
{
    void *value = &started;

    CHECK_EQUAL(grove_offload(hold, arg, GROVE_FOREVER, &value), 0);
    return value;
}

static void others_run_meanwhile(void)
{
    fresh();
    grove_t *g = must(grove_spawn(offload_hold, &ran));
    CHECK_EQUAL(grove_event_wait(&started, GROVE_FOREVER), 0);
    grove_event_set(&let_go);
    CHECK(grove_await(g) == &ran);
}
EVERYWHERE(others_run_meanwhile)

static void *offload_and_be_killed(void *arg)
{
    void *value = &started;

    CHECK_ERROR(grove_offload(hold, arg, GROVE_FOREVER, &value), ECANCELED);
    CHECK(value == &started);
    /* Killed: later ones fail before they begin. */
    CHECK_ERROR(grove_offload(note, arg, GROVE_FOREVER, &value), ECANCELED);
    return NULL;
}

static void a_kill_leaves_the_call_running(void)
{
    fresh();
    grove_t *g = must(grove_go(offload_and_be_killed, NULL));
    CHECK_EQUAL(grove_event_wait(&started, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    CHECK_EQUAL(atomic_load(&ended), 0);
    CHECK_EQUAL(atomic_load(&ran), 1);
    grove_event_set(&let_go);
    grove_release(g);
    while (!atomic_load(&ended))
        grove_yield();
}
EVERYWHERE(a_kill_leaves_the_call_running)

static void a_timeout_leaves_the_call_running(void)
{
    grove_timeout_t timeout;

    fresh();
    CHECK_ERROR(grove_offload(hold, NULL, 0.001, NULL), ETIMEDOUT);
    CHECK_EQUAL(grove_timeout_start(&timeout, 0.001), 0);
    CHECK_ERROR(grove_offload(hold, NULL, GROVE_FOREVER, NULL), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(atomic_load(&ended), 0);
    grove_event_set(&let_go);
    /* Each of them may have been still queued, and then never ran. */
    while (atomic_load(&ended) < atomic_load(&ran))
        grove_yield();
}
EVERYWHERE(a_timeout_leaves_the_call_running)

static void what_is_queued_at_a_timeout_never_runs(void)
{
    grove_t *holders[3];

    fresh();
    for (int i = 0; i < 3; i++)
        holders[i] = must(grove_spawn(offload_hold, NULL));
    while (atomic_load(&ran) < 3)
        grove_yield();
    CHECK_ERROR(grove_offload(note, NULL, 0.001, NULL), ETIMEDOUT);
    CHECK_EQUAL(grove_threadpool_queued(NULL), 0);
    grove_event_set(&let_go);
    for (int i = 0; i < 3; i++)
        grove_await(holders[i]);
    CHECK_EQUAL(atomic_load(&ran), 3);
}

static void what_is_queued_at_a_timeout_never_runs_test(void)
{
    grove_config_t config = {.workers = 2, .threads = 3};

    CHECK_EQUAL(grove_init(&config), 0);
    what_is_queued_at_a_timeout_never_runs();
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}

static void offload_here(void *arg)
{
    pthread_t thread;
    void *value;

    CHECK_EQUAL(grove_offload(thread_of, &thread, GROVE_FOREVER, &value), 0);
    CHECK(pthread_equal(thread, pthread_self()));
    CHECK_EQUAL(
        grove_offload(fail_with, (void *)(intptr_t)EXDEV, GROVE_FOREVER, &value), 0);
    CHECK_EQUAL(errno, EXDEV);
    (void)arg;
}

static void a_plain_thread_calls_it_itself(void)
{
    in_thread(offload_here, NULL);
}
EVERYWHERE(a_plain_thread_calls_it_itself)

static int link_error;

static void offload_in_link(grove_t *g, void *arg)
{
    (void)g;
    link_error = grove_offload(note, arg, GROVE_FOREVER, NULL) < 0 ? errno : 0;
}

static void not_in_hub_callbacks(void)
{
    fresh();
    link_error = 0;
    grove_t *g = must(grove_spawn(note, NULL));
    CHECK_EQUAL(grove_link(g, offload_in_link, NULL), 0);
    grove_await(g);
    CHECK_EQUAL(link_error, EDEADLK);
    CHECK_EQUAL(atomic_load(&ran), 1);
}
EVERYWHERE(not_in_hub_callbacks)

static void *exit_thread(void *arg)
{
    pthread_exit(arg);
}

static void *exit_greenlet(void *arg)
{
    grove_exit(arg);
}

static void *fail_greenlet(void *arg)
{
    (void)arg;
    grove_fail(EPROTO, "on a thread");
}

static void a_function_that_ends_its_thread_fails(void)
{
    pthread_t thread;

    for (int i = 0; i < 20; i++) {
        CHECK_ERROR(grove_offload(exit_thread, NULL, GROVE_FOREVER, NULL), ECANCELED);
        CHECK_ERROR(grove_offload(exit_greenlet, NULL, GROVE_FOREVER, NULL), ECANCELED);
        CHECK_ERROR(grove_offload(fail_greenlet, NULL, GROVE_FOREVER, NULL), ECANCELED);
    }
    CHECK_EQUAL(grove_offload(thread_of, &thread, GROVE_FOREVER, NULL), 0);
}
EVERYWHERE(a_function_that_ends_its_thread_fails)

static void *signals_blocked(void *arg)
{
    sigset_t mask;

    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGINT) && sigismember(&mask, SIGCHLD) ? arg : NULL;
}

static void its_thread_takes_no_signals(void)
{
    void *value = NULL;

    CHECK_EQUAL(grove_offload(signals_blocked, &ran, GROVE_FOREVER, &value), 0);
    CHECK(value == &ran);
}
EVERYWHERE(its_thread_takes_no_signals)

/* What runs on the pool may use the library. */
static void *use_library(void *arg)
{
    grove_t *local = grove_spawn(note, arg);
    grove_t *anywhere = grove_go(note, arg);

    CHECK(grove_await(local) == arg);
    return grove_await(anywhere);
}

static void the_function_may_use_the_library(void)
{
    void *value = NULL;

    CHECK_EQUAL(grove_offload(use_library, &ran, GROVE_FOREVER, &value), 0);
    CHECK(value == &ran);
    /* Its thread had a hub, which doesn't keep the runtime from ending now. */
}

EVERYWHERE(the_function_may_use_the_library)

/* -- Shutdown, fork, deadlock ------------------------------------------------------ */

static void *sleep_some(void *arg)
{
    grove_event_set(&started);
    usleep(20000);
    atomic_fetch_add(&ended, 1);
    return arg;
}

static void *offload_sleep(void *arg)
{
    grove_offload(sleep_some, arg, GROVE_FOREVER, NULL);
    return NULL;
}

static void a_shutdown_waits_for_what_runs(void)
{
    grove_config_t config = {.workers = 2};

    fresh();
    CHECK_EQUAL(grove_init(&config), 0);
    grove_t *g = must(grove_go(offload_sleep, NULL));
    CHECK_EQUAL(grove_event_wait(&started, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    CHECK_EQUAL(atomic_load(&ended), 1);
    CHECK_EQUAL(grove_threadpool_size(NULL), 0);
    grove_release(g);
}

static void *offload_until_killed(void *arg)
{
    CHECK_ERROR(grove_offload(hold, arg, GROVE_FOREVER, NULL), ECANCELED);
    return NULL;
}

static void a_shutdown_waits_no_longer_than_asked(void)
{
    grove_config_t config = {.workers = 2};

    fresh();
    CHECK_EQUAL(grove_init(&config), 0);
    grove_release(must(grove_go(offload_until_killed, NULL)));
    CHECK_EQUAL(grove_event_wait(&started, GROVE_FOREVER), 0);
    CHECK_ERROR(grove_shutdown(0.01), ETIMEDOUT);
    grove_event_set(&let_go);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}

static void *go_late(void *arg)
{
    grove_event_set(&started);
    usleep(20000); /* so that most likely the shutdown is waiting */
    grove_t *g = grove_go(note, arg);
    grove_await(g);
    return arg;
}

static void *offload_go_late(void *arg)
{
    grove_offload(go_late, arg, GROVE_FOREVER, NULL);
    return NULL;
}

static void a_call_may_use_the_library_during_a_shutdown(void)
{
    grove_config_t config = {.workers = 2};

    fresh();
    CHECK_EQUAL(grove_init(&config), 0);
    grove_release(must(grove_go(offload_go_late, NULL)));
    CHECK_EQUAL(grove_event_wait(&started, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}

/* Status of a child that ran [body], which no foreign thread disturbs. */
static int status_of(int (*body)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        alarm(20);
        _exit(body());
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int offload_in_child(void)
{
    void *value = NULL;

    fresh();
    if (grove_threadpool_size(NULL) != 0 || grove_threadpool_queued(NULL) != 0)
        return 1;
    if (grove_offload(note, &ran, GROVE_FOREVER, &value) < 0 || value != &ran)
        return 2;
    return grove_shutdown(GROVE_FOREVER) == 0 ? 42 : 3;
}

static void a_fork_s_child_starts_with_an_empty_pool(void)
{
    grove_config_t config = {.workers = 2, .threads = 1};

    fresh();
    CHECK_EQUAL(grove_init(&config), 0);
    grove_t *g = must(grove_spawn(offload_hold, NULL));
    CHECK_EQUAL(grove_event_wait(&started, GROVE_FOREVER), 0);
    grove_t *queued = must(grove_spawn(offload_hold, NULL));
    while (grove_threadpool_queued(NULL) == 0)
        grove_yield();
    CHECK_EQUAL(status_of(offload_in_child), 42);
    grove_event_set(&let_go);
    grove_await(g);
    grove_await(queued);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}

static grove_event_t never = GROVE_EVENT_INIT;

static void *set_late(void *arg)
{
    usleep(20000);
    grove_event_set(&never);
    return arg;
}

static int wait_for_never(void)
{
    return grove_event_wait(&never, GROVE_FOREVER) == 0 ? 0 : errno;
}

static int threads_of_process(void)
{
    int threads = 0;
    DIR *tasks = opendir("/proc/self/task");

    for (struct dirent *entry; tasks && (entry = readdir(tasks));)
        threads += entry->d_name[0] != '.';
    closedir(tasks);
    return threads;
}

/* A thread of the pool that has ended is no longer reckoned with. */
static int deadlock_after_pool(void)
{
    grove_init(&(grove_config_t){
        .workers = 2, .threads_idle = 0.001, .report = GROVE_REPORT_OFF});
    if (grove_offload(note, NULL, GROVE_FOREVER, NULL) < 0)
        return 1;
    while (threads_of_process() > 2)
        grove_sleep(0.001);
    return wait_for_never() == EDEADLK ? 42 : 2;
}

/* An idle thread of the pool hides no deadlock; one at work may wake somebody. */
static int deadlock_with_pool(void)
{
    grove_init(&(grove_config_t){.workers = 2, .report = GROVE_REPORT_OFF});
    if (grove_offload(note, NULL, GROVE_FOREVER, NULL) < 0 ||
        wait_for_never() != EDEADLK)
        return 1;
    grove_result_t *late = grove_threadpool_spawn(NULL, set_late, NULL);
    if (wait_for_never() != 0)
        return 2;
    if (grove_result_wait(late, GROVE_FOREVER) < 0)
        return 3;
    grove_threadpool_release(late);
    grove_event_clear(&never);
    /* Found when the work ends, which nobody waits for. */
    grove_threadpool_release(grove_threadpool_spawn(NULL, sleep_some, NULL));
    return wait_for_never() == EDEADLK ? 42 : 4;
}

static void *use_and_free(void *arg)
{
    for (size_t i = harness_rounds(100); i > 0; i--) {
        grove_threadpool_t *pool = grove_threadpool_new(1);
        grove_result_t *result = grove_threadpool_spawn(pool, note, NULL);
        grove_result_wait(result, GROVE_FOREVER);
        grove_threadpool_free(pool);
        grove_threadpool_release(result);
    }
    return arg;
}

/* All greenlets wait, the last of them for idle threads to end. */
static int no_deadlock_with_freed_pool(void)
{
    grove_init(&(grove_config_t){.workers = 1, .report = GROVE_REPORT_OFF});
    grove_t *g = grove_spawn(use_and_free, NULL);
    return grove_join(g, GROVE_FOREVER) == 0 ? 42 : 1;
}

static void deadlocks_are_found_beside_a_pool(void)
{
    CHECK_EQUAL(status_of(no_deadlock_with_freed_pool), 42);
    CHECK_EQUAL(status_of(deadlock_with_pool), 42);
    CHECK_EQUAL(status_of(deadlock_after_pool), 42);
}

/* -- Stress ------------------------------------------------------------------------ */

/* An argument that two may own: the caller and the function. */
struct shared {
    _Atomic(int) references;
};

static _Atomic(int) alive;

static void shared_release(struct shared *shared)
{
    if (atomic_fetch_sub(&shared->references, 1) == 1) {
        free(shared);
        atomic_fetch_sub(&alive, 1);
    }
}

static void *use_shared(void *arg)
{
    usleep(20);
    shared_release(arg);
    return arg;
}

static void *race(void *arg)
{
    uint64_t dice = *(uint64_t *)arg;
    struct shared *shared = malloc(sizeof *shared);
    void *value = NULL;

    atomic_init(&shared->references, 2);
    atomic_fetch_add(&alive, 1);
    grove_result_t *result = grove_threadpool_spawn(NULL, use_shared, shared);
    if (!CHECK(result != NULL))
        return NULL;
    double timeout = random_next(&dice) % 2 ? (random_next(&dice) % 100) / 1e6 : -1;
    if (grove_result_get(result, timeout, &value) == 0)
        CHECK(value == shared);
    else if (grove_threadpool_cancel(NULL, result) == 0)
        shared_release(shared); /* it never runs */
    grove_threadpool_release(result);
    shared_release(shared);
    if (random_next(&dice) % 2)
        grove_offload(note, NULL, (random_next(&dice) % 100) / 1e6, NULL);
    return NULL;
}

static void kills_timeouts_and_ends_race(void)
{
    enum { AT_ONCE = 20 };
    uint64_t state = harness_seed();

    atomic_store(&alive, 0);
    for (size_t i = harness_rounds(200); i > 0; i--) {
        uint64_t seed[AT_ONCE];
        grove_t *g[AT_ONCE];
        for (int k = 0; k < AT_ONCE; k++) {
            seed[k] = random_next(&state);
            g[k] = must(grove_go(race, &seed[k]));
        }
        for (int k = 0; k < AT_ONCE; k++)
            if (random_next(&state) % 2) {
                grove_yield();
                grove_kill(g[k], 0);
            }
        for (int k = 0; k < AT_ONCE; k++)
            grove_await(g[k]);
    }
    while (atomic_load(&alive) > 0)
        grove_yield();
}
EVERYWHERE(kills_timeouts_and_ends_race)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("it runs elsewhere and returns the value",
            it_runs_elsewhere_and_returns_the_value),
        TEST("a NULL value brings its errno", a_null_value_brings_its_errno),
        TEST("bad arguments", bad_arguments),
        TEST("others run meanwhile", others_run_meanwhile),
        TEST("a kill leaves the call running", a_kill_leaves_the_call_running),
        TEST("a timeout leaves the call running", a_timeout_leaves_the_call_running),
        TEST("what is queued at a timeout never runs",
            what_is_queued_at_a_timeout_never_runs),
        TEST("a plain thread calls it itself", a_plain_thread_calls_it_itself),
        TEST("not in hub callbacks", not_in_hub_callbacks),
        TEST("a function that ends its thread fails",
            a_function_that_ends_its_thread_fails),
        TEST("its thread takes no signals", its_thread_takes_no_signals),
        TEST("the function may use the library", the_function_may_use_the_library),
        {"a shutdown waits for what runs", a_shutdown_waits_for_what_runs},
        {"a shutdown waits no longer than asked",
            a_shutdown_waits_no_longer_than_asked},
        {"a call may use the library during a shutdown",
            a_call_may_use_the_library_during_a_shutdown},
        TEST("kills, timeouts and ends race", kills_timeouts_and_ends_race),
        {"a fork's child starts with an empty pool",
            a_fork_s_child_starts_with_an_empty_pool},
        {"deadlocks are found beside a pool", deadlocks_are_found_beside_a_pool},
    };
    size_t count = sizeof tests / sizeof *tests;

    /* ThreadSanitizer lets no child of a threaded process start threads. */
    return harness_main("offload", tests, SANITIZE_THREAD ? count - 2 : count);
}
