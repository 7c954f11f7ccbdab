/* SPDX-License-Identifier: MIT */
/* Threads of the program: plain ones, which only wait, and guests, which spawn. */
#include <grove/event.h>
#include <grove/queue.h>

#include "tests/sched/runtimes.h"

static void *yield_and_return(void *arg)
{
    grove_yield();
    return arg;
}

static void *own_thread(void *arg)
{
    CHECK_EQUAL(grove_worker_self(), -1);
    *(pthread_t *)arg = pthread_self();
    grove_sleep(0.0001);
    CHECK(pthread_equal(*(pthread_t *)arg, pthread_self()));
    return arg;
}

static void spawn_and_await(void *arg)
{
    pthread_t thread;
    (void)arg;

    for (int i = 0; i < 20; i++) {
        CHECK(grove_await(must(grove_spawn(own_thread, &thread))) == &thread);
        CHECK(pthread_equal(thread, pthread_self()));
    }
    CHECK(grove_current() != NULL);
    CHECK_EQUAL(grove_worker_self(), -1);
    CHECK_STRING(grove_name(grove_current()), "thread");
    CHECK_ERROR(grove_shutdown(0), EPERM);
}

static void a_guest_runs_its_own(void)
{
    in_thread(spawn_and_await, NULL);
}
EVERYWHERE(a_guest_runs_its_own)

static void many_calls(void *arg)
{
    grove_t *g[30], *done[30];
    grove_timeout_t timeout;
    (void)arg;

    for (int i = 0; i < 30; i++)
        g[i] = must((i % 3 ? grove_spawn : grove_go)(yield_and_return, &g[i]));
    CHECK_EQUAL(grove_wait(g, 30, 0, GROVE_FOREVER, done), 30);
    for (int i = 0; i < 30; i++)
        CHECK(grove_await(g[i]) == &g[i]);
    CHECK_EQUAL(grove_timeout_start(&timeout, 0.0005), 0);
    CHECK_ERROR(grove_sleep(1e6), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(grove_idle(), 0);
    grove_t *late = must(grove_spawn_later(0.001, yield_and_return, g));
    CHECK(grove_await(late) == g);
}

static void guests_may_do_all_that_workers_may(void)
{
    for (int i = 0; i < 5; i++)
        in_thread(many_calls, NULL);
}
EVERYWHERE(guests_may_do_all_that_workers_may)

static _Atomic(int) ended;

static void note_end(grove_t *g, void *arg)
{
    (void)g;
    (void)arg;
    atomic_fetch_add(&ended, 1);
}

static void *sleep_forever(void *arg)
{
    CHECK_ERROR(grove_sleep(1e6), ECANCELED);
    return arg;
}

static grove_t *left[6];

static void leave_greenlets(void *arg)
{
    grove_attr_t deferred = {.deferred = true, .name = "deferred"};
    (void)arg;

    left[0] = must(grove_spawn(sleep_forever, NULL));
    grove_yield();
    left[1] = must(grove_spawn(sleep_forever, NULL)); /* not started */
    left[2] = must(grove_spawn_with(&deferred, sleep_forever, NULL));
    left[3] = must(grove_spawn_later(1e6, sleep_forever, NULL));
    left[4] = must(grove_spawn_with(
        &(grove_attr_t){.delay = 1e6, .affinity = GROVE_ANY}, sleep_forever, NULL));
    left[5] = must(grove_go(yield_and_return, &left)); /* not the guest's */
    for (int i = 0; i < 5; i++)
        grove_link(left[i], note_end, NULL);
}

/* What a guest leaves behind is killed with it. */
static void a_guest_that_ends_ends_its_greenlets(void)
{
    for (int round = 0; round < 5; round++) {
        atomic_store(&ended, 0);
        in_thread(leave_greenlets, NULL);
        /* The thread's end comes after what it ran: join, as in_thread does. */
        CHECK_EQUAL(atomic_load(&ended), 5);
        for (int i = 0; i < 5; i++)
            CHECK_EQUAL(grove_join(left[i], GROVE_FOREVER), 0);
        CHECK(grove_value(left[1]) == GROVE_KILLED);
        CHECK(grove_value(left[2]) == GROVE_KILLED);
        CHECK(grove_value(left[3]) == GROVE_KILLED);
        CHECK_EQUAL(grove_start(left[2]), 0); /* its home is gone */
        for (int i = 0; i < 5; i++)
            grove_release(left[i]);
        CHECK(grove_await(left[5]) == &left);
    }
}
EVERYWHERE(a_guest_that_ends_ends_its_greenlets)

struct exchange {
    grove_event_t ready, answer;
    grove_t *g;
};

static void *answer(void *arg)
{
    struct exchange *exchange = arg;

    CHECK_EQUAL(grove_event_wait(&exchange->answer, GROVE_FOREVER), 0);
    return exchange;
}

static void guest_waits_for_answer(void *arg)
{
    struct exchange *exchange = arg;

    exchange->g = must(grove_spawn(answer, exchange));
    grove_event_set(&exchange->ready);
    CHECK(grove_await(exchange->g) == exchange);
}

/* Woken from another thread, again and again, and gone right after. */
static void wakes_reach_guests(void)
{
    for (size_t round = harness_rounds(200); round > 0; round--) {
        struct exchange exchange = {GROVE_EVENT_INIT, GROVE_EVENT_INIT, NULL};
        struct foreign_call call = {.fn = guest_waits_for_answer, .arg = &exchange};
        pthread_t thread;
        if (!CHECK_EQUAL(pthread_create(&thread, NULL, foreign_call_run, &call), 0))
            return;
        CHECK_EQUAL(grove_event_wait(&exchange.ready, GROVE_FOREVER), 0);
        grove_event_set(&exchange.answer);
        pthread_join(thread, NULL);
    }
}
EVERYWHERE(wakes_reach_guests)

static void kill_from_guest(void *g)
{
    grove_await(must(grove_spawn(yield_and_return, NULL))); /* it is a guest now */
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
}

static void a_guest_kills(void)
{
    grove_t *g = must(grove_go(sleep_forever, &ended));

    in_thread(kill_from_guest, g);
    CHECK(grove_ready(g));
    grove_release(g);
}
EVERYWHERE(a_guest_kills)

static void plain_calls(void *arg)
{
    grove_t *g = must(grove_go(yield_and_return, arg));
    void *value = NULL;

    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_get(g, 0, &value), 0);
    CHECK(value == arg);
    CHECK(grove_await(g) == arg);
    grove_t *many[20], *done[20];
    for (int i = 0; i < 20; i++)
        many[i] = must(grove_go(yield_and_return, arg));
    CHECK_EQUAL(grove_wait(many, 20, 5, GROVE_FOREVER, done), 5);
    CHECK_EQUAL(grove_joinall(many, 20, 1e6), 0);
    for (int i = 0; i < 20; i++)
        CHECK(grove_await(many[i]) == arg);
    CHECK(grove_current() == NULL); /* still a plain thread */
    CHECK_EQUAL(grove_kill_clear(), 0);
}

static void plain_threads_go_join_and_await(void)
{
    for (int i = 0; i < 5; i++)
        in_thread(plain_calls, &ended);
}
EVERYWHERE(plain_threads_go_join_and_await)

/* Both sorts at once, with the workers. */
static void thread_of_crowd(void *arg)
{
    plain_calls(arg);
    if (arg)
        many_calls(NULL);
    for (size_t i = harness_rounds(300); i > 0; i--)
        CHECK(grove_await(must(grove_go(yield_and_return, arg))) == arg);
}

static void a_crowd_of_threads(void)
{
    struct foreign_call call[8];
    pthread_t thread[8];

    for (int i = 0; i < 8; i++) {
        call[i] = (struct foreign_call){thread_of_crowd, i % 2 ? &ended : NULL, 0};
        CHECK_EQUAL(pthread_create(&thread[i], NULL, foreign_call_run, &call[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        until(&call[i].over); /* their greenlets may have started on this thread */
        pthread_join(thread[i], NULL);
    }
}
PAIR(a_crowd_of_threads)

static void exit_thread(void *arg)
{
    grove_release(must(grove_spawn(sleep_forever, NULL)));
    grove_yield();
    raise_flag(arg);
    grove_exit(NULL);
}

static void *run_exit_thread(void *arg)
{
    exit_thread(arg);
    CHECK(!"not reached");
    return NULL;
}

/* grove_exit outside a greenlet is pthread_exit. */
static void exit_ends_a_guest(void)
{
    _Atomic(int) over = 0;
    pthread_t thread;

    if (!CHECK_EQUAL(pthread_create(&thread, NULL, run_exit_thread, (void *)&over), 0))
        return;
    until(&over);
    pthread_join(thread, NULL);
}
EVERYWHERE(exit_ends_a_guest)

/* While a guest is there the runtime can't end; after it, it can. */
static _Atomic(int) is_guest, may_go;

static void stay_a_guest(void *arg)
{
    (void)arg;
    grove_await(must(grove_spawn(yield_and_return, NULL)));
    raise_flag(&is_guest);
    while (!atomic_load(&may_go))
        grove_sleep(0.0001);
}

static void no_shutdown_under_a_guest(void)
{
    struct foreign_call call = {.fn = stay_a_guest};
    pthread_t thread;

    atomic_store(&is_guest, 0);
    atomic_store(&may_go, 0);
    if (!CHECK_EQUAL(pthread_create(&thread, NULL, foreign_call_run, &call), 0))
        return;
    until(&is_guest);
    CHECK_ERROR(grove_shutdown(GROVE_FOREVER), EPERM);
    raise_flag(&may_go);
    pthread_join(thread, NULL);
}
EVERYWHERE(no_shutdown_under_a_guest)

static grove_t *former;

static void end_as_guest(void *arg)
{
    grove_await(must(grove_spawn(yield_and_return, arg)));
    former = grove_retain(grove_current());
}

static void sleep_as_guest(void *arg)
{
    grove_await(must(grove_spawn(yield_and_return, arg)));
    raise_flag(arg);
    CHECK_EQUAL(grove_sleep(0.005), 0);
}

static void *kill_former(void *entered)
{
    until(entered);
    CHECK_EQUAL(grove_kill(former, GROVE_FOREVER), 0);
    return NULL;
}

/* Whatever is done to it afterwards does not reach the next guest, which is in the same
 * place. */
static void the_main_greenlet_ends_with_its_thread(void)
{
    _Atomic(int) entered = 0;

    in_thread(end_as_guest, NULL);
    CHECK(grove_ready(former) && grove_successful(former));
    CHECK_EQUAL(grove_join(former, GROVE_FOREVER), 0);
    grove_t *killer = must(grove_go(kill_former, &entered));
    in_thread(sleep_as_guest, &entered);
    grove_await(killer);
    grove_release(former);
}
EVERYWHERE(the_main_greenlet_ends_with_its_thread)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a guest runs its own", a_guest_runs_its_own),
        TEST("guests may do all that workers may", guests_may_do_all_that_workers_may),
        TEST("a guest that ends ends its greenlets",
            a_guest_that_ends_ends_its_greenlets),
        TEST("wakes reach guests", wakes_reach_guests),
        TEST("a guest kills", a_guest_kills),
        TEST("plain threads go, join and await", plain_threads_go_join_and_await),
        TEST("a crowd of threads", a_crowd_of_threads),
        TEST("exit ends a guest", exit_ends_a_guest),
        TEST("no shutdown under a guest", no_shutdown_under_a_guest),
        TEST("the main greenlet ends with its thread",
            the_main_greenlet_ends_with_its_thread),
    };
    return harness_main("guest", tests, sizeof tests / sizeof *tests);
}
