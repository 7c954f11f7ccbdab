/* SPDX-License-Identifier: MIT */
/* Start, shutdown, workers, version. */
#define _GNU_SOURCE
#include "tests/sched/runtimes.h"

#include <stdio.h>
#include <sys/mman.h>

#include <grove/event.h>

static void *nothing(void *arg)
{
    return arg;
}

static void use_without_init(void)
{
    setenv("GROVE_WORKERS", "3", 1);
    CHECK(grove_current() == NULL);
    CHECK_EQUAL(grove_worker_self(), -1);
    CHECK(grove_await(must(grove_spawn(nothing, &errno))) == &errno);
    CHECK_EQUAL(grove_worker_count(), 3);
    CHECK_EQUAL(grove_worker_self(), 0);
    CHECK(grove_current() != NULL);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_worker_self(), -1);
    unsetenv("GROVE_WORKERS");
}

APART(use_without_init, "the first use starts it")

static void ask_first(void)
{
    setenv("GROVE_WORKERS", "2", 1);
    CHECK_EQUAL(grove_worker_count(), 2);
    CHECK_EQUAL(grove_shutdown(0), 0);
    CHECK_EQUAL(grove_sleep(0.0001), 0); /* so does a sleep */
    CHECK_EQUAL(grove_worker_self(), 0);
    CHECK_EQUAL(grove_shutdown(0), 0);
}

APART(ask_first, "a question starts it")

static void use_and_return(void)
{
    grove_release(must(grove_go(nothing, NULL)));
    grove_release(must(grove_spawn(nothing, NULL)));
}

APART(use_and_return, "no shutdown is needed")

static void config_goes_before_environment(void)
{
    setenv("GROVE_WORKERS", "3", 1);
    CHECK_EQUAL(grove_init(&(grove_config_t){.workers = 2}), 0);
    CHECK_EQUAL(grove_worker_count(), 2);
    CHECK_EQUAL(grove_init(&(grove_config_t){.workers = 5}), 0); /* left as it is */
    CHECK_EQUAL(grove_worker_count(), 2);
    CHECK_EQUAL(grove_init(NULL), 0);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_init(NULL), 0);
    CHECK_EQUAL(grove_worker_count(), 3);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    unsetenv("GROVE_WORKERS");
}
BARE(config_goes_before_environment)

static char output[1024];

static int init_captured(const grove_config_t *config)
{
    int file = memfd_create("stderr", 0), saved = dup(2);

    dup2(file, 2);
    errno = 0;
    int result = grove_init(config);
    int error = errno;
    dup2(saved, 2);
    ssize_t length = pread(file, output, sizeof output - 1, 0);
    output[length > 0 ? length : 0] = '\0';
    close(saved);
    close(file);
    errno = error;
    return result;
}

static void bad_values_are_refused(void)
{
    CHECK_EQUAL(init_captured(&(grove_config_t){.workers = 100000}), -1);
    CHECK_EQUAL(errno, EINVAL);
    /* One line that names the field or variable, its value and what is allowed. */
    CHECK(strstr(output, "workers") != NULL);
    CHECK(strstr(output, "100000") != NULL);
    CHECK(strchr(output, '\n') == output + strlen(output) - 1);
    setenv("GROVE_STACK_SIZE", "huge", 1);
    CHECK_EQUAL(init_captured(NULL), -1);
    CHECK_EQUAL(errno, EINVAL);
    CHECK(strstr(output, "GROVE_STACK_SIZE") != NULL);
    errno = 0;
    int file = dup(2), null = memfd_create("null", 0);
    dup2(null, 2);
    CHECK(grove_spawn(nothing, NULL) == NULL); /* neither can the first use */
    CHECK_EQUAL(errno, EINVAL);
    CHECK_EQUAL(grove_worker_count(), -1);
    CHECK_ERROR(grove_sleep(0.001), EINVAL);
    dup2(file, 2);
    close(file);
    close(null);
    unsetenv("GROVE_STACK_SIZE");
    CHECK_EQUAL(init_captured(&(grove_config_t){.reserved = {1}}), -1);
    CHECK_EQUAL(errno, EINVAL);
    CHECK_EQUAL(grove_worker_self(), -1);
}
BARE(bad_values_are_refused)

static void versions(void)
{
    char expected[32];

    snprintf(expected, sizeof expected, "%d.%d.%d", GROVE_VERSION_MAJOR,
        GROVE_VERSION_MINOR, GROVE_VERSION_PATCH);
    CHECK_STRING(grove_version(), expected);
}
BARE(versions)

static void *worker_of(void *arg)
{
    *(int *)arg = grove_worker_self();
    return NULL;
}

static void workers_are_numbered(void)
{
    int number = -5;

    CHECK_EQUAL(grove_worker_self(), 0);
    grove_await(must(grove_spawn(worker_of, &number)));
    CHECK_EQUAL(number, 0);
    for (int i = 0; i < 100; i++) {
        grove_await(must(grove_go(worker_of, &number)));
        CHECK(number >= 0 && number < grove_worker_count());
    }
}
EVERYWHERE(workers_are_numbered)

static void shutdown_without_a_runtime(void)
{
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_shutdown(0), 0);
    CHECK_EQUAL(grove_init(NULL), 0);
    CHECK_ERROR(grove_shutdown((double)NAN), EINVAL);
    CHECK_EQUAL(grove_shutdown(0), 0);
    CHECK_EQUAL(grove_shutdown(0), 0);
}
BARE(shutdown_without_a_runtime)

static void *shut_down_here(void *arg)
{
    CHECK_ERROR(grove_shutdown(0), EPERM);
    return arg;
}

static void shut_down_in_thread(void *arg)
{
    CHECK_ERROR(grove_shutdown(GROVE_FOREVER), EPERM);
    (void)arg;
}

static void shut_down_in_link(grove_t *g, void *arg)
{
    (void)g;
    CHECK_ERROR(grove_shutdown(0), EPERM);
    *(bool *)arg = true;
}

static void only_the_main_greenlet_shuts_down(void)
{
    bool called = false;

    grove_await(must(grove_spawn(shut_down_here, NULL)));
    grove_await(must(grove_go(shut_down_here, NULL)));
    in_thread(shut_down_in_thread, NULL);
    grove_t *g = must(grove_spawn(nothing, NULL));
    grove_link(g, shut_down_in_link, &called);
    grove_await(g);
    CHECK(called);
}
EVERYWHERE(only_the_main_greenlet_shuts_down)

static _Atomic(int) give_in, ended;

static void *resist(void *arg)
{
    while (!atomic_load(&give_in)) {
        grove_sleep(0.001);
        grove_kill_clear();
    }
    atomic_fetch_add(&ended, 1);
    return arg;
}

static void shutdown_takes_no_longer_than_allowed(void)
{
    atomic_store(&give_in, 0);
    atomic_store(&ended, 0);
    for (int i = 0; i < 4; i++)
        grove_release(must((i % 2 ? grove_go : grove_spawn)(resist, NULL)));
    grove_yield();
    CHECK_ERROR(grove_shutdown(0), ETIMEDOUT);
    CHECK_ERROR(grove_shutdown(0.003), ETIMEDOUT);
    /* The runtime goes on. */
    CHECK(grove_await(must(grove_go(nothing, &ended))) == &ended);
    atomic_store(&give_in, 1);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    CHECK(atomic_load(&ended) >= 2); /* of those that were entered before the kill */
}
EVERYWHERE(shutdown_takes_no_longer_than_allowed)

static void *block(void *arg)
{
    grove_event_t event = GROVE_EVENT_INIT;

    CHECK_ERROR(grove_event_wait(&event, GROVE_FOREVER), ECANCELED);
    atomic_fetch_add(&ended, 1);
    if (!arg)
        grove_release(must(grove_spawn(block, &ended))); /* must die as well */
    return arg;
}

static void *must_not_run(void *arg)
{
    CHECK(!"must not run");
    return arg;
}

static void shutdown_ends_all(void)
{
    grove_t *g[30], *kept;

    atomic_store(&ended, 0);
    for (int i = 0; i < 30; i++)
        g[i] = must((i % 2 ? grove_go : grove_spawn)(block, NULL));
    grove_sleep(0.01);
    grove_release(must(grove_spawn_later(1e6, must_not_run, NULL)));
    kept = must(grove_spawn_with(
        &(grove_attr_t){.deferred = true, .name = "kept"}, must_not_run, NULL));
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    /* References outlive the runtime. */
    for (int i = 0; i < 30; i++) {
        CHECK(grove_ready(g[i]));
        CHECK(grove_successful(g[i]));
        grove_release(g[i]);
    }
    CHECK(grove_value(kept) == GROVE_KILLED);
    CHECK_STRING(grove_name(kept), "kept");
    grove_release(kept);
    CHECK(grove_current() == NULL);
}
EVERYWHERE(shutdown_ends_all)

static void defer_elsewhere(void *arg)
{
    grove_attr_t attr = {.deferred = true, .affinity = GROVE_ANY};
    (void)arg;
    grove_release(must(grove_spawn_with(&attr, must_not_run, NULL)));
    grove_release(must(grove_spawn_later(1e6, must_not_run, NULL)));
}

static void *defer_on_worker(void *arg)
{
    defer_elsewhere(arg);
    return arg;
}

/* Those held back on another worker too; LeakSanitizer looks for what is forgotten. */
static void shutdown_ends_those_held_back_elsewhere(void)
{
    for (int i = 0; i < 20; i++)
        grove_await(must(grove_go(defer_on_worker, NULL)));
}
EVERYWHERE(shutdown_ends_those_held_back_elsewhere)

static void starts_again_with_other_workers(void)
{
    static const int counts[] = {1, 4, 2, 8, 1, 3};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        grove_config_t config = {.workers = counts[i]};
        CHECK_EQUAL(grove_init(&config), 0);
        CHECK_EQUAL(grove_worker_count(), counts[i]);
        for (int j = 0; j < 50; j++)
            CHECK(grove_await(must(grove_go(nothing, &config))) == &config);
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    }
}
BARE(starts_again_with_other_workers)

/* First used by another thread: all workers are threads of the library then. */
static void *first_use(void *arg)
{
    CHECK_EQUAL(grove_init(&(grove_config_t){.workers = 2}), 0);
    CHECK_EQUAL(grove_worker_self(), -1);
    CHECK(grove_await(must(grove_go(nothing, arg))) == arg);
    CHECK_EQUAL(grove_worker_self(), -1);
    return arg;
}

static void first_used_elsewhere(void)
{
    pthread_t thread;

    if (!CHECK_EQUAL(pthread_create(&thread, NULL, first_use, NULL), 0))
        return;
    pthread_join(thread, NULL);
    CHECK_EQUAL(grove_worker_self(), -1);
    CHECK(grove_await(must(grove_go(nothing, &thread))) == &thread);
    CHECK_EQUAL(grove_worker_self(), -1);
    /* No thread of the program is worker 0, so any may end it. */
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}

APART(first_used_elsewhere, "the first use may be by any thread")

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("the first use starts it", use_without_init),
        TEST("a question starts it", ask_first),
        TEST("no shutdown is needed", use_and_return),
        TEST("the first use may be by any thread", first_used_elsewhere),
        TEST("config goes before environment", config_goes_before_environment),
        TEST("bad values are refused", bad_values_are_refused),
        TEST("versions", versions),
        TEST("workers are numbered", workers_are_numbered),
        TEST("shutdown without a runtime", shutdown_without_a_runtime),
        TEST("only the main greenlet shuts down", only_the_main_greenlet_shuts_down),
        TEST("shutdown takes no longer than allowed",
            shutdown_takes_no_longer_than_allowed),
        TEST("shutdown ends all", shutdown_ends_all),
        TEST("shutdown ends those held back elsewhere",
            shutdown_ends_those_held_back_elsewhere),
        TEST("starts again with other workers", starts_again_with_other_workers),
    };
    return harness_main("runtime", tests, sizeof tests / sizeof *tests);
}
