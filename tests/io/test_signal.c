/* SPDX-License-Identifier: MIT */
/* Waiting for signals and handling them. */
#include "sched/probe.h"
#include "tests/io/signals.h"

/* -- What is caught, and when ------------------------------------------------------ */

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
    };

    return harness_main("signal", tests, sizeof tests / sizeof *tests);
}
