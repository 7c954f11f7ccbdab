/* SPDX-License-Identifier: MIT */
/* fork: the child starts a runtime of its own, the parent goes on unhurt. */
#include <grove.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sched/sanitize.h"
#include "tests/harness.h"

static void *sleep_and_return(void *arg)
{
    grove_sleep(0.01);
    return arg;
}

/* In the child: the library works, with all its workers. */
static int use_library(void)
{
    grove_t *g = grove_go(sleep_and_return, (void *)7);
    grove_t *h = grove_spawn(sleep_and_return, (void *)8);
    long sum = (long)grove_await(g) + (long)grove_await(h);

    return sum == 15 && grove_shutdown(1) == 0 ? 42 : 1;
}

static int status_of(pid_t child)
{
    int status = -1;

    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void *fork_and_use(void *arg)
{
    pid_t child = fork();

    (void)arg;
    if (child == 0)
        _exit(use_library());
    return (void *)(long)status_of(child);
}

static void child_of_main_uses_the_library(void)
{
    grove_t *g = grove_go(sleep_and_return, (void *)1);
    pid_t child = fork();

    if (child == 0)
        _exit(use_library());
    CHECK_EQUAL(status_of(child), 42);
    CHECK_EQUAL((long)grove_await(g), 1);
}

static void child_of_a_greenlet_uses_the_library(void)
{
    CHECK_EQUAL((long)grove_await(grove_spawn(fork_and_use, NULL)), 42);
    CHECK_EQUAL((long)grove_await(grove_go(fork_and_use, NULL)), 42);
}

static void child_of_a_child_uses_the_library(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit((int)(long)grove_await(grove_spawn(fork_and_use, NULL)));
    CHECK_EQUAL(status_of(child), 42);
}

static void *fork_and_return(void *arg)
{
    pid_t child = fork();

    (void)arg;
    return child == 0 ? NULL : (void *)(long)(100 + status_of(child));
}

static void end_of_the_greenlet_ends_the_child(void)
{
    CHECK_EQUAL((long)grove_await(grove_go(fork_and_return, NULL)), 100);
}

static void sleeps_of_the_parent_are_not_the_childs(void)
{
    pid_t child;
    grove_t *g = grove_spawn(sleep_and_return, (void *)3);

    grove_yield();
    child = fork();
    if (child == 0) {
        grove_sleep(60);
        _exit(0);
    }
    CHECK_EQUAL((long)grove_await(g), 3);
    CHECK_EQUAL(kill(child, SIGKILL), 0);
    CHECK_EQUAL(status_of(child), -1);
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"a child of main uses the library", child_of_main_uses_the_library},
        {"a child of a greenlet uses the library",
            child_of_a_greenlet_uses_the_library},
        {"a child of a child uses the library", child_of_a_child_uses_the_library},
        {"the end of the greenlet ends the child", end_of_the_greenlet_ends_the_child},
        {"sleeps of the parent are not the child's",
            sleeps_of_the_parent_are_not_the_childs},
    };
    /* ThreadSanitizer lets no child of a threaded process start threads. */
    if (SANITIZE_THREAD)
        return harness_main("fork", tests + 3, 1);
    return harness_main("fork", tests, sizeof tests / sizeof *tests);
}
