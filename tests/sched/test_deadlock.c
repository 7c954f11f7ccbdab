/* SPDX-License-Identifier: MIT */
/*
 * Deadlocks: when nothing can wake anybody the main greenlet's wait fails. Each case
 * runs in a child of its own, as any thread that is no worker (the harness has one)
 * might wake somebody at any time.
 */
#include <grove.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sched/sanitize.h"
#include "tests/harness.h"

static grove_event_t event = GROVE_EVENT_INIT;

/* Runs a case in a child with that many workers; returns its exit status, -1 for a
 * signal. What it says on stderr is put into text. */
static int run_alone(int (*body)(void), int workers, char *text, size_t size)
{
    int out[2], status = -1;
    size_t length = 0;
    ssize_t n;

    if (!CHECK_EQUAL(pipe(out), 0))
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        close(out[0]);
        alarm(20);
        if (grove_init(&(grove_config_t){.workers = workers}) < 0)
            _exit(99);
        _exit(body());
    }
    close(out[1]);
    while ((n = read(out[0], text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    close(out[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void *wait_for_event(void *arg)
{
    grove_event_wait(&event, GROVE_FOREVER);
    return arg;
}

static int wait_fails_with_edeadlk(void)
{
    return grove_event_wait(&event, GROVE_FOREVER) == -1 && errno == EDEADLK ? 0 : 1;
}

static int all_wait_for_each_other(void)
{
    grove_t *g = grove_spawn_with(
        &(grove_attr_t){.name = "stuck", .affinity = GROVE_ANY}, wait_for_event, NULL);

    if (grove_join(g, GROVE_FOREVER) != -1 || errno != EDEADLK)
        return 1;
    /* The library stays usable. */
    grove_event_set(&event);
    return grove_join(g, GROVE_FOREVER) == 0 && grove_shutdown(1) == 0 ? 0 : 2;
}

static void wait_in_loop(size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    wait_for_event(arg);
}

static int a_loop_waits(void)
{
    if (grove_parallel_for(0, 3, 1, wait_in_loop, NULL) != -1 || errno != EDEADLK)
        return 1;
    grove_event_set(&event);
    return grove_parallel_for(0, 3, 1, wait_in_loop, NULL) == 0 ? 0 : 2;
}

static int a_timer_is_waited_for(void)
{
    grove_t *g = grove_spawn_later(0.05, wait_for_event, NULL);

    grove_event_set(&event);
    return grove_join(g, GROVE_FOREVER) == 0 ? 0 : 1;
}

static void *set_later(void *arg)
{
    usleep(50000);
    grove_event_set(&event);
    return arg;
}

static int another_thread_may_wake(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, set_later, NULL);
    int result = grove_event_wait(&event, GROVE_FOREVER);
    pthread_join(thread, NULL);
    return result == 0 ? 0 : 1;
}

static void *ping(void *arg)
{
    grove_queue_t **queues = arg;
    void *item;

    for (int i = 0; i < 2000; i++)
        if (grove_queue_get(queues[0], GROVE_FOREVER, &item) < 0 ||
            grove_queue_put(queues[1], item, GROVE_FOREVER) < 0)
            return (void *)1;
    return NULL;
}

/* Workers that fall asleep and wake each other all the time are no deadlock. */
static int no_false_alarm(void)
{
    grove_queue_t *queues[2] = {
        grove_queue_new(GROVE_CHANNEL, 0), grove_queue_new(GROVE_CHANNEL, 0)};
    grove_t *g = grove_go(ping, queues);
    void *item;

    for (int i = 0; i < 2000; i++)
        if (grove_queue_put(queues[0], queues, GROVE_FOREVER) < 0 ||
            grove_queue_get(queues[1], GROVE_FOREVER, &item) < 0)
            return 1;
    return grove_await(g) == NULL ? 0 : 2;
}

static void check(int (*body)(void), const char *expected_text)
{
    char text[4096];

    for (int workers = 1; workers <= 3; workers++) {
        CHECK_EQUAL(run_alone(body, workers, text, sizeof text), 0);
        CHECK(expected_text == NULL ? text[0] == '\0'
                                    : strstr(text, expected_text) != NULL);
    }
}

static void main_alone(void)
{
    check(wait_fails_with_edeadlk, "deadlock");
}

static void report_names_who_waits(void)
{
    check(all_wait_for_each_other, "stuck");
}

static void loops_end(void)
{
    check(a_loop_waits, "deadlock");
}

static void timers_count(void)
{
    check(a_timer_is_waited_for, NULL);
}

static void other_threads_count(void)
{
    check(another_thread_may_wake, NULL);
}

static void busy_workers_are_no_deadlock(void)
{
    check(no_false_alarm, NULL);
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"a timer that will fire is no deadlock", timers_count},
        {"another thread may wake somebody", other_threads_count},
        {"workers that wake each other are no deadlock", busy_workers_are_no_deadlock},
        {"a loop whose bodies wait for ever ends", loops_end},
        {"main alone", main_alone},
        {"the report names who waits", report_names_who_waits},
    };
    /* ThreadSanitizer has a thread of its own, which might be anybody's, and lets no
     * child of a threaded process start threads. */
    if (SANITIZE_THREAD) {
        puts("1..0 # skipped under ThreadSanitizer");
        return EXIT_SUCCESS;
    }
    return harness_main("deadlock", tests, sizeof tests / sizeof *tests);
}
