/* SPDX-License-Identifier: MIT */
#include <grove/event.h>
#include <grove/parallel.h>
#include <grove/scope.h>

#include "tests/sync/runtimes.h"

static atomic_int ended, started;
static grove_event_t never = GROVE_EVENT_INIT;

static void note(atomic_int *count)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static int noted(atomic_int *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void fresh(void)
{
    atomic_store_explicit(&ended, 0, memory_order_relaxed);
    atomic_store_explicit(&started, 0, memory_order_relaxed);
}

static void open_default(grove_scope_t *scope)
{
    CHECK_EQUAL(grove_scope_open(scope, GROVE_CANCEL_ON_FAILURE), 0);
}

static void *yield_some(void *arg)
{
    for (int i = 0; i < 3; i++)
        grove_yield();
    note(&ended);
    return arg;
}

static void close_waits_for_all(void)
{
    grove_scope_t scope;
    grove_t *child[8];

    fresh();
    open_default(&scope);
    for (int i = 0; i < 8; i++)
        child[i] = must(i % 2 ? grove_scope_go(&scope, yield_some, &scope)
                              : grove_scope_spawn(&scope, yield_some, &scope));
    CHECK_EQUAL(grove_scope_close(&scope), 0);
    CHECK_EQUAL(noted(&ended), 8);
    for (int i = 0; i < 8; i++) {
        CHECK(grove_ready(child[i]));
        CHECK(grove_await(child[i]) == &scope);
    }
    CHECK(grove_scope_spawn(&scope, yield_some, NULL) == NULL);
    CHECK_EQUAL(errno, ECANCELED);
    CHECK_ERROR(grove_scope_close(&scope), EPERM);
}
EVERYWHERE(close_waits_for_all)

/* What it was cancelled with, at its first and at its second blocking call. */
static void *wait_for_cancel(void *arg)
{
    note(&started);
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), (int)(intptr_t)arg);
    CHECK_ERROR(grove_sleep(1000), (int)(intptr_t)arg);
    note(&ended);
    return NULL;
}

static void until_started(int count)
{
    while (noted(&started) < count)
        grove_yield();
}

static void *fail(void *arg)
{
    grove_fail((int)(intptr_t)arg, "by %s", "design");
}

static void the_first_failure_cancels_the_rest(void)
{
    grove_scope_t scope;
    grove_t *failed = NULL;

    fresh();
    open_default(&scope);
    for (int i = 0; i < 3; i++)
        grove_release(must(grove_scope_go(&scope, wait_for_cancel, (void *)ECANCELED)));
    until_started(3);
    grove_t *failing = must(grove_scope_spawn(&scope, fail, (void *)EIO));
    /* The opener is told as well, wherever it waits. */
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), ECANCELED);
    CHECK_ERROR(grove_scope_close_with(&scope, &failed), EIO);
    CHECK(failed == failing);
    CHECK_STRING(grove_error_text(failed), "by design");
    CHECK_EQUAL(noted(&ended), 3);
    grove_release(failed);
    grove_release(failing);
    CHECK_EQUAL(grove_sleep(0), 0); /* nothing sticks */
}
EVERYWHERE(the_first_failure_cancels_the_rest)

static void collect_all_lets_the_others_go_on(void)
{
    grove_scope_t scope;

    fresh();
    CHECK_EQUAL(grove_scope_open(&scope, GROVE_COLLECT_ALL), 0);
    grove_release(must(grove_scope_spawn(&scope, fail, (void *)EIO)));
    grove_release(must(grove_scope_spawn(&scope, yield_some, NULL)));
    grove_release(must(grove_scope_go(&scope, yield_some, NULL)));
    CHECK_EQUAL(grove_sleep(0.001), 0);
    CHECK_ERROR(grove_scope_close(&scope), EIO);
    CHECK_EQUAL(noted(&ended), 2);
}
EVERYWHERE(collect_all_lets_the_others_go_on)

static void *must_not_run(void *arg)
{
    CHECK(!"it was cancelled before");
    return arg;
}

static void a_cancelled_scope_takes_no_more(void)
{
    grove_scope_t scope, inner;

    open_default(&scope);
    grove_t *child = must(grove_scope_spawn(&scope, must_not_run, NULL));
    CHECK_EQUAL(grove_scope_cancel(&scope), 0);
    CHECK(grove_scope_go(&scope, must_not_run, NULL) == NULL);
    CHECK_EQUAL(errno, ECANCELED);
    CHECK_ERROR(grove_scope_open(&inner, GROVE_COLLECT_ALL), ECANCELED);
    CHECK_ERROR(grove_sleep(0), ECANCELED);
    CHECK_ERROR(grove_scope_close(&scope), ECANCELED);
    CHECK(grove_value(child) == GROVE_KILLED);
    grove_release(child);
    CHECK_EQUAL(grove_sleep(0), 0);
}
EVERYWHERE(a_cancelled_scope_takes_no_more)

static void cancel_it(void *scope)
{
    CHECK_EQUAL(grove_scope_cancel(scope), 0);
}

static void *cancel_from_thread(void *scope)
{
    in_thread(cancel_it, scope);
    return NULL;
}

static void any_thread_cancels(void)
{
    grove_scope_t scope;

    fresh();
    open_default(&scope);
    grove_release(must(grove_scope_go(&scope, wait_for_cancel, (void *)ECANCELED)));
    until_started(1);
    grove_t *canceller = must(grove_spawn(cancel_from_thread, &scope));
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), ECANCELED);
    CHECK_ERROR(grove_scope_close(&scope), ECANCELED);
    CHECK_EQUAL(noted(&ended), 1);
    grove_await(canceller);
}
EVERYWHERE(any_thread_cancels)

static void the_deadline_ends_all(void)
{
    grove_scope_t scope;

    fresh();
    open_default(&scope);
    CHECK_ERROR(grove_scope_deadline(&scope, (double)NAN), EINVAL);
    CHECK_EQUAL(grove_scope_deadline(&scope, 0.002), 0);
    grove_release(must(grove_scope_go(&scope, wait_for_cancel, (void *)ETIMEDOUT)));
    grove_release(must(grove_scope_spawn(&scope, wait_for_cancel, (void *)ETIMEDOUT)));
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), ETIMEDOUT);
    CHECK_ERROR(grove_scope_close(&scope), ETIMEDOUT);
    CHECK_EQUAL(noted(&ended), noted(&started));
    CHECK_EQUAL(grove_sleep(0), 0);
}
EVERYWHERE(the_deadline_ends_all)

static void a_deadline_taken_away_never_comes(void)
{
    grove_scope_t scope;

    open_default(&scope);
    CHECK_EQUAL(grove_scope_deadline(&scope, 0.001), 0);
    CHECK_EQUAL(grove_scope_deadline(&scope, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_sleep(0.003), 0);
    CHECK_EQUAL(grove_scope_close(&scope), 0);
}
EVERYWHERE(a_deadline_taken_away_never_comes)

/* The opener's thread does nothing but compute until the child was told. */
static void a_deadline_needs_no_opener(void)
{
    grove_scope_t scope;

    fresh();
    open_default(&scope);
    CHECK_EQUAL(grove_scope_deadline(&scope, 0.002), 0);
    grove_release(must(grove_scope_go(&scope, wait_for_cancel, (void *)ETIMEDOUT)));
    while (noted(&ended) == 0)
        sched_yield();
    CHECK_ERROR(grove_scope_close(&scope), ETIMEDOUT);
}
PAIR(a_deadline_needs_no_opener)

/* Nor when it is one that was set with another scope open inside. */
static void an_outer_deadline_needs_no_opener(void)
{
    grove_scope_t outer, inner;

    fresh();
    open_default(&outer);
    open_default(&inner);
    CHECK_EQUAL(grove_scope_deadline(&outer, 0.002), 0);
    grove_release(must(grove_scope_go(&inner, wait_for_cancel, (void *)ETIMEDOUT)));
    while (noted(&ended) == 0)
        sched_yield();
    CHECK_ERROR(grove_scope_close(&inner), ETIMEDOUT);
    CHECK_ERROR(grove_scope_close(&outer), ETIMEDOUT);
}
PAIR(an_outer_deadline_needs_no_opener)

static void *outlast_deadline(void *arg)
{
    CHECK_EQUAL(grove_sleep(0.004), 0);
    note(&ended);
    return arg;
}

static void a_deadline_put_off_is_so_for_inner_scopes(void)
{
    grove_scope_t outer, inner;

    fresh();
    open_default(&outer);
    CHECK_EQUAL(grove_scope_deadline(&outer, 1000), 0);
    open_default(&inner);
    CHECK_EQUAL(grove_scope_deadline(&inner, 500), 0);
    CHECK_EQUAL(grove_scope_deadline(&outer, 0.002), 0);
    CHECK_EQUAL(grove_scope_deadline(&outer, 1000), 0);
    grove_release(must(grove_scope_go(&inner, outlast_deadline, NULL)));
    while (noted(&ended) == 0)
        sched_yield();
    CHECK_EQUAL(grove_scope_close(&inner), 0);
    CHECK_EQUAL(grove_scope_deadline(&outer, 0.002), 0);
    open_default(&inner);
    CHECK_EQUAL(grove_scope_deadline(&outer, GROVE_FOREVER), 0);
    grove_release(must(grove_scope_go(&inner, outlast_deadline, NULL)));
    while (noted(&ended) == 1)
        sched_yield();
    CHECK_EQUAL(grove_scope_close(&inner), 0);
    CHECK_EQUAL(grove_scope_close(&outer), 0);
}
PAIR(a_deadline_put_off_is_so_for_inner_scopes)

static atomic_int release_parent;

/* Opens a scope inside, and computes until the grandchild has been told. */
static void *compute_in_between(void *arg)
{
    grove_scope_t inner;

    open_default(&inner);
    grove_release(must(grove_scope_go(&inner, wait_for_cancel, arg)));
    while (!atomic_load_explicit(&release_parent, memory_order_acquire))
        sched_yield();
    CHECK_ERROR(grove_scope_close(&inner), (int)(intptr_t)arg);
    return NULL;
}

static void a_cancel_reaches_grandchildren_at_once(void)
{
    grove_scope_t scope;

    fresh();
    atomic_store_explicit(&release_parent, 0, memory_order_relaxed);
    open_default(&scope);
    grove_release(must(grove_scope_go(&scope, compute_in_between, (void *)ECANCELED)));
    while (noted(&started) == 0)
        sched_yield();
    CHECK_EQUAL(grove_scope_cancel(&scope), 0);
    while (noted(&ended) == 0)
        sched_yield();
    raise_flag(&release_parent);
    CHECK_ERROR(grove_scope_close(&scope), ECANCELED);
}

static void in_three_threads(void)
{
    run_with_workers(3, a_cancel_reaches_grandchildren_at_once);
    run_with_workers(7, a_cancel_reaches_grandchildren_at_once);
}
BARE(in_three_threads)

static void *open_inside(void *arg)
{
    grove_scope_t inner;

    open_default(&inner);
    CHECK_EQUAL(grove_scope_deadline(&inner, 1000), 0); /* the outer's is at most */
    grove_release(must(grove_scope_go(&inner, wait_for_cancel, arg)));
    CHECK_ERROR(grove_scope_close(&inner), (int)(intptr_t)arg);
    return NULL;
}

static void inner_scopes_have_the_outer_deadline(void)
{
    grove_scope_t scope, inner;

    fresh();
    open_default(&scope);
    CHECK_EQUAL(grove_scope_deadline(&scope, 0.005), 0);
    grove_release(must(grove_scope_go(&scope, open_inside, (void *)ETIMEDOUT)));
    open_default(&inner);
    CHECK_ERROR(grove_scope_close(&scope), EBUSY);
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), ETIMEDOUT);
    CHECK_ERROR(grove_scope_close(&inner), ETIMEDOUT);
    CHECK_ERROR(grove_sleep(0), ETIMEDOUT); /* the outer one is cancelled still */
    CHECK_ERROR(grove_scope_close(&scope), ETIMEDOUT);
    CHECK_EQUAL(grove_sleep(0), 0);
}
EVERYWHERE(inner_scopes_have_the_outer_deadline)

static void wait_for_timeout(size_t begin, size_t end, void *arg)
{
    (void)begin, (void)end, (void)arg;
    note(&started);
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), ETIMEDOUT);
    note(&ended);
}

static void loops_end_with_the_scope_around_them(void)
{
    grove_scope_t scope;

    fresh();
    open_default(&scope);
    CHECK_EQUAL(grove_scope_deadline(&scope, 0.005), 0);
    CHECK_ERROR(grove_parallel_for(0, 64, 1, wait_for_timeout, NULL), ETIMEDOUT);
    CHECK_EQUAL(noted(&ended), noted(&started));
    CHECK_ERROR(grove_sleep(0), ETIMEDOUT); /* the scope is cancelled still */
    CHECK_ERROR(grove_scope_close(&scope), ETIMEDOUT);
    CHECK_EQUAL(grove_sleep(0), 0);
}
EVERYWHERE(loops_end_with_the_scope_around_them)

static void *close_until_killed(void *arg)
{
    grove_scope_t scope;

    open_default(&scope);
    grove_release(must(grove_scope_go(&scope, wait_for_cancel, (void *)ECANCELED)));
    grove_release(must(grove_scope_go(&scope, wait_for_cancel, (void *)ECANCELED)));
    CHECK_ERROR(grove_scope_close(&scope), EOWNERDEAD);
    CHECK_EQUAL(noted(&ended), noted(&started));
    CHECK_ERROR(grove_sleep(0), EOWNERDEAD); /* its own kill stays */
    return arg;
}

static void a_killed_closer_waits_all_the_same(void)
{
    fresh();
    grove_t *closer = must(grove_go(close_until_killed, NULL));
    until_started(2);
    CHECK_EQUAL(grove_kill_with(closer, EOWNERDEAD, GROVE_FOREVER), 0);
    CHECK_EQUAL(noted(&ended), 2);
    grove_release(closer);
}
EVERYWHERE(a_killed_closer_waits_all_the_same)

static void a_timeout_ends_the_patience_of_close(void)
{
    grove_scope_t scope;
    grove_timeout_t timeout;

    fresh();
    open_default(&scope);
    grove_release(must(grove_scope_spawn(&scope, wait_for_cancel, (void *)ETIMEDOUT)));
    until_started(1);
    CHECK_EQUAL(grove_timeout_start(&timeout, 0.001), 0);
    CHECK_ERROR(grove_scope_close(&scope), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(noted(&ended), 1);
}
EVERYWHERE(a_timeout_ends_the_patience_of_close)

static void *outlast_the_timeout(void *timeout)
{
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), ECANCELED);
    CHECK_EQUAL(grove_kill_clear(), ECANCELED);
    while (!grove_timeout_fired(timeout))
        CHECK_EQUAL(grove_sleep(0.0005), 0);
    return NULL;
}

/* Once the children are cancelled, what else comes is kept for after the close. */
static void a_close_without_patience_consumes_no_timeout(void)
{
    grove_scope_t scope;
    grove_timeout_t timeout;

    CHECK_EQUAL(grove_timeout_start(&timeout, 0.002), 0);
    open_default(&scope);
    grove_release(must(grove_scope_spawn(&scope, outlast_the_timeout, &timeout)));
    grove_yield();
    grove_scope_cancel(&scope);
    CHECK_ERROR(grove_scope_close(&scope), ECANCELED);
    CHECK_ERROR(grove_sleep(0), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
}
EVERYWHERE(a_close_without_patience_consumes_no_timeout)

/* Leaves its scope open, in each way there is. */
static void *leave_open(void *arg)
{
    grove_scope_t scope;

    open_default(&scope);
    grove_release(must(grove_scope_go(&scope, wait_for_cancel, (void *)ECANCELED)));
    until_started(1);
    if (arg == (void *)1)
        grove_exit(NULL);
    if (arg == (void *)2)
        grove_fail(EIO, "left open");
    return NULL;
}

static void an_end_closes_what_is_open(void)
{
    for (intptr_t way = 0; way < 3; way++) {
        fresh();
        grove_t *greenlet = must(grove_go(leave_open, (void *)way));
        CHECK_EQUAL(grove_join(greenlet, GROVE_FOREVER), 0);
        CHECK_EQUAL(noted(&ended), 1);
        CHECK_EQUAL(grove_error(greenlet), way == 2 ? EIO : 0);
        grove_release(greenlet);
    }
}
EVERYWHERE(an_end_closes_what_is_open)

static void in_a_plain_thread(void *arg)
{
    grove_scope_t scope;

    (void)arg;
    open_default(&scope);
    grove_release(must(grove_scope_spawn(&scope, yield_some, NULL)));
    grove_release(must(grove_scope_go(&scope, yield_some, NULL)));
    CHECK_EQUAL(grove_scope_close(&scope), 0);
    CHECK_EQUAL(noted(&ended), 2);
    /* Closed by the thread's end; its own greenlet, as who joins it may block a worker.
     */
    open_default(&scope);
    grove_release(must(grove_scope_spawn(&scope, wait_for_cancel, (void *)ECANCELED)));
    until_started(1);
}

static void plain_threads_open_scopes(void)
{
    fresh();
    in_thread(in_a_plain_thread, NULL);
    CHECK_EQUAL(noted(&ended), 3);
}
EVERYWHERE(plain_threads_open_scopes)

static grove_scope_t *family;

static void *spawn_sibling(void *arg)
{
    intptr_t left = (intptr_t)arg;

    grove_yield();
    if (left > 0)
        grove_release(must(grove_scope_go(family, spawn_sibling, (void *)(left - 1))));
    note(&ended);
    return NULL;
}

static void children_spawn_into_a_scope_being_closed(void)
{
    grove_scope_t scope;

    fresh();
    family = &scope;
    open_default(&scope);
    grove_release(must(grove_scope_spawn(&scope, spawn_sibling, (void *)20)));
    CHECK_EQUAL(grove_scope_close(&scope), 0);
    CHECK_EQUAL(noted(&ended), 21);
}
EVERYWHERE(children_spawn_into_a_scope_being_closed)

static void close_here(grove_t *greenlet, void *scope)
{
    (void)greenlet;
    CHECK_ERROR(grove_scope_close(scope), EPERM);
    CHECK_ERROR(grove_scope_open(scope, GROVE_COLLECT_ALL), EPERM);
}

static void *close_anothers(void *scope)
{
    CHECK_ERROR(grove_scope_close(scope), EPERM);
    CHECK_ERROR(grove_scope_deadline(scope, 1), EPERM);
    return NULL;
}

static void only_the_opener_closes(void)
{
    grove_scope_t scope;

    open_default(&scope);
    grove_t *other = must(grove_spawn(close_anothers, &scope));
    CHECK_EQUAL(grove_link(other, close_here, &scope), 0);
    grove_await(other);
    CHECK_EQUAL(grove_scope_close(&scope), 0);
    CHECK_ERROR(grove_scope_open(&scope, (grove_scope_mode)7), EINVAL);
    CHECK_ERROR(grove_scope_open(NULL, GROVE_COLLECT_ALL), EINVAL);
    CHECK_ERROR(grove_scope_cancel(NULL), EINVAL);
}
EVERYWHERE(only_the_opener_closes)

/*
 * The stress: a tree of scopes in which everything happens at random. Each scope counts
 * those of its children that have begun and not ended, until their very last act; at
 * its close there is none.
 */
enum { DEPTH = 4 };

struct node {
    uint64_t state;
    int depth;
    atomic_int *living;
};

static void *live(void *arg);

static void end_node(void *arg)
{
    struct node *node = arg;

    atomic_fetch_sub_explicit(node->living, 1, memory_order_relaxed);
}

static grove_t *grow(grove_scope_t *scope, uint64_t *state, struct node *node)
{
    grove_t *child = random_next(state) % 2 ? grove_scope_go(scope, live, node)
                                            : grove_scope_spawn(scope, live, node);

    if (!child)
        CHECK_EQUAL(errno, ECANCELED);
    return child;
}

static void live_in_scope(uint64_t *state, int depth)
{
    enum { MOST = 4 };
    grove_scope_t scope;
    atomic_int living = 0;
    grove_t *child[MOST];
    struct node node[MOST];

    if (grove_scope_open(&scope, (grove_scope_mode)(random_next(state) % 2)) < 0)
        return;
    if (random_next(state) % 4 == 0)
        grove_scope_deadline(&scope, (random_next(state) % 100) * 1e-6);
    for (int i = 0; i < MOST; i++) {
        node[i] = (struct node){random_next(state), depth - 1, &living};
        child[i] = grow(&scope, state, &node[i]);
        if (random_next(state) % 8 == 0)
            grove_scope_cancel(&scope);
        else if (child[i] && random_next(state) % 8 == 0)
            grove_kill_with(child[i], ECANCELED, 0);
        else if (random_next(state) % 8 == 0)
            grove_sleep(1e-5);
    }
    (void)grove_scope_close(&scope);
    CHECK_EQUAL(noted(&living), 0);
    for (int i = 0; i < MOST; i++) {
        if (!child[i])
            continue;
        CHECK(grove_ready(child[i]));
        grove_release(child[i]);
    }
}

static void *live(void *arg)
{
    struct node *node = arg;
    uint64_t state = node->state;

    atomic_fetch_add_explicit(node->living, 1, memory_order_relaxed);
    note(&started);
    CHECK_EQUAL(grove_defer(end_node, node), 0);
    if (node->depth > 0 && random_next(&state) % 2)
        live_in_scope(&state, node->depth);
    else if (random_next(&state) % 2)
        grove_sleep((random_next(&state) % 100) * 1e-6);
    if (random_next(&state) % 8 == 0)
        grove_fail(EIO, "random");
    return NULL;
}

static void a_random_tree_leaves_nothing_behind(void)
{
    uint64_t state = harness_seed();

    fresh();
    for (size_t round = harness_rounds(1000); round > 0; round--) {
        live_in_scope(&state, DEPTH);
        CHECK_EQUAL(grove_sleep(0), 0);
    }
    CHECK(noted(&started) > 0);
}
EVERYWHERE(a_random_tree_leaves_nothing_behind)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("close waits for all", close_waits_for_all),
        TEST("the first failure cancels the rest", the_first_failure_cancels_the_rest),
        TEST("collect all lets the others go on", collect_all_lets_the_others_go_on),
        TEST("a cancelled scope takes no more", a_cancelled_scope_takes_no_more),
        TEST("any thread cancels", any_thread_cancels),
        TEST("the deadline ends all", the_deadline_ends_all),
        TEST("a deadline taken away never comes", a_deadline_taken_away_never_comes),
        TEST("a deadline needs no opener", a_deadline_needs_no_opener),
        TEST("an outer deadline needs no opener", an_outer_deadline_needs_no_opener),
        TEST("a deadline put off is so for inner scopes",
            a_deadline_put_off_is_so_for_inner_scopes),
        TEST("a cancel reaches grandchildren at once", in_three_threads),
        TEST("inner scopes have the outer deadline",
            inner_scopes_have_the_outer_deadline),
        TEST("loops end with the scope around them",
            loops_end_with_the_scope_around_them),
        TEST("a killed closer waits all the same", a_killed_closer_waits_all_the_same),
        TEST("a timeout ends the patience of close",
            a_timeout_ends_the_patience_of_close),
        TEST("a close without patience consumes no timeout",
            a_close_without_patience_consumes_no_timeout),
        TEST("an end closes what is open", an_end_closes_what_is_open),
        TEST("plain threads open scopes", plain_threads_open_scopes),
        TEST("children spawn into a scope being closed",
            children_spawn_into_a_scope_being_closed),
        TEST("only the opener closes", only_the_opener_closes),
        TEST(
            "a random tree leaves nothing behind", a_random_tree_leaves_nothing_behind),
    };
    return harness_main("scope", tests, sizeof tests / sizeof *tests);
}
