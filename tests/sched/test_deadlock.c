/* SPDX-License-Identifier: MIT */
/*
 * Deadlocks: when nothing can wake anybody the main greenlet's wait fails. Each case
 * runs in a child of its own, as any thread that is no worker (the harness has one)
 * might wake somebody at any time.
 */
#include <grove.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
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

static void *stuck_join(void *arg)
{
    grove_join(arg, GROVE_FOREVER);
    return NULL;
}

static void *stuck_get(void *arg)
{
    grove_queue_get(arg, GROVE_FOREVER, NULL);
    return NULL;
}

static void *stuck_put(void *arg)
{
    grove_queue_put(arg, arg, GROVE_FOREVER);
    return NULL;
}

static void *stuck_queue_join(void *arg)
{
    grove_queue_join(arg, GROVE_FOREVER);
    return NULL;
}

static void *stuck_lock(void *arg)
{
    grove_lock_acquire(arg, GROVE_FOREVER);
    grove_lock_acquire(arg, GROVE_FOREVER);
    return NULL;
}

static void *stuck_rlock(void *arg)
{
    grove_rlock_acquire(arg, GROVE_FOREVER);
    return NULL;
}

static void *stuck_semaphore(void *arg)
{
    grove_semaphore_acquire(arg, GROVE_FOREVER);
    return NULL;
}

static void *stuck_result(void *arg)
{
    grove_result_get(arg, GROVE_FOREVER, NULL);
    return NULL;
}

static void *stuck_wait(void *arg)
{
    grove_t *done[1];

    grove_wait((grove_t *[]){arg}, 1, 1, GROVE_FOREVER, done);
    return NULL;
}

static void *stuck_await(void *arg)
{
    return grove_await(arg);
}

static void *take_and_keep(void *arg)
{
    grove_lock_acquire(arg, GROVE_FOREVER);
    return NULL;
}

/* Says on stdout how a line of the report begins, and the object that it names. */
static void expect(const char *name, grove_t *g, const char *format, ...)
{
    va_list arguments;

    printf("  greenlet %s (id %llu) has waited | for ", name,
        (unsigned long long)grove_id(g));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

/* Says on stdout what the report has to say. */
static int every_kind_of_wait(void)
{
    static grove_lock_t lock = GROVE_LOCK_INIT, kept = GROVE_LOCK_INIT;
    static grove_rlock_t rlock = GROVE_RLOCK_INIT;
    static grove_semaphore_t none = GROVE_SEMAPHORE_INIT(0);
    static grove_result_t result = GROVE_RESULT_INIT;
    grove_queue_t *empty = grove_queue_new(GROVE_FIFO, 0);
    grove_queue_t *full = grove_queue_new(GROVE_FIFO, 1);
    struct {
        const char *name;
        grove_fn fn;
        void *arg;
        grove_t *greenlet;
    } all[] = {
        {"eventer", wait_for_event, &event, NULL},
        {"getter", stuck_get, empty, NULL},
        {"putter", stuck_put, full, NULL},
        {"queue-joiner", stuck_queue_join, full, NULL},
        {"locker", stuck_lock, &lock, NULL},
        {"rlocker", stuck_rlock, &rlock, NULL},
        {"semaphorer", stuck_semaphore, &none, NULL},
        {"resulter", stuck_result, &result, NULL},
        {"joiner", stuck_join, NULL, NULL},
        {"waiter", stuck_wait, NULL, NULL},
        {"awaiter", stuck_await, NULL, NULL},
        {"heir", stuck_lock, &kept, NULL},
    };
    size_t n = sizeof all / sizeof *all;

    grove_queue_put(full, &event, 0);
    grove_rlock_acquire(&rlock, 0);
    grove_t *keeper = grove_spawn(take_and_keep, &kept);
    unsigned long long dead = grove_id(keeper);
    grove_await(keeper); /* its record is another's soon */
    for (size_t i = 0; i < n; i++) {
        void *arg = all[i].arg ? all[i].arg : grove_retain(all[0].greenlet);
        all[i].greenlet = grove_spawn_with(
            &(grove_attr_t){.name = all[i].name, .affinity = GROVE_ANY}, all[i].fn,
            arg);
    }
    unsigned long long first = grove_id(all[0].greenlet);
    expect("eventer", all[0].greenlet, "an event %p", (void *)&event);
    expect("getter", all[1].greenlet, "an item of a queue %p", (void *)empty);
    expect("putter", all[2].greenlet, "room in a queue %p", (void *)full);
    expect("queue-joiner", all[3].greenlet, "the tasks of a queue %p", (void *)full);
    expect("locker", all[4].greenlet, "a lock %p held by greenlet locker (id %llu)",
        (void *)&lock, (unsigned long long)grove_id(all[4].greenlet));
    expect("rlocker", all[5].greenlet, "a lock %p held by greenlet main (id %llu)",
        (void *)&rlock, (unsigned long long)grove_id(grove_current()));
    expect("semaphorer", all[6].greenlet, "a semaphore %p", (void *)&none);
    expect("resulter", all[7].greenlet, "a result %p", (void *)&result);
    expect("joiner", all[8].greenlet, "the end of greenlet eventer (id %llu)", first);
    expect("waiter", all[9].greenlet, "the ends of several greenlets");
    expect("awaiter", all[10].greenlet, "the end of greenlet eventer (id %llu)", first);
    expect("heir", all[11].greenlet,
        "a lock %p held by a greenlet that has ended (id %llu)", (void *)&kept, dead);
    expect("main", grove_current(), "the end of greenlet eventer (id %llu)", first);
    fflush(stdout);
    return grove_join(all[0].greenlet, GROVE_FOREVER) == -1 && errno == EDEADLK ? 0 : 1;
}

/* Takes the line of the text that begins so out of it, to be freed; NULL: none. */
static char *line_of(const char *text, const char *beginning)
{
    const char *at = strstr(text, beginning);

    return at ? strndup(at, strcspn(at, "\n")) : NULL;
}

static void check_lines(char *expected, const char *text)
{
    char *rest = expected, *line;

    while ((line = strsep(&rest, "\n")) && *line) {
        bool is_main = strstr(line, "greenlet main ") != NULL;
        char *beginning = strsep(&line, "|");
        char *said = line_of(text, beginning);
        char *object = said ? strstr(said, line) : NULL;
        if (!CHECK(object != NULL))
            printf("# %s|%s is not in:\n%s", beginning, line, text);
        else
            CHECK(
                strncmp(object + strlen(line), ", spawned at ", is_main ? 0 : 13) == 0);
        free(said);
    }
}

static void each_wait_is_described(void)
{
    char text[8192], expected[4096];
    FILE *said = tmpfile();
    int real_stdout = dup(STDOUT_FILENO);

    for (int workers = 1; workers <= 3; workers++) {
        fflush(stdout);
        CHECK_EQUAL(ftruncate(fileno(said), 0), 0);
        lseek(fileno(said), 0, SEEK_SET);
        dup2(fileno(said), STDOUT_FILENO);
        int status = run_alone(every_kind_of_wait, workers, text, sizeof text);
        dup2(real_stdout, STDOUT_FILENO);
        CHECK_EQUAL(status, 0);
        ssize_t length = pread(fileno(said), expected, sizeof expected - 1, 0);
        expected[length > 0 ? length : 0] = '\0';
        CHECK(length > 0);
        check_lines(expected, text);
    }
    close(real_stdout);
    fclose(said);
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
        {"each wait is described", each_wait_is_described},
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
