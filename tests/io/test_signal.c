/* SPDX-License-Identifier: MIT */
/*
 * Signals are raised by the thread that must not go on before the handler has run
 * (raise, not kill): what is then still to come is the delivery.
 */
#define _GNU_SOURCE
#include <grove.h>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "io/signal_source.h"
#include "sched/helpers.h"
#include "sched/probe.h"
#include "sched/sanitize.h"
#include "tests/sched/runtimes.h"

/* -- What is caught, and when ------------------------------------------------------ */

static void *caught_by(int number)
{
    struct sigaction now;

    sigaction(number, NULL, &now);
    return (void *)now.sa_handler;
}

static bool is_default(int number)
{
    return caught_by(number) == (void *)SIG_DFL;
}

static void ignore(int number, void *arg)
{
    (void)number;
    (void)arg;
}

static void numbers_that_cannot_be_caught_are_refused(void)
{
    static const int bad[] = {
        -1, 0, 32, 33, 65, 1 << 20, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_ERROR(grove_signal_wait(bad[i], GROVE_FOREVER), EINVAL);
        CHECK_ERROR(grove_signal_wait(bad[i], 0), EINVAL);
        errno = 0;
        CHECK(grove_signal_handle(bad[i], ignore, NULL) == NULL);
        CHECK_EQUAL(errno, EINVAL);
    }
    CHECK_ERROR(grove_signal_wait(PROBE_SIGNAL, GROVE_FOREVER), EBUSY);
    errno = 0;
    CHECK(grove_signal_handle(PROBE_SIGNAL, ignore, NULL) == NULL);
    CHECK_EQUAL(errno, EBUSY);
    errno = 0;
    CHECK(grove_signal_handle(SIGUSR1, NULL, NULL) == NULL);
    CHECK_EQUAL(errno, EINVAL);
    CHECK_ERROR(grove_signal_wait(SIGUSR1, NAN), EINVAL);
    CHECK(is_default(SIGUSR1));
    grove_signal_cancel(NULL);
}
ALONE(numbers_that_cannot_be_caught_are_refused)

static void of_the_program(int number)
{
    (void)number;
}

static void the_last_puts_back_what_was_there(void)
{
    struct sigaction before, mine = {.sa_handler = of_the_program};

    sigaction(SIGUSR1, &mine, &before);
    grove_signal_t *one = grove_signal_handle(SIGUSR1, ignore, NULL);
    grove_signal_t *other = grove_signal_handle(SIGUSR1, ignore, NULL);
    CHECK(one && other);
    CHECK(caught_by(SIGUSR1) != (void *)of_the_program);
    CHECK_ERROR(grove_signal_wait(SIGUSR1, 0.001), ETIMEDOUT);
    grove_signal_cancel(one);
    CHECK(caught_by(SIGUSR1) != (void *)of_the_program);
    grove_signal_cancel(other);
    CHECK(caught_by(SIGUSR1) == (void *)of_the_program);
    CHECK_ERROR(grove_signal_wait(SIGUSR1, 0.001), ETIMEDOUT);
    CHECK(caught_by(SIGUSR1) == (void *)of_the_program);
    sigaction(SIGUSR1, &before, NULL);
}
ALONE(the_last_puts_back_what_was_there)

static void what_the_program_installs_meanwhile_stays(void)
{
    struct sigaction mine = {.sa_handler = of_the_program};

    grove_signal_t *handler = grove_signal_handle(SIGUSR1, ignore, NULL);
    CHECK(handler != NULL);
    sigaction(SIGUSR1, &mine, NULL);
    grove_signal_cancel(handler);
    CHECK(caught_by(SIGUSR1) == (void *)of_the_program);
    signal(SIGUSR1, SIG_DFL);
}
ALONE(what_the_program_installs_meanwhile_stays)

/* -- Waits ------------------------------------------------------------------------- */

/* How many wait for the signal now. */
static int waiting(struct signal_source *source)
{
    int count = 0;

    section_enter(&source->list.section);
    for (struct waiter *waiter = source->list.first; waiter; waiter = waiter->next)
        count++;
    section_leave(&source->list.section);
    return count;
}

/* Keeps it caught, so that no raise is fatal. */
static struct signal_source *hold(int number)
{
    uint64_t seen;
    struct signal_source *source = signal_source_hold(number, &seen);

    if (!source) {
        CHECK(source != NULL);
        abort();
    }
    return source;
}

static void until_waiting(struct signal_source *source, int count)
{
    while (waiting(source) != count)
        grove_sleep(0.0001);
}

static void *wait_once(void *arg)
{
    return grove_signal_wait((int)(long)arg, GROVE_FOREVER) == 0 ? NULL
                                                                 : (void *)(long)errno;
}

static void a_delivery_wakes_all_that_wait(void)
{
    enum { N = 20 };
    struct signal_source *source = hold(SIGUSR1);
    grove_t *waiters[N];
    void *error = NULL;
    pthread_t thread;

    for (int i = 0; i < N; i++)
        waiters[i] =
            must((i % 2 ? grove_go : grove_spawn)(wait_once, (void *)(long)SIGUSR1));
    pthread_create(&thread, NULL, wait_once, (void *)(long)SIGUSR1);
    until_waiting(source, N + 1);
    raise(SIGUSR1);
    for (int i = 0; i < N; i++) {
        error = grove_await(waiters[i]);
        CHECK_EQUAL((long)error, 0);
    }
    pthread_join(thread, &error);
    CHECK_EQUAL((long)error, 0);
    signal_source_release(source);
    CHECK(is_default(SIGUSR1));
}
EVERYWHERE(a_delivery_wakes_all_that_wait)

static void a_delivery_wakes_those_of_its_number_alone(void)
{
    struct signal_source *one = hold(SIGUSR1), *other = hold(SIGRTMIN);
    grove_t *waiter = must(grove_spawn(wait_once, (void *)(long)SIGUSR1));
    grove_t *awaited = must(grove_spawn(wait_once, (void *)(long)SIGRTMIN));

    until_waiting(one, 1);
    until_waiting(other, 1);
    raise(SIGRTMIN);
    CHECK(grove_await(awaited) == NULL);
    CHECK_EQUAL(waiting(one), 1);
    CHECK_EQUAL(grove_kill(waiter, GROVE_FOREVER), 0);
    CHECK_EQUAL((long)grove_await(waiter), ECANCELED);
    CHECK_EQUAL(waiting(one), 0);
    signal_source_release(one);
    signal_source_release(other);
}
EVERYWHERE(a_delivery_wakes_those_of_its_number_alone)

static void a_wait_can_time_out(void)
{
    CHECK_ERROR(grove_signal_wait(SIGUSR1, 0), ETIMEDOUT);
    CHECK_ERROR(grove_signal_wait(SIGUSR1, 0.001), ETIMEDOUT);
    CHECK(is_default(SIGUSR1));
}
EVERYWHERE(a_wait_can_time_out)

static void time_out(void *arg)
{
    (void)arg;
    CHECK_ERROR(grove_signal_wait(SIGUSR1, 0.001), ETIMEDOUT);
}

static void a_wait_of_a_thread_can_time_out(void)
{
    in_thread(time_out, NULL);
    CHECK(is_default(SIGUSR1));
}
PAIR(a_wait_of_a_thread_can_time_out)

static int error_in_link;

static void wait_in_link(grove_t *g, void *arg)
{
    (void)g;
    (void)arg;
    error_in_link = grove_signal_wait(SIGUSR1, GROVE_FOREVER) < 0 ? errno : 0;
}

static void *nothing(void *arg)
{
    return arg;
}

static void a_wait_in_a_callback_is_refused(void)
{
    grove_t *g = must(grove_spawn(nothing, NULL));

    CHECK_EQUAL(grove_link(g, wait_in_link, NULL), 0);
    grove_join(g, GROVE_FOREVER);
    grove_yield();
    grove_release(g);
    CHECK_EQUAL(error_in_link, EDEADLK);
    CHECK(is_default(SIGUSR1));
}
ALONE(a_wait_in_a_callback_is_refused)

/* What io/select.c relies on. */
static void what_came_before_the_waiter_is_not_missed(void)
{
    uint64_t seen, now;
    struct signal_source *source = signal_source_hold(SIGUSR1, &seen);
    struct waiter waiter;
    int error = 0;

    raise(SIGUSR1);
    while (atomic_load_explicit(&source->deliveries, memory_order_relaxed) == seen)
        grove_yield();
    now = seen;
    CHECK_EQUAL(waiter_init(&waiter), 0);
    CHECK(!signal_source_publish(source, &now, &waiter, &error));
    CHECK_EQUAL(error, 0);
    CHECK_EQUAL(now, seen + 1);
    CHECK(signal_source_publish(source, &now, &waiter, &error));
    CHECK_EQUAL(waiting(source), 1);
    CHECK(waiter.detach(&waiter));
    signal_source_release(source);
}
PAIR(what_came_before_the_waiter_is_not_missed)

/* -- Handlers ---------------------------------------------------------------------- */

struct calls {
    _Atomic(int) begun;
    _Atomic(int) count;
    _Atomic(int) last_number;
    _Atomic(grove_t *) last_greenlet;
    _Atomic(int) last_worker;
    grove_semaphore_t called;
};

static const struct calls no_calls = {.called = GROVE_SEMAPHORE_INIT(0)};

static void note(int number, void *arg)
{
    struct calls *calls = arg;

    calls->begun++;
    calls->last_number = number;
    calls->last_greenlet = grove_current();
    calls->last_worker = grove_worker_self();
    grove_sleep(0); /* a handler may switch */
    calls->count++;
    grove_semaphore_release(&calls->called);
}

static void await_call(struct calls *calls)
{
    CHECK_EQUAL(grove_semaphore_acquire(&calls->called, GROVE_FOREVER), 0);
}

static void each_delivery_calls_in_a_new_greenlet(void)
{
    struct calls calls = no_calls;
    grove_signal_t *handler = grove_signal_handle(SIGUSR2, note, &calls);

    CHECK(handler != NULL);
    for (int i = 1; i <= 5; i++) {
        raise(SIGUSR2);
        await_call(&calls);
        CHECK_EQUAL(calls.count, i);
        CHECK_EQUAL(calls.last_number, SIGUSR2);
        CHECK(calls.last_greenlet && calls.last_greenlet != grove_current());
        CHECK_EQUAL(calls.last_worker, grove_worker_self());
    }
    grove_signal_cancel(handler);
    CHECK(is_default(SIGUSR2));
}
EVERYWHERE(each_delivery_calls_in_a_new_greenlet)

struct registration {
    struct calls *calls;
    grove_signal_t *handler;
    int worker;
};

static void *register_here(void *arg)
{
    struct registration *registration = arg;

    registration->handler = grove_signal_handle(SIGUSR2, note, registration->calls);
    registration->worker = grove_worker_self();
    return NULL;
}

static void the_call_comes_to_the_worker_that_asked(void)
{
    for (int i = 0; i < 20; i++) {
        struct calls calls = no_calls;
        struct registration registration = {.calls = &calls};

        grove_await(must(grove_go(register_here, &registration)));
        raise(SIGUSR2);
        await_call(&calls);
        CHECK_EQUAL(calls.last_worker, registration.worker);
        grove_signal_cancel(registration.handler);
    }
}
EVERYWHERE(the_call_comes_to_the_worker_that_asked)

static void register_in_thread(void *arg)
{
    register_here(arg);
}

static void a_thread_has_its_calls_made_by_a_worker(void)
{
    struct calls calls = no_calls;
    struct registration registration = {.calls = &calls};

    in_thread(register_in_thread, &registration);
    CHECK(registration.handler != NULL);
    raise(SIGUSR2);
    await_call(&calls);
    CHECK(calls.last_worker >= 0);
    grove_signal_cancel(registration.handler);
}
EVERYWHERE(a_thread_has_its_calls_made_by_a_worker)

static char order[8];
static _Atomic(int) order_length;

static void append(int number, void *letter)
{
    (void)number;
    order[order_length] = *(char *)letter;
    order_length++;
}

static void several_are_called_in_their_order(void)
{
    grove_signal_t *a = grove_signal_handle(SIGUSR1, append, "a");
    grove_signal_t *b = grove_signal_handle(SIGUSR1, append, "b");
    grove_signal_t *c = grove_signal_handle(SIGUSR1, append, "c");

    order_length = 0;
    raise(SIGUSR1);
    while (order_length < 3)
        grove_yield();
    grove_signal_cancel(b);
    raise(SIGUSR1);
    while (order_length < 5)
        grove_yield();
    order[5] = '\0';
    CHECK_STRING(order, "abcac");
    grove_signal_cancel(a);
    grove_signal_cancel(c);
}
EVERYWHERE(several_are_called_in_their_order)

static void cancel_itself(int number, void *arg)
{
    struct registration *registration = arg;

    grove_signal_cancel(registration->handler);
    note(number, registration->calls);
}

static void a_handler_may_cancel_itself(void)
{
    struct calls calls = no_calls;
    struct registration registration = {.calls = &calls};

    registration.handler = grove_signal_handle(SIGUSR1, cancel_itself, &registration);
    raise(SIGUSR1);
    await_call(&calls);
    CHECK(is_default(SIGUSR1));
}
EVERYWHERE(a_handler_may_cancel_itself)

/* The greenlet is ready, on this thread, and not started. */
static void what_has_not_begun_is_cancelled(void)
{
    struct calls calls = no_calls;
    struct signal_source *source = hold(SIGUSR1);
    grove_signal_t *handler = grove_signal_handle(SIGUSR1, note, &calls);

    uint64_t before = source->deliveries;
    raise(SIGUSR1);
    while (atomic_load_explicit(&source->deliveries, memory_order_acquire) == before)
        sched_yield();
    grove_signal_cancel(handler);
    for (int i = 0; i < 100; i++)
        grove_sleep(0.0001);
    CHECK_EQUAL(calls.count, 0);
    signal_source_release(source);
}
ALONE(what_has_not_begun_is_cancelled)

/* -- The program's end, deadlocks -------------------------------------------------- */

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
        TEST("numbers that cannot be caught are refused",
            numbers_that_cannot_be_caught_are_refused),
        TEST("the last puts back what was there", the_last_puts_back_what_was_there),
        TEST("what the program installs meanwhile stays",
            what_the_program_installs_meanwhile_stays),
        TEST("a delivery wakes all that wait", a_delivery_wakes_all_that_wait),
        TEST("a delivery wakes those of its number alone",
            a_delivery_wakes_those_of_its_number_alone),
        TEST("a wait can time out", a_wait_can_time_out),
        TEST("a wait of a thread can time out", a_wait_of_a_thread_can_time_out),
        TEST("a wait in a callback is refused", a_wait_in_a_callback_is_refused),
        TEST("what came before the waiter is not missed",
            what_came_before_the_waiter_is_not_missed),
        TEST("each delivery calls in a new greenlet",
            each_delivery_calls_in_a_new_greenlet),
        TEST("the call comes to the worker that asked",
            the_call_comes_to_the_worker_that_asked),
        TEST("a thread has its calls made by a worker",
            a_thread_has_its_calls_made_by_a_worker),
        TEST("several are called in their order", several_are_called_in_their_order),
        TEST("a handler may cancel itself", a_handler_may_cancel_itself),
        TEST("what has not begun is cancelled", what_has_not_begun_is_cancelled),
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

    return harness_main("signal", tests, SANITIZE_THREAD ? n - 3 : n);
}
