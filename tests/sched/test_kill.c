/* SPDX-License-Identifier: MIT */
/* Killing: in every state a greenlet can be in, from every side. */
#include <sched.h>
#include <time.h>

#include <grove/event.h>
#include <grove/queue.h>

#include "tests/sched/runtimes.h"

static int entered, linked;

static void *enter(void *arg)
{
    entered++;
    return arg;
}

static void note_link(grove_t *g, void *arg)
{
    (void)g;
    (void)arg;
    CHECK(grove_current() == NULL); /* links run in the hub */
    if (grove_worker_self() >= 0)
        CHECK_ERROR(grove_sleep(1), EDEADLK);
    linked++;
}

static void kill_forever(void *g)
{
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
}

static void kill_asking(void *g)
{
    CHECK_EQUAL(grove_kill(g, 0), 0);
}

/* Runs fn(arg) in a thread, while this one can start nothing. */
static void meanwhile_in_thread(void (*fn)(void *arg), void *arg)
{
    struct foreign_call call = {.fn = fn, .arg = arg};
    pthread_t thread;

    if (CHECK_EQUAL(pthread_create(&thread, NULL, foreign_call_run, &call), 0))
        pthread_join(thread, NULL);
}

/* Kills one that has not started and checks all that must be true then. */
static void check_unstarted(grove_t *g, bool elsewhere)
{
    entered = linked = 0;
    CHECK_EQUAL(grove_link(g, note_link, NULL), 0);
    if (elsewhere)
        meanwhile_in_thread(kill_forever, g);
    else
        kill_forever(g);
    CHECK(grove_ready(g));
    CHECK(grove_successful(g));
    CHECK(!grove_started(g));
    CHECK(grove_value(g) == GROVE_KILLED);
    CHECK_EQUAL(grove_error(g), 0);
    CHECK_EQUAL(grove_join(g, 0), 0);
    CHECK_EQUAL(linked, 1);
    for (int turn = 0; turn < 5; turn++)
        grove_yield();
    CHECK_EQUAL(grove_start(g), 0);
    CHECK_EQUAL(grove_sleep(0.003), 0); /* past the delay of delayed ones */
    CHECK_EQUAL(entered, 0);
    CHECK_EQUAL(linked, 1);
    CHECK(grove_await(g) == GROVE_KILLED);
}

/* Holds all other workers, if there are any, so that they start nothing. */
enum { MOST_WORKERS = 7 };

static _Atomic(int) held, let_go;

static void *hold(void *arg)
{
    atomic_fetch_add(&held, 1);
    while (!atomic_load_explicit(&let_go, memory_order_acquire))
        sched_yield();
    return arg;
}

static void hold_the_other_workers(bool on)
{
    static grove_t *holder[MOST_WORKERS];
    int others = grove_worker_count() - 1;

    if (!on) {
        raise_flag(&let_go);
        for (int i = 0; i < others; i++)
            grove_await(holder[i]);
        return;
    }
    atomic_store(&held, 0);
    atomic_store(&let_go, 0);
    for (int i = 0; i < others; i++)
        holder[i] = must(grove_go(hold, NULL));
    while (atomic_load(&held) < others)
        sched_yield(); /* not grove_yield: this worker would start one itself */
}

static void never_started(bool elsewhere)
{
    static const grove_attr_t attr[] = {
        {.affinity = GROVE_LOCAL, .deferred = true},
        {.affinity = GROVE_ANY, .deferred = true},
        {.affinity = GROVE_LOCAL, .delay = 0.002},
        {.affinity = GROVE_ANY, .delay = 0.002},
        {.affinity = GROVE_ANY, .delay = 0.002, .deferred = true},
    };

    for (size_t i = 0; i < sizeof attr / sizeof *attr; i++)
        check_unstarted(must(grove_spawn_with(&attr[i], enter, NULL)), elsewhere);
}

static void held_back_or_delayed(void)
{
    never_started(false);
}
EVERYWHERE(held_back_or_delayed)

static void held_back_or_delayed_from_elsewhere(void)
{
    never_started(true);
}
EVERYWHERE(held_back_or_delayed_from_elsewhere)

static void ready_but_not_started(void)
{
    check_unstarted(must(grove_spawn(enter, NULL)), false);
    hold_the_other_workers(true);
    check_unstarted(must(grove_go(enter, NULL)), false);
    hold_the_other_workers(false);
}
EVERYWHERE(ready_but_not_started)

/* By a thread while this worker is busy: it can start nothing meanwhile. */
static void ready_here_killed_elsewhere(void)
{
    grove_t *(*const spawns[])(grove_fn, void *) = {grove_spawn, grove_go};

    for (int i = 0; i < 2; i++) {
        if (i)
            hold_the_other_workers(true);
        grove_t *g = must(spawns[i](enter, NULL));
        entered = linked = 0;
        grove_link(g, note_link, NULL);
        meanwhile_in_thread(kill_asking, g);
        CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
        CHECK_EQUAL(entered, 0);
        CHECK_EQUAL(linked, 1);
        CHECK(grove_await(g) == GROVE_KILLED);
        if (i)
            hold_the_other_workers(false);
    }
}
EVERYWHERE(ready_here_killed_elsewhere)

static void *sleep_and_count(void *arg)
{
    entered++;
    CHECK_ERROR(grove_sleep(1e6), ECANCELED);
    CHECK_ERROR(grove_sleep(0), ECANCELED);
    CHECK_ERROR(grove_sleep(1e6), ECANCELED);
    CHECK_ERROR(grove_idle(), ECANCELED);
    return arg;
}

static void a_blocked_one_fails_from_then_on(void)
{
    for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
        entered = linked = 0;
        grove_t *g = must(grove_spawn(sleep_and_count, &entered));
        grove_link(g, note_link, NULL);
        while (!entered)
            grove_yield();
        if (elsewhere)
            in_thread(kill_forever, g);
        else
            kill_forever(g);
        CHECK(grove_successful(g));
        CHECK(grove_value(g) == &entered); /* what it returned */
        CHECK_EQUAL(linked, 1);
        grove_release(g);
    }
}
EVERYWHERE(a_blocked_one_fails_from_then_on)

static void *block_in_turn(void *arg)
{
    grove_event_t event = GROVE_EVENT_INIT;
    grove_queue_t *queue = grove_queue_new(GROVE_FIFO, 0);
    grove_t *other = arg;
    grove_t *done[1];
    void *item;

    CHECK_ERROR(grove_event_wait(&event, GROVE_FOREVER), ECANCELED);
    CHECK_ERROR(grove_queue_get(queue, GROVE_FOREVER, &item), ECANCELED);
    CHECK_ERROR(grove_join(other, GROVE_FOREVER), ECANCELED);
    CHECK_ERROR(grove_join(other, 1e6), ECANCELED);
    CHECK_ERROR(grove_wait(&other, 1, 0, GROVE_FOREVER, done), ECANCELED);
    CHECK_EQUAL(grove_kill_clear(), ECANCELED);
    CHECK_EQUAL(grove_kill_clear(), 0);
    CHECK_ERROR(grove_queue_get(queue, 0.001, &item), ETIMEDOUT);
    grove_queue_free(queue);
    CHECK_ERROR(grove_join(other, GROVE_FOREVER), ECANCELED); /* the second kill */
    return NULL;
}

static void every_blocking_call_fails(void)
{
    grove_t *other = must(grove_spawn(sleep_and_count, NULL));
    grove_t *g = must(grove_spawn(block_in_turn, other));

    grove_yield();
    CHECK_EQUAL(grove_kill(g, 0), 0);
    CHECK_EQUAL(grove_sleep(0.01), 0);
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_kill(other, GROVE_FOREVER), 0);
    grove_release(other);
    grove_release(g);
}
EVERYWHERE(every_blocking_call_fails)

static _Atomic(int) running, stop_running;

static void *run_then_block(void *arg)
{
    raise_flag(&running);
    while (!atomic_load_explicit(&stop_running, memory_order_acquire))
        ;
    CHECK_ERROR(grove_sleep(1e6), ECANCELED);
    return arg;
}

static void *stop_then_kill(void *g)
{
    grove_kill(g, 0);
    raise_flag(&stop_running);
    return NULL;
}

static void thread_stops_and_kills(void *g)
{
    while (!atomic_load(&running))
        ;
    stop_then_kill(g);
}

/* It is running while it is killed: its next blocking call fails. */
static void a_running_one(void)
{
    atomic_store(&running, 0);
    atomic_store(&stop_running, 0);
    grove_t *g = must(grove_go(run_then_block, NULL));
    in_thread(thread_stops_and_kills, g);
    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    CHECK(grove_successful(g));
    grove_release(g);
}
EVERYWHERE(a_running_one)

static void *yield_often(void *arg)
{
    int i;

    for (i = 0; i < 1000 && grove_sleep(0) == 0; i++)
        ;
    CHECK(i < 1000);
    return arg;
}

static void a_ready_one(void)
{
    grove_t *g = must(grove_spawn(yield_often, NULL));

    grove_yield();
    grove_yield();
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    grove_release(g);
}
EVERYWHERE(a_ready_one)

static _Atomic(int) may_end;

static void *ignore_kills(void *arg)
{
    while (!atomic_load(&may_end)) {
        grove_sleep(1e6);
        grove_kill_clear();
    }
    return arg;
}

static void one_that_ignores_it(void)
{
    atomic_store(&may_end, 0);
    grove_t *g = must(grove_spawn(ignore_kills, &may_end));
    grove_yield();
    for (int i = 0; i < 3; i++) {
        CHECK_ERROR(grove_kill(g, 0.001), ETIMEDOUT);
        CHECK(!grove_ready(g));
    }
    CHECK_ERROR(grove_killall(&g, 1, 0.001), ETIMEDOUT);
    atomic_store(&may_end, 1);
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    CHECK(grove_value(g) == &may_end);
    grove_release(g);
}
EVERYWHERE(one_that_ignores_it)

static void *fails_with_edom(void *arg)
{
    CHECK_ERROR(grove_sleep(1e6), EDOM);
    CHECK_ERROR(grove_sleep(1e6), EDOM);
    CHECK_EQUAL(grove_kill_clear(), EDOM);
    return arg;
}

static void another_error(void)
{
    CHECK_ERROR(grove_kill_with(grove_current(), 0, 0), EINVAL);
    CHECK_ERROR(grove_kill_with(grove_current(), -1, 0), EINVAL);
    grove_t *g = must(grove_spawn(enter, NULL));
    entered = 0;
    CHECK_EQUAL(grove_kill_with(g, EDOM, GROVE_FOREVER), 0);
    CHECK_EQUAL(entered, 0);
    CHECK(!grove_successful(g));
    CHECK(grove_value(g) == NULL);
    CHECK_EQUAL(grove_error(g), EDOM);
    grove_release(g);
    g = must(grove_spawn_with(&(grove_attr_t){.deferred = true}, enter, NULL));
    CHECK_EQUAL(grove_kill_with(g, EDOM, GROVE_FOREVER), 0);
    errno = 0;
    CHECK(grove_await(g) == NULL);
    CHECK_EQUAL(errno, EDOM);
    g = must(grove_spawn(fails_with_edom, &entered));
    grove_yield();
    CHECK_EQUAL(grove_kill_with(g, EDOM, GROVE_FOREVER), 0);
    CHECK(grove_await(g) == &entered);
}
EVERYWHERE(another_error)

static void an_ended_one_is_left_alone(void)
{
    grove_t *g = must(grove_spawn(enter, &entered));

    grove_join(g, GROVE_FOREVER);
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_kill_with(g, EDOM, 0), 0);
    CHECK_EQUAL(grove_killall(&g, 1, GROVE_FOREVER), 0);
    in_thread(kill_forever, g);
    CHECK(grove_successful(g));
    CHECK(grove_await(g) == &entered);
}
EVERYWHERE(an_ended_one_is_left_alone)

static void *kill_self(void *arg)
{
    CHECK_EQUAL(grove_kill(grove_current(), GROVE_FOREVER), 0);
    CHECK_ERROR(grove_sleep(0), ECANCELED);
    CHECK_EQUAL(grove_kill_clear(), ECANCELED);
    CHECK_EQUAL(grove_sleep(0), 0);
    return arg;
}

static void oneself(void)
{
    CHECK(grove_await(must(grove_spawn(kill_self, &entered))) == &entered);
    CHECK_EQUAL(grove_kill_clear(), 0);
}
EVERYWHERE(oneself)

static int kill_order[8], kills;

static void *note_kill(void *arg)
{
    CHECK_ERROR(grove_sleep(1e6), ECANCELED);
    kill_order[kills++] = (int)(intptr_t)arg;
    return NULL;
}

static void note_unstarted(grove_t *g, void *arg)
{
    (void)g;
    kill_order[kills++] = (int)(intptr_t)arg;
}

/* gevent: those not yet started first, then the others in the order of the list. */
static void killall_in_order(void)
{
    grove_t *g[6];

    kills = 0;
    for (intptr_t i = 0; i < 3; i++)
        g[2 * i] = must(grove_spawn(note_kill, (void *)(2 * i)));
    grove_yield();
    for (intptr_t i = 0; i < 3; i++) {
        grove_attr_t attr = {.deferred = true};
        g[2 * i + 1] = must(grove_spawn_with(&attr, enter, NULL));
        grove_link(g[2 * i + 1], note_unstarted, (void *)(2 * i + 1));
    }
    CHECK_EQUAL(grove_killall(g, 6, GROVE_FOREVER), 0);
    static const int expected[] = {1, 3, 5, 0, 2, 4};
    if (CHECK_EQUAL(kills, 6))
        for (int i = 0; i < 6; i++)
            CHECK_EQUAL(kill_order[i], expected[i]);
    for (int i = 0; i < 6; i++)
        grove_release(g[i]);
    CHECK_EQUAL(grove_killall(NULL, 0, GROVE_FOREVER), 0);
    CHECK_ERROR(grove_killall(NULL, 1, GROVE_FOREVER), EINVAL);
}
EVERYWHERE(killall_in_order)

/* Killed while its wake is under way: the wake counts, the kill comes with the next
 * blocking call, and the item is not lost. */
static void *get_then_see_kill(void *arg)
{
    void *item = NULL;

    if (CHECK_EQUAL(grove_queue_get(arg, GROVE_FOREVER, &item), 0))
        CHECK(item == &entered);
    CHECK_ERROR(grove_sleep(0), ECANCELED);
    return item;
}

static void while_its_wake_is_under_way(void)
{
    grove_queue_t *queue = grove_queue_new(GROVE_CHANNEL, 0);
    grove_t *g = must(grove_spawn(get_then_see_kill, queue));

    grove_yield();
    CHECK_EQUAL(grove_queue_put(queue, &entered, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    CHECK(grove_await(g) == &entered);
    grove_queue_free(queue);
}
EVERYWHERE(while_its_wake_is_under_way)

/* The same of a sleep that is over: it must not become ready twice. */
static void spin(double seconds)
{
    struct timespec began, now;

    clock_gettime(CLOCK_MONOTONIC, &began);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((double)(now.tv_sec - began.tv_sec) +
               (double)(now.tv_nsec - began.tv_nsec) / 1e9 <
           seconds);
}

static void *sleep_briefly(void *arg)
{
    int *turns = arg;

    grove_sleep(0.0002);
    for (int i = 0; i < 10; i++) {
        grove_yield();
        ++*turns;
    }
    return arg;
}

static void *hog(void *arg)
{
    spin(0.0004);
    return arg;
}

/* The sleeps of this greenlet and of the others end while the hog has the thread, this
 * one's first: so it runs when the others are awake, but have not run yet. */
static void while_its_sleep_ends(void)
{
    for (size_t round = harness_rounds(100); round > 0; round--) {
        int turns[4] = {0};
        grove_t *g[4];
        for (int i = 0; i < 4; i++)
            g[i] = must(grove_spawn(sleep_briefly, &turns[i]));
        grove_t *hogging = must(grove_spawn(hog, NULL));
        CHECK_EQUAL(grove_sleep(0.0001), 0);
        CHECK_EQUAL(grove_kill(g[1], 0), 0); /* twice ready, it would cut the queue */
        for (int i = 0; i < 4; i++) {
            CHECK(grove_await(g[i]) == &turns[i]);
            CHECK_EQUAL(turns[i], 10);
        }
        grove_await(hogging);
    }
}
EVERYWHERE(while_its_sleep_ends)

/* Every item is either got or still in the queue, whoever is killed. */
static _Atomic(size_t) items_got;

static void *get_until_killed(void *arg)
{
    void *item;

    while (grove_queue_get(arg, GROVE_FOREVER, &item) == 0)
        atomic_fetch_add(&items_got, 1);
    CHECK_EQUAL(errno, ECANCELED);
    return NULL;
}

static void no_item_is_lost(void)
{
    uint64_t state = harness_seed();
    size_t put = 0, left = 0;
    grove_queue_t *queue = grove_queue_new(GROVE_FIFO, 0);
    void *item;

    atomic_store(&items_got, 0);
    for (size_t round = harness_rounds(1000); round > 0; round--) {
        grove_t *getter[3];
        for (int i = 0; i < 3; i++)
            getter[i] = must((i % 2 ? grove_go : grove_spawn)(get_until_killed, queue));
        for (uint32_t turns = random_next(&state) % 3; turns > 0; turns--)
            grove_yield();
        for (int i = 0; i < 3; i++) {
            put += grove_queue_put(queue, &put, GROVE_FOREVER) == 0;
            grove_kill(getter[i], 0);
        }
        for (int i = 0; i < 3; i++)
            grove_await(getter[i]);
    }
    while (grove_queue_get(queue, 0, &item) == 0)
        left++;
    CHECK_EQUAL(atomic_load(&items_got) + left, put);
    grove_queue_free(queue);
}
EVERYWHERE(no_item_is_lost)

static void *nap(void *arg)
{
    atomic_fetch_add((_Atomic(int) *)arg, 1);
    grove_sleep(random() % 3 ? 1e6 : 0);
    return NULL;
}

static void *kill_it(void *g)
{
    grove_kill(g, 0);
    grove_release(g);
    return NULL;
}

/* Killed by others at the very moment when it is stolen, started, asleep or ended. */
static void kills_race_with_starts(void)
{
    enum { COUNT = 20 };
    grove_t *g[COUNT];

    for (size_t round = harness_rounds(1000); round > 0; round--) {
        _Atomic(int) ran[COUNT] = {0};
        for (int i = 0; i < COUNT; i++) {
            g[i] = must((i % 4 ? grove_go : grove_spawn)(nap, &ran[i]));
            if (i % 3 == 0) {
                grove_kill(g[i], 0);
            } else {
                grove_release(must(grove_go(kill_it, grove_retain(g[i]))));
                grove_release(must(grove_go(kill_it, grove_retain(g[i]))));
            }
        }
        for (int i = 0; i < COUNT; i++) {
            CHECK_EQUAL(grove_join(g[i], GROVE_FOREVER), 0);
            CHECK_EQUAL(grove_value(g[i]) == GROVE_KILLED, atomic_load(&ran[i]) == 0);
            CHECK(atomic_load(&ran[i]) <= 1);
            grove_release(g[i]);
        }
    }
}
EVERYWHERE(kills_race_with_starts)

static void *await_it(void *g)
{
    void *value = grove_await(g);

    CHECK(value == NULL || value == GROVE_KILLED);
    return NULL;
}

/* The same while somebody awaits it. */
static void kills_race_with_awaits(void)
{
    for (size_t round = harness_rounds(3000); round > 0; round--) {
        _Atomic(int) ran = 0;
        grove_t *g = must(grove_go(nap, &ran));
        grove_t *killer = must(grove_go(kill_it, grove_retain(g)));
        grove_t *waiter = must(grove_spawn(await_it, grove_retain(g)));
        grove_yield();
        grove_await(killer);
        grove_await(waiter);
        CHECK(grove_ready(g));
        grove_release(g);
    }
}
EVERYWHERE(kills_race_with_awaits)

static void *kill_main(void *main)
{
    grove_kill(main, 0);
    return NULL;
}

/* The main greenlet is never ended, but its blocking calls fail. */
static void the_main_greenlet(void)
{
    grove_t *killer = must(grove_spawn(kill_main, grove_current()));

    CHECK_ERROR(grove_sleep(1e6), ECANCELED);
    CHECK_ERROR(grove_join(killer, GROVE_FOREVER), ECANCELED);
    CHECK_EQUAL(grove_kill_clear(), ECANCELED);
    CHECK_EQUAL(grove_join(killer, GROVE_FOREVER), 0);
    grove_release(killer);
}
EVERYWHERE(the_main_greenlet)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("held back or delayed", held_back_or_delayed),
        TEST("held back or delayed, from elsewhere",
            held_back_or_delayed_from_elsewhere),
        TEST("ready but not started", ready_but_not_started),
        TEST("ready here, killed elsewhere", ready_here_killed_elsewhere),
        TEST("a blocked one fails from then on", a_blocked_one_fails_from_then_on),
        TEST("every blocking call fails", every_blocking_call_fails),
        TEST("a running one", a_running_one),
        TEST("a ready one", a_ready_one),
        TEST("one that ignores it", one_that_ignores_it),
        TEST("another error", another_error),
        TEST("an ended one is left alone", an_ended_one_is_left_alone),
        TEST("oneself", oneself),
        TEST("killall in order", killall_in_order),
        TEST("while its wake is under way", while_its_wake_is_under_way),
        TEST("while its sleep ends", while_its_sleep_ends),
        TEST("no item is lost", no_item_is_lost),
        TEST("kills race with starts", kills_race_with_starts),
        TEST("kills race with awaits", kills_race_with_awaits),
        TEST("the main greenlet", the_main_greenlet),
    };
    return harness_main("kill", tests, sizeof tests / sizeof *tests);
}
