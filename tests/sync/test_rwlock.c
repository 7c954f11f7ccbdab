/* SPDX-License-Identifier: MIT */
#include <grove/rwlock.h>

#include "tests/sync/runtimes.h"

enum { GREENLETS = 8, THREADS = 2 };

static grove_rwlock_t lock;

static void fresh(void)
{
    lock = (grove_rwlock_t)GROVE_RWLOCK_INIT;
}

static void check_free(void)
{
    CHECK_EQUAL(grove_rwlock_acquire_write(&lock, 0), 0);
    CHECK_EQUAL(grove_rwlock_release_write(&lock), 0);
    CHECK(lock.waiters_.first_ == NULL && lock.waiters_.last_ == NULL);
}

static void readers_share(void)
{
    fresh();
    CHECK_EQUAL(grove_rwlock_acquire_read(&lock, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_rwlock_acquire_read(&lock, 0), 0);
    CHECK_ERROR(grove_rwlock_acquire_write(&lock, 0), ETIMEDOUT);
    CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
    CHECK_ERROR(grove_rwlock_acquire_write(&lock, 0.001), ETIMEDOUT);
    CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
    check_free();
}
EVERYWHERE(readers_share)

static void a_writer_is_alone(void)
{
    fresh();
    CHECK_EQUAL(grove_rwlock_acquire_write(&lock, GROVE_FOREVER), 0);
    CHECK_ERROR(grove_rwlock_acquire_write(&lock, 0), ETIMEDOUT);
    CHECK_ERROR(grove_rwlock_acquire_read(&lock, 0), ETIMEDOUT);
    CHECK_ERROR(grove_rwlock_acquire_read(&lock, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_rwlock_acquire_read(&lock, (double)NAN), EINVAL);
    CHECK_EQUAL(grove_rwlock_release_write(&lock), 0);
    check_free();
}
EVERYWHERE(a_writer_is_alone)

static void only_what_is_held_is_released(void)
{
    fresh();
    CHECK_ERROR(grove_rwlock_release_read(&lock), EPERM);
    CHECK_ERROR(grove_rwlock_release_write(&lock), EPERM);
    CHECK_ERROR(grove_rwlock_downgrade(&lock), EPERM);
    CHECK_EQUAL(grove_rwlock_acquire_read(&lock, 0), 0);
    CHECK_ERROR(grove_rwlock_release_write(&lock), EPERM);
    CHECK_ERROR(grove_rwlock_downgrade(&lock), EPERM);
    CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
    CHECK_EQUAL(grove_rwlock_acquire_write(&lock, 0), 0);
    CHECK_ERROR(grove_rwlock_release_read(&lock), EPERM);
    CHECK_EQUAL(grove_rwlock_release_write(&lock), 0);
    check_free();
}
EVERYWHERE(only_what_is_held_is_released)

static char entered[GREENLETS + 1]; /* who came in, in order: r or w */
static int count;
static grove_t *greenlet[GREENLETS];

static void *enter_reading(void *arg)
{
    CHECK_EQUAL(grove_rwlock_acquire_read(&lock, GROVE_FOREVER), 0);
    entered[count++] = 'r';
    return arg;
}

static void *enter_writing(void *arg)
{
    CHECK_EQUAL(grove_rwlock_acquire_write(&lock, GROVE_FOREVER), 0);
    entered[count++] = 'w';
    return arg;
}

/* Greenlets that stand in line for a lock that is held, as the text says. */
static void line_up(const char *who)
{
    count = 0;
    memset(entered, 0, sizeof entered);
    for (int i = 0; who[i]; i++)
        greenlet[i] =
            must(grove_spawn(who[i] == 'r' ? enter_reading : enter_writing, NULL));
    grove_yield();
    CHECK_STRING(entered, "");
}

static void await_line(const char *who)
{
    for (int i = 0; who[i]; i++)
        grove_await(greenlet[i]);
    CHECK_STRING(entered, who);
}

static void readers_queue_behind_a_writer(void)
{
    fresh();
    grove_rwlock_acquire_read(&lock, 0);
    line_up("wr");
    CHECK_ERROR(grove_rwlock_acquire_read(&lock, 0), ETIMEDOUT);
    grove_rwlock_release_read(&lock);
    grove_join(greenlet[0], GROVE_FOREVER);
    CHECK_STRING(entered, "w");
    grove_rwlock_release_write(&lock);
    await_line("wr");
    grove_rwlock_release_read(&lock);
    check_free();
}
EVERYWHERE(readers_queue_behind_a_writer)

static void the_line_is_served_in_order(void)
{
    fresh();
    grove_rwlock_acquire_write(&lock, 0);
    line_up("rrwrrrw");
    grove_rwlock_release_write(&lock);
    CHECK_STRING(entered, ""); /* never switches */
    grove_yield();
    CHECK_STRING(entered, "rr");
    grove_rwlock_release_read(&lock);
    grove_yield();
    CHECK_STRING(entered, "rr");
    grove_rwlock_release_read(&lock);
    grove_yield();
    CHECK_STRING(entered, "rrw");
    grove_rwlock_release_write(&lock);
    grove_yield();
    CHECK_STRING(entered, "rrwrrr");
    for (int i = 0; i < 3; i++)
        grove_rwlock_release_read(&lock);
    await_line("rrwrrrw");
    grove_rwlock_release_write(&lock);
    check_free();
}
EVERYWHERE(the_line_is_served_in_order)

/* Handed over: it is the waiter's before that has run. */
static void nobody_overtakes_the_line(void)
{
    fresh();
    grove_rwlock_acquire_write(&lock, 0);
    line_up("w");
    grove_rwlock_release_write(&lock);
    CHECK_ERROR(grove_rwlock_acquire_write(&lock, 0), ETIMEDOUT);
    CHECK_ERROR(grove_rwlock_acquire_read(&lock, 0), ETIMEDOUT);
    await_line("w");
    grove_rwlock_release_write(&lock);
    check_free();
}
EVERYWHERE(nobody_overtakes_the_line)

static void a_downgrade_lets_readers_in(void)
{
    fresh();
    grove_rwlock_acquire_write(&lock, 0);
    line_up("rrwr");
    CHECK_EQUAL(grove_rwlock_downgrade(&lock), 0);
    grove_yield();
    CHECK_STRING(entered, "rr");
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
    grove_yield();
    CHECK_STRING(entered, "rrw");
    grove_rwlock_release_write(&lock);
    await_line("rrwr");
    grove_rwlock_release_read(&lock);
    check_free();
}
EVERYWHERE(a_downgrade_lets_readers_in)

static void *wait_in_vain(void *arg)
{
    CHECK_ERROR(grove_rwlock_acquire_write(&lock, GROVE_FOREVER), ECANCELED);
    return arg;
}

static void a_killed_writer_lets_readers_in(void)
{
    fresh();
    grove_rwlock_acquire_read(&lock, 0);
    grove_t *writer = must(grove_spawn(wait_in_vain, NULL));
    grove_yield();
    line_up("rrw");
    grove_kill(writer, GROVE_FOREVER);
    grove_yield();
    CHECK_STRING(entered, "rr");
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
    await_line("rrw");
    grove_rwlock_release_write(&lock);
    grove_release(writer);
    check_free();
}
EVERYWHERE(a_killed_writer_lets_readers_in)

static void *run_out_of_time(void *arg)
{
    CHECK_ERROR(grove_rwlock_acquire_write(&lock, 0.001), ETIMEDOUT);
    return arg;
}

static void a_writer_out_of_time_lets_readers_in(void)
{
    fresh();
    grove_rwlock_acquire_read(&lock, 0);
    grove_t *writer = must(grove_spawn(run_out_of_time, NULL));
    grove_t *reader = must(grove_spawn(enter_reading, NULL));
    grove_await(reader);
    grove_await(writer);
    CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
    CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
    check_free();
}
EVERYWHERE(a_writer_out_of_time_lets_readers_in)

static void use_in_callback(grove_t *g, void *arg)
{
    (void)g;
    (void)arg;
    CHECK_ERROR(grove_rwlock_acquire_read(&lock, GROVE_FOREVER), EDEADLK);
    CHECK_EQUAL(grove_rwlock_acquire_read(&lock, 0), 0);
    CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
}

static void *nothing(void *arg)
{
    return arg;
}

static void a_hub_callback_never_waits(void)
{
    fresh();
    grove_t *g = must(grove_spawn(nothing, NULL));
    CHECK_EQUAL(grove_link(g, use_in_callback, NULL), 0);
    grove_await(g);
    check_free();
}
EVERYWHERE(a_hub_callback_never_waits)

/* Readers and writers count each other; some run out of time or are killed. */
static atomic_int readers, writers;
static long written[2]; /* by writers, both the same */
static _Atomic(long) writes;
static size_t rounds;

static bool read_once(uint64_t *state, double timeout)
{
    if (grove_rwlock_acquire_read(&lock, timeout) < 0)
        return false;
    atomic_fetch_add_explicit(&readers, 1, memory_order_relaxed);
    if (random_next(state) % 4 == 0)
        grove_yield();
    CHECK_EQUAL(atomic_load_explicit(&writers, memory_order_relaxed), 0);
    CHECK_EQUAL(written[0], written[1]);
    atomic_fetch_sub_explicit(&readers, 1, memory_order_relaxed);
    CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
    return true;
}

static bool write_once(uint64_t *state, double timeout)
{
    if (grove_rwlock_acquire_write(&lock, timeout) < 0)
        return false;
    CHECK_EQUAL(atomic_fetch_add_explicit(&writers, 1, memory_order_relaxed), 0);
    CHECK_EQUAL(atomic_load_explicit(&readers, memory_order_relaxed), 0);
    written[0]++;
    if (random_next(state) % 4 == 0)
        grove_yield();
    written[1]++;
    atomic_fetch_add_explicit(&writes, 1, memory_order_relaxed);
    bool downgrades = random_next(state) % 2;
    if (downgrades)
        atomic_fetch_add_explicit(&readers, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&writers, 1, memory_order_relaxed);
    if (!downgrades) {
        CHECK_EQUAL(grove_rwlock_release_write(&lock), 0);
        return true;
    }
    CHECK_EQUAL(grove_rwlock_downgrade(&lock), 0);
    CHECK_EQUAL(written[0], written[1]);
    atomic_fetch_sub_explicit(&readers, 1, memory_order_relaxed);
    CHECK_EQUAL(grove_rwlock_release_read(&lock), 0);
    return true;
}

static void *use(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (size_t i = 0; i < rounds; i++) {
        double timeout = random_next(&state) % 4 ? GROVE_FOREVER : 0.00003;
        bool used = random_next(&state) % 4 ? read_once(&state, timeout)
                                            : write_once(&state, timeout);
        if (!used && errno == ECANCELED)
            break;
        CHECK(used || errno == ETIMEDOUT);
    }
    return NULL;
}

static void kills_and_timeouts_keep_it_whole(void)
{
    uint64_t state = harness_seed();
    pthread_t thread[THREADS];
    grove_t *mortal[GREENLETS];

    fresh();
    rounds = harness_rounds(3000);
    written[0] = written[1] = 0;
    atomic_store_explicit(&writes, 0, memory_order_relaxed);
    for (intptr_t i = 0; i < GREENLETS; i++)
        greenlet[i] = must(grove_go(use, (void *)i));
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, use, (void *)(50 + i)), 0);
    for (intptr_t seed = 100; !grove_ready(greenlet[0]); seed += GREENLETS) {
        for (intptr_t i = 0; i < GREENLETS; i++)
            mortal[i] = must(grove_go(use, (void *)(seed + i)));
        for (uint32_t turns = random_next(&state) % 16; turns > 0; turns--)
            grove_yield();
        for (int i = 0; i < GREENLETS; i++)
            grove_kill(mortal[i], random_next(&state) % 4 ? 0 : GROVE_FOREVER);
        for (int i = 0; i < GREENLETS; i++)
            grove_await(mortal[i]);
    }
    for (int i = 0; i < GREENLETS; i++)
        grove_await(greenlet[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    CHECK_EQUAL(written[0], atomic_load_explicit(&writes, memory_order_relaxed));
    CHECK(written[0] > 0);
    check_free();
}
EVERYWHERE(kills_and_timeouts_keep_it_whole)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("readers share", readers_share),
        TEST("a writer is alone", a_writer_is_alone),
        TEST("only what is held is released", only_what_is_held_is_released),
        TEST("readers queue behind a writer", readers_queue_behind_a_writer),
        TEST("the line is served in order", the_line_is_served_in_order),
        TEST("nobody overtakes the line", nobody_overtakes_the_line),
        TEST("a downgrade lets readers in", a_downgrade_lets_readers_in),
        TEST("a killed writer lets readers in", a_killed_writer_lets_readers_in),
        TEST("a writer out of time lets readers in",
            a_writer_out_of_time_lets_readers_in),
        TEST("a hub callback never waits", a_hub_callback_never_waits),
        TEST("kills and timeouts keep it whole", kills_and_timeouts_keep_it_whole),
    };
    return harness_main("rwlock", tests, sizeof tests / sizeof *tests);
}
