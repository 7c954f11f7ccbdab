/* SPDX-License-Identifier: MIT */
/* Many greenlets, on all workers: each runs once, and never leaves its thread. */
#include <grove/event.h>
#include <grove/queue.h>

#include "tests/sched/runtimes.h"

static void *count(void *arg)
{
    atomic_fetch_add_explicit((_Atomic(int) *)arg, 1, memory_order_relaxed);
    return arg;
}

static void each_runs_exactly_once(void)
{
    size_t n = harness_rounds(100000);
    _Atomic(int) *ran = calloc(n, sizeof *ran);
    grove_t **g = calloc(n, sizeof *g);

    for (int local = 0; local < 2; local++) {
        for (size_t i = 0; i < n; i++)
            g[i] = must((local ? grove_spawn : grove_go)(count, &ran[i]));
        for (size_t i = 0; i < n; i++)
            grove_await(g[i]);
        for (size_t i = 0; i < n; i++)
            if (atomic_load(&ran[i]) != local + 1)
                CHECK_EQUAL(atomic_load(&ran[i]), local + 1);
    }
    free(g);
    free(ran);
}
EVERYWHERE(each_runs_exactly_once)

static void *wait_for_event(void *arg)
{
    return grove_event_wait(arg, GROVE_FOREVER) == 0 ? arg : NULL;
}

/* All alive at once, each with a stack of its own. */
static void many_blocked_at_once(void)
{
    size_t n = harness_rounds(30000);
    grove_event_t event = GROVE_EVENT_INIT;
    grove_t **g = calloc(n, sizeof *g);

    for (size_t i = 0; i < n; i++)
        g[i] = must((i % 2 ? grove_go : grove_spawn)(wait_for_event, &event));
    grove_sleep(0.001);
    grove_event_set(&event);
    for (size_t i = 0; i < n; i++)
        if (grove_await(g[i]) != &event)
            CHECK(false);
    free(g);
}
EVERYWHERE(many_blocked_at_once)

static _Atomic(int) present;

static void *meet(void *arg)
{
    int number = (int)(intptr_t)arg;

    atomic_fetch_add(&present, 1);
    while (atomic_load(&present) < number)
        ; /* no switch: they meet only if each has a worker */
    return (void *)(intptr_t)(grove_worker_self() + 1);
}

/* Go's TestGoroutineParallelism. */
static void as_many_run_as_there_are_workers(void)
{
    int workers = grove_worker_count();
    grove_t *g[8];

    for (int tries = 0; tries < 10; tries++) {
        uint32_t seen = 0;
        atomic_store(&present, 0);
        for (int i = 0; i < workers; i++)
            g[i] = must(grove_go(meet, (void *)(intptr_t)workers));
        for (int i = 0; i < workers; i++)
            seen |= 1u << ((intptr_t)grove_await(g[i]) - 1);
        CHECK_EQUAL(seen, (1u << workers) - 1);
    }
}

static void parallel_test(void)
{
    run_with_workers(1, as_many_run_as_there_are_workers);
    run_with_workers(2, as_many_run_as_there_are_workers);
    run_with_workers(4, as_many_run_as_there_are_workers);
}

static void *meet_and_return(void *arg)
{
    meet(arg);
    return NULL;
}

/* The other worker must take work without that this one ever blocks. */
static void work_spreads_while_its_maker_computes(void)
{
    atomic_store(&present, 0);
    grove_t *g = must(grove_go(meet_and_return, (void *)1));
    while (!atomic_load(&present))
        ;
    grove_await(g);
}
PAIR(work_spreads_while_its_maker_computes)

static __thread int thread_mark;

static grove_queue_t *queue;
static grove_event_t open_event;

static void check_thread(pthread_t thread, int *mark)
{
    if (!pthread_equal(thread, pthread_self()) || mark != &thread_mark)
        CHECK(!"a greenlet has moved");
}

static void *nothing(void *arg)
{
    return arg;
}

/* Blocks in every way and looks each time where it is. */
static void *stay(void *arg)
{
    uint64_t state = (uint64_t)(intptr_t)arg;
    pthread_t thread = pthread_self();
    int *mark = &thread_mark;
    void *item;

    for (int i = 0; i < 20; i++) {
        switch (random_next(&state) % 8) {
        case 0:
            grove_yield();
            break;
        case 1:
            grove_sleep(1e-6 * (random_next(&state) % 200));
            break;
        case 2:
            grove_queue_put(queue, queue, 0.0005);
            break;
        case 3:
            grove_queue_get(queue, 0.0005, &item);
            break;
        case 4:
            grove_await(must(grove_go(nothing, NULL)));
            break;
        case 5:
            grove_await(must(grove_spawn(nothing, NULL)));
            break;
        case 6:
            grove_event_wait(&open_event, 0.0001);
            break;
        default: {
            grove_t *other = must(grove_go(nothing, NULL));
            check_thread(thread, mark);
            grove_join(other, GROVE_FOREVER);
            grove_release(other);
        }
        }
        check_thread(thread, mark);
    }
    return NULL;
}

static void a_started_one_never_leaves_its_thread(void)
{
    size_t n = harness_rounds(5000);
    grove_t **g = calloc(n, sizeof *g);

    queue = grove_queue_new(GROVE_FIFO, 16);
    open_event = (grove_event_t)GROVE_EVENT_INIT;
    for (size_t i = 0; i < n; i++)
        g[i] = must((i % 4 ? grove_go : grove_spawn)(stay, (void *)i));
    for (size_t i = 0; i < n; i++)
        grove_await(g[i]);
    grove_queue_free(queue);
    free(g);
}

static void stay_test(void)
{
    run_with_workers(2, a_started_one_never_leaves_its_thread);
    run_with_workers(4, a_started_one_never_leaves_its_thread);
}

static void *own_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return NULL;
}

static void *spawn_here(void *arg)
{
    for (int i = 0; i < 20; i++) {
        pthread_t child;
        grove_await(must(grove_spawn(own_thread, &child)));
        CHECK(pthread_equal(child, pthread_self()));
        grove_sleep(0);
    }
    return arg;
}

static void a_spawn_stays_with_its_maker(void)
{
    grove_t *g[20];

    for (int i = 0; i < 20; i++)
        g[i] = must(grove_go(spawn_here, NULL));
    for (int i = 0; i < 20; i++)
        grove_await(g[i]);
}
EVERYWHERE(a_spawn_stays_with_its_maker)

static void *tree(void *arg)
{
    intptr_t depth = (intptr_t)arg;

    if (depth == 0)
        return (void *)1;
    grove_t *left = must(grove_go(tree, (void *)(depth - 1)));
    grove_t *right = must(grove_go(tree, (void *)(depth - 1)));
    intptr_t sum = (intptr_t)grove_await(right);
    return (void *)(sum + (intptr_t)grove_await(left));
}

static void trees_of_tasks(void)
{
    for (size_t round = harness_rounds(10); round > 0; round--)
        CHECK_EQUAL((intptr_t)grove_await(must(grove_go(tree, (void *)12))), 4096);
}
EVERYWHERE(trees_of_tasks)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("each runs exactly once", each_runs_exactly_once),
        TEST("many blocked at once", many_blocked_at_once),
        TEST("as many run as there are workers", parallel),
        TEST("work spreads while its maker computes",
            work_spreads_while_its_maker_computes),
        TEST("a started one never leaves its thread", stay),
        TEST("a spawn stays with its maker", a_spawn_stays_with_its_maker),
        TEST("trees of tasks", trees_of_tasks),
    };
    return harness_main("spawn_many", tests, sizeof tests / sizeof *tests);
}
