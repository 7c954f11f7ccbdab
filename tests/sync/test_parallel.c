/* SPDX-License-Identifier: MIT */
#include <grove/event.h>
#include <grove/parallel.h>

#include <stdio.h>

#include "tests/sync/runtimes.h"

enum { N = 10000 };

static _Atomic(unsigned char) seen[N];
static _Atomic(int) inside; /* bodies that run now */
static _Atomic(int) calls, too_long, misplaced;
static size_t grain_asked, range_begin;

static void fresh(size_t begin, size_t grain)
{
    for (size_t i = 0; i < N; i++)
        atomic_store(&seen[i], 0);
    atomic_store(&calls, 0);
    atomic_store(&too_long, 0);
    atomic_store(&misplaced, 0);
    grain_asked = grain;
    range_begin = begin;
}

static void mark(size_t begin, size_t end, void *arg)
{
    CHECK(arg == seen);
    atomic_fetch_add(&calls, 1);
    if (grain_asked) {
        atomic_fetch_add(&too_long, end - begin > grain_asked);
        atomic_fetch_add(&misplaced, (begin - range_begin) % grain_asked != 0);
    }
    CHECK(begin < end);
    for (size_t i = begin; i < end; i++)
        atomic_fetch_add(&seen[i], 1);
}

static void check_range(size_t begin, size_t end, size_t grain)
{
    bool right = true;

    fresh(begin, grain);
    CHECK_EQUAL(grove_parallel_for(begin, end, grain, mark, seen), 0);
    for (size_t i = 0; i < N; i++)
        right &= atomic_load(&seen[i]) == (i >= begin && i < end);
    CHECK(right);
    CHECK_EQUAL(atomic_load(&too_long), 0);
    CHECK_EQUAL(atomic_load(&misplaced), 0);
}

static void each_number_once(void)
{
    static const size_t grains[] = {0, 1, 2, 7, 100, N - 1, N, SIZE_MAX};

    for (size_t i = 0; i < sizeof grains / sizeof *grains; i++) {
        check_range(0, N, grains[i]);
        check_range(17, 18, grains[i]);
        check_range(3, N - 5, grains[i]);
    }
}
EVERYWHERE(each_number_once)

static void an_empty_range_is_nothing(void)
{
    check_range(0, 0, 0);
    check_range(9, 9, 1);
    check_range(9, 3, 0);
    CHECK_EQUAL(atomic_load(&calls), 0);
}
EVERYWHERE(an_empty_range_is_nothing)

static void sum_ends(size_t begin, size_t end, void *arg)
{
    atomic_fetch_add((_Atomic(size_t) *)arg, end - begin);
}

/* No sum of indices may overflow. */
static void the_longest_range(void)
{
    _Atomic(size_t) sum = 0;

    CHECK_EQUAL(grove_parallel_for(0, SIZE_MAX, SIZE_MAX / 1000, sum_ends, &sum), 0);
    CHECK(atomic_load(&sum) == SIZE_MAX);
    atomic_store(&sum, 0);
    CHECK_EQUAL(grove_parallel_for(1, SIZE_MAX, 0, sum_ends, &sum), 0);
    CHECK(atomic_load(&sum) == SIZE_MAX - 1);
}
EVERYWHERE(the_longest_range)

/* -- Reduce ------------------------------------------------------------------------ */

/* Strings of consecutive numbers: concatenation, which is not commutative. */
struct stretch {
    size_t begin, end; /* begin == end: empty, the neutral value */
    bool broken;
    char padding[]; /* to any size */
};

static void stretch_join(void *into, const void *from, void *arg)
{
    struct stretch *left = into;
    const struct stretch *right = from;

    CHECK(arg == seen);
    left->broken |= right->broken;
    if (right->begin == right->end)
        return;
    if (left->begin == left->end) {
        left->begin = right->begin;
    } else if (left->end != right->begin) {
        left->broken = true;
    }
    left->end = right->end;
}

static void stretch_fold(size_t begin, size_t end, void *accumulator, void *arg)
{
    struct stretch piece = {begin, end, false};

    stretch_join(accumulator, &piece, arg);
}

static void check_reduce(size_t size)
{
    struct stretch *whole = calloc(1, size);

    for (size_t grain = 0; grain < 200; grain += 99) {
        *whole = (struct stretch){0, 0, false};
        CHECK_EQUAL(grove_parallel_reduce(
                        1, N, grain, size, whole, stretch_fold, stretch_join, seen),
            0);
        CHECK(!whole->broken);
        CHECK_EQUAL(whole->begin, 1);
        CHECK_EQUAL(whole->end, N);
    }
    free(whole);
}

static void a_reduction_keeps_the_order(void)
{
    check_reduce(sizeof(struct stretch));
    check_reduce(64);
    check_reduce(65);
    check_reduce(10000);
}
EVERYWHERE(a_reduction_keeps_the_order)

static void add_up(size_t begin, size_t end, void *accumulator, void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    for (size_t i = begin; i < end; i++)
        sum += i;
    *(uint64_t *)accumulator += sum;
}

static void add(void *into, const void *from, void *arg)
{
    (void)arg;
    *(uint64_t *)into += *(const uint64_t *)from;
}

static void a_sum_is_right(void)
{
    uint64_t sum = 0;

    CHECK_EQUAL(
        grove_parallel_reduce(0, 1000000, 0, sizeof sum, &sum, add_up, add, NULL), 0);
    CHECK_EQUAL(sum, (uint64_t)999999 * 1000000 / 2);
    sum = 0;
    CHECK_EQUAL(grove_parallel_reduce(5, 5, 0, sizeof sum, &sum, add_up, add, NULL), 0);
    CHECK_EQUAL(sum, 0);
}
EVERYWHERE(a_sum_is_right)

static void bad_arguments(void)
{
    uint64_t sum = 7;

    CHECK_ERROR(grove_parallel_for(0, 1, 0, NULL, NULL), EINVAL);
    CHECK_ERROR(
        grove_parallel_reduce(0, 1, 0, sizeof sum, &sum, NULL, add, NULL), EINVAL);
    CHECK_ERROR(
        grove_parallel_reduce(0, 1, 0, sizeof sum, &sum, add_up, NULL, NULL), EINVAL);
    CHECK_ERROR(
        grove_parallel_reduce(0, 1, 0, sizeof sum, NULL, add_up, add, NULL), EINVAL);
    CHECK_ERROR(grove_parallel_reduce(0, 1, 0, 0, &sum, add_up, add, NULL), EINVAL);
    CHECK_EQUAL(sum, 7);
}
EVERYWHERE(bad_arguments)

/* -- Where it runs ----------------------------------------------------------------- */

static _Atomic(int) met;

/* Returns only when two of them run at the same time. */
static void meet(size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    atomic_fetch_add(&met, 1);
    while (atomic_load(&met) < 2) /* no yield: only another worker can end this */
        ;
    (void)arg;
}

static void pieces_run_at_the_same_time(void)
{
    atomic_store(&met, 0);
    CHECK_EQUAL(grove_parallel_for(0, 2, 1, meet, NULL), 0);
}
PAIR(pieces_run_at_the_same_time)

static void loop_inside(size_t begin, size_t end, void *arg)
{
    for (size_t i = begin; i < end; i++)
        CHECK_EQUAL(grove_parallel_for(i * 100, (i + 1) * 100, 0, mark, arg), 0);
}

static void loops_nest(void)
{
    bool right = true;

    fresh(0, 0);
    CHECK_EQUAL(grove_parallel_for(0, N / 100, 1, loop_inside, seen), 0);
    for (size_t i = 0; i < N; i++)
        right &= atomic_load(&seen[i]) == 1;
    CHECK(right);
}
EVERYWHERE(loops_nest)

static void *loop_in_greenlet(void *arg)
{
    uint64_t *sum = arg;

    CHECK_EQUAL(
        grove_parallel_reduce(0, 100000, 0, sizeof *sum, sum, add_up, add, NULL), 0);
    return NULL;
}

static void loop_in_thread(void *arg)
{
    loop_in_greenlet(arg);
}

static void guest_loops(void *arg)
{
    grove_await(must(grove_spawn(loop_in_greenlet, arg)));
}

static void greenlets_and_threads_may_loop(void)
{
    grove_attr_t lane = {.affinity = GROVE_CPU};
    uint64_t sum[5] = {0};

    grove_await(must(grove_spawn(loop_in_greenlet, &sum[0])));
    grove_await(must(grove_go(loop_in_greenlet, &sum[1])));
    grove_await(must(grove_spawn_with(&lane, loop_in_greenlet, &sum[2])));
    in_thread(loop_in_thread, &sum[3]);
    in_thread(guest_loops, &sum[4]);
    for (size_t i = 0; i < 5; i++)
        CHECK_EQUAL(sum[i], (uint64_t)99999 * 100000 / 2);
}
EVERYWHERE(greenlets_and_threads_may_loop)

static int link_error;

static void loop_in_link(grove_t *g, void *arg)
{
    (void)g;
    link_error = grove_parallel_for(0, 1, 0, mark, arg) < 0 ? errno : 0;
}

static void *nothing(void *arg)
{
    return arg;
}

static void not_in_hub_callbacks(void)
{
    grove_t *g = must(grove_spawn(nothing, NULL));

    link_error = 0;
    CHECK_EQUAL(grove_link(g, loop_in_link, seen), 0);
    grove_await(g);
    CHECK_EQUAL(link_error, EDEADLK);
}
EVERYWHERE(not_in_hub_callbacks)

/* -- Ends before its time ---------------------------------------------------------- */

static grove_event_t never = GROVE_EVENT_INIT;

static void enter(void)
{
    atomic_fetch_add(&inside, 1);
}

static void leave(void)
{
    atomic_fetch_sub(&inside, 1);
}

static void fail_in_the_middle(size_t begin, size_t end, void *arg)
{
    enter();
    atomic_fetch_add(&calls, 1);
    (void)end;
    if (begin == *(size_t *)arg) {
        leave();
        grove_fail(EPROTO, "piece %zu", begin);
    }
    grove_yield();
    leave();
}

static void a_failing_body_ends_the_loop(void)
{
    static const size_t places[] = {0, 1, 50, 98, 99};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t place = places[i];
        CHECK_ERROR(grove_parallel_for(0, 100, 1, fail_in_the_middle, &place), EPROTO);
        CHECK_EQUAL(atomic_load(&inside), 0);
    }
    atomic_store(&calls, 0);
    size_t first = 0;
    CHECK_ERROR(grove_parallel_for(0, 1000000, 1, fail_in_the_middle, &first), EPROTO);
    CHECK(atomic_load(&calls) < 1000000); /* the rest was not begun */
}
EVERYWHERE(a_failing_body_ends_the_loop)

static void exit_in_the_middle(size_t begin, size_t end, void *arg)
{
    (void)end;
    (void)arg;
    if (begin == 50)
        grove_exit(NULL);
}

static void a_body_that_exits_ends_the_loop(void)
{
    CHECK_ERROR(grove_parallel_for(0, 100, 1, exit_in_the_middle, NULL), ECANCELED);
}
EVERYWHERE(a_body_that_exits_ends_the_loop)

static void fold_or_fail(size_t begin, size_t end, void *accumulator, void *arg)
{
    if (begin == 700)
        grove_fail(EPROTO, "piece %zu", begin);
    add_up(begin, end, accumulator, arg);
}

static void fold_large_or_fail(size_t begin, size_t end, void *accumulator, void *arg)
{
    (void)arg;
    memset(accumulator, (int)end, 1000);
    if (begin == 700)
        grove_fail(EPROTO, "piece %zu", begin);
}

static void combine_large(void *into, const void *from, void *arg)
{
    (void)arg;
    memcpy(into, from, 1000);
}

static void a_failed_reduction_has_no_result(void)
{
    uint64_t sum = 3;
    unsigned char large[1000] = {4};

    CHECK_ERROR(
        grove_parallel_reduce(0, 1000, 1, sizeof sum, &sum, fold_or_fail, add, NULL),
        EPROTO);
    CHECK_EQUAL(sum, 3);
    /* What it allocated is freed: the leak checker sees. */
    CHECK_ERROR(grove_parallel_reduce(0, 1000, 1, sizeof large, large,
                    fold_large_or_fail, combine_large, NULL),
        EPROTO);
    CHECK_EQUAL(large[0], 4);
}
EVERYWHERE(a_failed_reduction_has_no_result)

static _Atomic(int) waiting;

static void block(size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    enter();
    atomic_fetch_add(&waiting, 1);
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), *(int *)arg);
    leave();
}

static void *block_in_loop(void *arg)
{
    CHECK_ERROR(grove_parallel_for(0, 100, 1, block, arg), *(int *)arg);
    CHECK_EQUAL(atomic_load(&inside), 0);
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), *(int *)arg);
    return NULL;
}

static void a_kill_of_the_caller_ends_the_bodies(void)
{
    int error = EOWNERDEAD;

    atomic_store(&waiting, 0);
    grove_t *g = must(grove_go(block_in_loop, &error));
    until(&waiting);
    CHECK_EQUAL(grove_kill_with(g, error, GROVE_FOREVER), 0);
    CHECK_EQUAL(atomic_load(&inside), 0);
    CHECK(never.waiters_.first_ == NULL);
    grove_release(g);
}
EVERYWHERE(a_kill_of_the_caller_ends_the_bodies)

static void block_and_go_on(size_t begin, size_t end, void *arg)
{
    block(begin, end, arg);
    CHECK_EQUAL(grove_kill_clear(), *(int *)arg);
}

static void *block_in_stubborn_loop(void *arg)
{
    CHECK_ERROR(grove_parallel_for(0, 100, 1, block_and_go_on, arg), *(int *)arg);
    CHECK_EQUAL(atomic_load(&inside), 0);
    return NULL;
}

/* A body that goes on in spite of its kill keeps it from no other. */
static void bodies_that_clear_their_kill_spare_no_other(void)
{
    int error = EOWNERDEAD;

    atomic_store(&waiting, 0);
    grove_t *g = must(grove_go(block_in_stubborn_loop, &error));
    while (atomic_load(&waiting) < grove_worker_count())
        grove_yield();
    CHECK_EQUAL(grove_kill_with(g, error, GROVE_FOREVER), 0);
    CHECK(never.waiters_.first_ == NULL);
    grove_release(g);
}
EVERYWHERE(bodies_that_clear_their_kill_spare_no_other)

static void a_timeout_of_the_caller_ends_the_bodies(void)
{
    int error = ETIMEDOUT;
    grove_timeout_t timeout;

    CHECK_EQUAL(grove_timeout_start(&timeout, 0.002), 0);
    CHECK_ERROR(grove_parallel_for(0, 100, 1, block, &error), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(atomic_load(&inside), 0);
    /* It has been reported, and ends nothing else. */
    CHECK_EQUAL(grove_sleep(0), 0);
}
EVERYWHERE(a_timeout_of_the_caller_ends_the_bodies)

static void *killed_at_the_start(void *arg)
{
    (void)arg;
    CHECK_ERROR(grove_event_wait(&never, GROVE_FOREVER), ECANCELED);
    atomic_store(&calls, 0);
    CHECK_ERROR(grove_parallel_for(0, 100, 1, mark, seen), ECANCELED);
    CHECK_EQUAL(atomic_load(&calls), 0);
    return NULL;
}

static void a_killed_greenlet_begins_none(void)
{
    grove_t *g = must(grove_spawn(killed_at_the_start, NULL));

    grove_yield();
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    grove_release(g);
}
EVERYWHERE(a_killed_greenlet_begins_none)

/* -- Stress ------------------------------------------------------------------------ */

/* All that a loop uses lies on this stack: a body that outlives the call is seen by
 * the counters, or by the sanitizer. */
struct trial {
    _Atomic(int) inside;
    _Atomic(size_t) done, nested;
    size_t length, fail_at;
    uint64_t dice;
};

static void try_piece(size_t begin, size_t end, void *arg)
{
    struct trial *trial = arg;
    uint64_t dice = trial->dice + begin;

    atomic_fetch_add(&trial->inside, 1);
    switch (random_next(&dice) % 8) {
    case 0:
        grove_yield();
        break;
    case 1:
        grove_sleep(0.00005);
        break;
    case 2:
        grove_parallel_for(0, 5, 1, sum_ends, &trial->nested);
        break;
    }
    atomic_fetch_add(&trial->done, end - begin);
    atomic_fetch_sub(&trial->inside, 1);
    if (trial->fail_at >= begin && trial->fail_at < end)
        grove_fail(EPROTO, "as asked");
}

static void *run_trial(void *arg)
{
    uint64_t dice = *(uint64_t *)arg;
    struct trial trial = {.length = random_next(&dice) % 300, .fail_at = SIZE_MAX};
    grove_timeout_t timeout;
    bool timed = random_next(&dice) % 3 == 0;

    if (random_next(&dice) % 4 == 0)
        trial.fail_at = random_next(&dice) % 300;
    trial.dice = dice;
    if (timed)
        grove_timeout_start(&timeout, (double)(random_next(&dice) % 300) / 1e6);
    int result =
        grove_parallel_for(0, trial.length, random_next(&dice) % 20, try_piece, &trial);
    int error = errno;
    if (timed)
        grove_timeout_stop(&timeout);
    CHECK_EQUAL(atomic_load(&trial.inside), 0);
    if (result == 0)
        CHECK_EQUAL(atomic_load(&trial.done), trial.length);
    else
        CHECK(error == EPROTO || error == ETIMEDOUT || error == ECANCELED);
    return NULL;
}

static void kills_timeouts_and_failures_race(void)
{
    enum { AT_ONCE = 4 };
    uint64_t state = harness_seed();

    for (size_t i = harness_rounds(300); i > 0; i--) {
        uint64_t seed[AT_ONCE];
        grove_t *g[AT_ONCE];
        for (int k = 0; k < AT_ONCE; k++) {
            seed[k] = random_next(&state);
            g[k] = must(grove_go(run_trial, &seed[k]));
        }
        for (int k = 0; k < AT_ONCE; k++)
            if (random_next(&state) % 2) {
                grove_sleep((double)(random_next(&state) % 100) / 1e6);
                grove_kill(g[k], 0);
            }
        for (int k = 0; k < AT_ONCE; k++)
            grove_await(g[k]);
    }
}
EVERYWHERE(kills_timeouts_and_failures_race)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("each number once", each_number_once),
        TEST("an empty range is nothing", an_empty_range_is_nothing),
        TEST("the longest range", the_longest_range),
        TEST("a reduction keeps the order", a_reduction_keeps_the_order),
        TEST("a sum is right", a_sum_is_right),
        TEST("bad arguments", bad_arguments),
        TEST("pieces run at the same time", pieces_run_at_the_same_time),
        TEST("loops nest", loops_nest),
        TEST("greenlets and threads may loop", greenlets_and_threads_may_loop),
        TEST("not in hub callbacks", not_in_hub_callbacks),
        TEST("a failing body ends the loop", a_failing_body_ends_the_loop),
        TEST("a body that exits ends the loop", a_body_that_exits_ends_the_loop),
        TEST("a failed reduction has no result", a_failed_reduction_has_no_result),
        TEST("a kill of the caller ends the bodies",
            a_kill_of_the_caller_ends_the_bodies),
        TEST("bodies that clear their kill spare no other",
            bodies_that_clear_their_kill_spare_no_other),
        TEST("a timeout of the caller ends the bodies",
            a_timeout_of_the_caller_ends_the_bodies),
        TEST("a killed greenlet begins none", a_killed_greenlet_begins_none),
        TEST("kills, timeouts and failures race", kills_timeouts_and_failures_race),
    };
    return harness_main("parallel", tests, sizeof tests / sizeof *tests);
}
