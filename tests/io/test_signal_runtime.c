/* SPDX-License-Identifier: MIT */
/* Signals and what else happens: deadlocks, virtual time, shutdowns, forks, kills. */
#define _GNU_SOURCE
#include <sys/wait.h>

#include "sched/helpers.h"
#include "sched/sanitize.h"
#include "tests/io/signals.h"

static void ignore(int number, void *arg)
{
    (void)number;
    (void)arg;
}

/* -- Deadlocks, time, shutdowns --------------------------------------------------- */

static int child_status(int (*body)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        alarm(20);
        if (grove_init(&(grove_config_t){.workers = 2, .report = GROVE_REPORT_OFF}) < 0)
            _exit(99);
        _exit(body());
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static grove_event_t never = GROVE_EVENT_INIT;

static void set_event(int number, void *event)
{
    (void)number;
    grove_event_set(event);
}

static int send_to_parent_later(void)
{
    pid_t parent = getpid(), child = fork();

    if (child == 0) {
        usleep(100000);
        kill(parent, SIGUSR1);
        _exit(0);
    }
    return child;
}

static int a_handler_rules_deadlock_out(void)
{
    grove_event_t event = GROVE_EVENT_INIT;
    grove_signal_t *handler = grove_signal_handle(SIGUSR1, set_event, &event);

    if (send_to_parent_later() < 0 || grove_event_wait(&event, GROVE_FOREVER) < 0)
        return 1;
    grove_signal_cancel(handler);
    return grove_event_wait(&never, GROVE_FOREVER) == -1 && errno == EDEADLK ? 0 : 2;
}

static int a_wait_rules_deadlock_out(void)
{
    if (send_to_parent_later() < 0 || grove_signal_wait(SIGUSR1, GROVE_FOREVER) < 0)
        return 1;
    return grove_event_wait(&never, GROVE_FOREVER) == -1 && errno == EDEADLK ? 0 : 2;
}

static void who_awaits_a_signal_is_not_deadlocked(void)
{
    CHECK_EQUAL(child_status(a_handler_rules_deadlock_out), 0);
    CHECK_EQUAL(child_status(a_wait_rules_deadlock_out), 0);
}
BARE(who_awaits_a_signal_is_not_deadlocked)

static int jump_in_time(void)
{
    setenv("GROVE_CLOCK", "virtual", 1);
    grove_shutdown(1);
    struct calls calls = no_calls;
    grove_signal_t *handler = grove_signal_handle(SIGUSR1, note, &calls);
    double before = grove_now();

    grove_sleep(1e6);
    if (grove_now() - before < 1e6)
        return 1;
    raise(SIGUSR1); /* delivered before time jumps */
    grove_sleep(1e6);
    grove_signal_cancel(handler);
    return calls.count == 1 ? grove_shutdown(1) : 2;
}

static void virtual_time_passes_but_not_over_a_delivery(void)
{
    CHECK_EQUAL(child_status(jump_in_time), 0);
}
BARE(virtual_time_passes_but_not_over_a_delivery)

static void *wait_in_thread(void *arg)
{
    *(int *)arg = grove_signal_wait(SIGUSR1, GROVE_FOREVER) < 0 ? errno : 0;
    return NULL;
}

static void a_shutdown_ends_waits_and_handlers(void)
{
    grove_config_t config = {.workers = 2, .report = GROVE_REPORT_OFF};
    struct calls calls = no_calls;
    pthread_t thread;
    int error = -1;

    for (int i = 0; i < 5; i++) {
        grove_init(&config);
        grove_signal_t *handler = grove_signal_handle(SIGUSR1, note, &calls);
        CHECK(handler != NULL);
        grove_t *waiter = must(grove_go(wait_once, (void *)(long)SIGUSR1));
        struct signal_source *source = hold(SIGUSR1);
        pthread_create(&thread, NULL, wait_in_thread, &error);
        until_waiting(source, 3);
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
        CHECK(is_default(SIGUSR1));
        pthread_join(thread, NULL);
        CHECK_EQUAL(error, ECANCELED);
        CHECK_EQUAL((long)grove_value(waiter), ECANCELED);
        grove_release(waiter);
        /* The next runtime's own work, whatever is left of the last one. */
        grove_init(&config);
        calls.count = 0;
        grove_signal_t *next = grove_signal_handle(SIGUSR1, note, &calls);
        grove_signal_cancel(handler);
        signal_source_release(source);
        raise(SIGUSR1);
        await_call(&calls);
        CHECK_EQUAL(calls.count, 1);
        grove_signal_cancel(next);
        CHECK(is_default(SIGUSR1));
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    }
}
BARE(a_shutdown_ends_waits_and_handlers)

static void *handle_when_killed(void *arg)
{
    grove_sleep(1000);
    *(grove_signal_t **)arg = grove_signal_handle(SIGUSR1, ignore, NULL);
    return NULL;
}

static void what_a_killed_greenlet_registers_ends_too(void)
{
    grove_config_t config = {.workers = 2, .report = GROVE_REPORT_OFF};

    for (int i = 0; i < 20; i++) {
        grove_signal_t *handler = NULL;

        grove_init(&config);
        grove_release(must(grove_go(handle_when_killed, &handler)));
        if (i % 2)
            grove_sleep(0.001);
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
        CHECK(is_default(SIGUSR1));
        grove_signal_cancel(handler);
    }
}
BARE(what_a_killed_greenlet_registers_ends_too)

/* Its default is to be ignored. */
static void *raise_until_over(void *over)
{
    while (!atomic_load_explicit((_Atomic(int) *)over, memory_order_relaxed))
        raise(SIGWINCH);
    return NULL;
}

static void signals_race_with_shutdowns(void)
{
    grove_config_t config = {.workers = 2, .report = GROVE_REPORT_OFF};
    _Atomic(int) over = 0;
    pthread_t thread;

    pthread_create(&thread, NULL, raise_until_over, &over);
    for (size_t i = 0; i < harness_rounds(200); i++) {
        struct calls calls = no_calls;

        grove_init(&config);
        grove_signal_t *handler = grove_signal_handle(SIGWINCH, note, &calls);
        await_call(&calls);
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
        grove_signal_cancel(handler);
        CHECK(is_default(SIGWINCH));
        CHECK(!helpers_at_work());
    }
    raise_flag(&over);
    pthread_join(thread, NULL);
}
BARE(signals_race_with_shutdowns)

/* -- fork -------------------------------------------------------------------------- */

static int use_in_child(void)
{
    struct calls calls = no_calls;

    if (!is_default(SIGUSR1) || !is_default(SIGUSR2))
        return 1;
    grove_signal_t *handler = grove_signal_handle(SIGUSR1, note, &calls);
    if (!handler)
        return 2;
    raise(SIGUSR1);
    await_call(&calls);
    grove_signal_cancel(handler);
    return calls.count == 1 && is_default(SIGUSR1) ? grove_shutdown(1) : 3;
}

static void a_child_begins_without(void)
{
    struct calls calls = no_calls;
    struct signal_source *source = hold(SIGUSR2);
    grove_signal_t *handler = grove_signal_handle(SIGUSR1, note, &calls);
    grove_t *waiter = must(grove_go(wait_once, (void *)(long)SIGUSR2));
    int status = -1;

    until_waiting(source, 1);
    pid_t child = fork();
    if (child == 0)
        _exit(use_in_child());
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_EQUAL(WEXITSTATUS(status), 0);
    raise(SIGUSR1);
    await_call(&calls);
    CHECK_EQUAL(calls.count, 1);
    raise(SIGUSR2);
    CHECK(grove_await(waiter) == NULL);
    signal_source_release(source);
    grove_signal_cancel(handler);
}
PAIR(a_child_begins_without)

/* -- Stress ------------------------------------------------------------------------ */

enum { WAITERS = 12, NUMBERS = 3 };

static const int numbers[NUMBERS] = {SIGUSR1, SIGUSR2, SIGWINCH};
static _Atomic(int) over, woken_count, timed_out, killed;

static void *wait_again_and_again(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg;

    while (!over) {
        int number = numbers[random_next(&random) % NUMBERS];
        double timeout = random_next(&random) % 4 == 0 ? 0.0003 : GROVE_FOREVER;
        if (grove_signal_wait(number, timeout) == 0) {
            woken_count++;
        } else if (errno == ETIMEDOUT) {
            timed_out++;
        } else {
            CHECK_EQUAL(errno, ECANCELED);
            CHECK_EQUAL(grove_kill_clear(), ECANCELED);
            killed++;
        }
    }
    return NULL;
}

static void *handle_again_and_again(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg;

    while (!over) {
        int number = numbers[random_next(&random) % NUMBERS];
        struct calls calls = no_calls;
        grove_signal_t *handler = grove_signal_handle(number, note, &calls);
        CHECK(handler != NULL);
        if (random_next(&random) % 2) {
            raise(number);
            await_call(&calls);
        } else {
            grove_sleep(0);
        }
        /* All calls are made by this worker: none begins any more. */
        grove_signal_cancel(handler);
        int begun = calls.begun;
        while (calls.count < begun)
            grove_yield();
        grove_sleep(0.0005);
        CHECK_EQUAL(calls.begun, begun);
    }
    return NULL;
}

static void waits_kills_and_deliveries_race(void)
{
    struct signal_source *sources[NUMBERS];
    grove_t *waiters[WAITERS], *handlers[2];
    uint64_t random = harness_seed();
    pthread_t thread;

    over = woken_count = timed_out = killed = 0;
    for (int i = 0; i < NUMBERS; i++)
        sources[i] = hold(numbers[i]);
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = must(grove_go(
            wait_again_and_again, (void *)(uintptr_t)(random_next(&random) | 1)));
    for (int i = 0; i < 2; i++)
        handlers[i] = must(grove_go(
            handle_again_and_again, (void *)(uintptr_t)(random_next(&random) | 1)));
    pthread_create(
        &thread, NULL, wait_again_and_again, (void *)(uintptr_t)random_next(&random));
    for (size_t i = 0; i < harness_rounds(2000); i++) {
        raise(numbers[random_next(&random) % NUMBERS]);
        if (random_next(&random) % 8 == 0)
            grove_kill(waiters[random_next(&random) % WAITERS], 0);
        if (random_next(&random) % 2)
            grove_sleep(0);
        else
            grove_sleep(0.0001);
    }
    over = 1;
    for (int i = 0; i < 2; i++)
        grove_await(handlers[i]);
    /* Nobody sleeps through: each wait still under way ends with its signal. */
    for (int i = 0; i < WAITERS; i++)
        while (grove_join(waiters[i], 0.001) < 0)
            for (int j = 0; j < NUMBERS; j++)
                raise(numbers[j]);
    while (pthread_tryjoin_np(thread, NULL) != 0) {
        for (int j = 0; j < NUMBERS; j++)
            raise(numbers[j]);
        grove_sleep(0.001);
    }
    for (int i = 0; i < WAITERS; i++)
        grove_release(waiters[i]);
    for (int i = 0; i < NUMBERS; i++) {
        CHECK_EQUAL(waiting(sources[i]), 0);
        CHECK_EQUAL(sources[i]->holds, 1);
        signal_source_release(sources[i]);
        CHECK(is_default(numbers[i]));
    }
    CHECK(woken_count > 0);
}
EVERYWHERE(waits_kills_and_deliveries_race)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a shutdown ends waits and handlers", a_shutdown_ends_waits_and_handlers),
        TEST("what a killed greenlet registers ends too",
            what_a_killed_greenlet_registers_ends_too),
        TEST("signals race with shutdowns", signals_race_with_shutdowns),
        TEST("waits, kills and deliveries race", waits_kills_and_deliveries_race),
        /* ThreadSanitizer lets no child of a threaded process start threads. */
        TEST("a child begins without", a_child_begins_without),
        TEST("who awaits a signal is not deadlocked",
            who_awaits_a_signal_is_not_deadlocked),
        TEST("virtual time passes, but not over a delivery",
            virtual_time_passes_but_not_over_a_delivery),
    };
    size_t n = sizeof tests / sizeof *tests;

    return harness_main("signal_runtime", tests, SANITIZE_THREAD ? n - 3 : n);
}
