/* SPDX-License-Identifier: MIT */
/*
 * Greenlets that wait for locks in a cycle are reported while others run. The main
 * greenlet is the one that runs: nothing here is a deadlock of all.
 */
#define _GNU_SOURCE
#include "tests/sync/runtimes.h"

#include <grove/lock.h>
#include <grove/rwlock.h>

#include <stdio.h>
#include <sys/mman.h>

#include "sched/spawn.h"
#include "tests/sched/capture.h"

enum { MOST = 5 };

static grove_lock_t locks[MOST];
static grove_rlock_t rlock;
static grove_rwlock_t rwlock;
static _Atomic(int) holding, go_on;

struct philosopher {
    char name[16];
    grove_lock_t *first, *second;
    double timeout;
    grove_t *greenlet;
};

static void *take_both(void *arg)
{
    struct philosopher *self = arg;

    CHECK_EQUAL(grove_lock_acquire(self->first, GROVE_FOREVER), 0);
    atomic_fetch_add(&holding, 1);
    until(&go_on);
    if (grove_lock_acquire(self->second, self->timeout) == 0)
        grove_lock_release(self->second);
    grove_lock_release(self->first);
    return NULL;
}

static void *spawn_named(void *arg)
{
    struct philosopher *self = arg;

    return grove_spawn_with(&(grove_attr_t){.name = self->name}, take_both, self);
}

/* Spread over the workers, each with its first lock. */
static void seat(struct philosopher *all, int n)
{
    holding = go_on = 0;
    for (int i = 0; i < n; i++) {
        locks[i] = (grove_lock_t)GROVE_LOCK_INIT;
        all[i].timeout = GROVE_FOREVER;
        snprintf(all[i].name, sizeof all[i].name, "eater-%d", i);
        all[i].first = &locks[i];
        all[i].second = &locks[(i + 1) % n];
    }
    for (int i = 0; i < n; i++)
        all[i].greenlet = grove_await(must(greenlet_spawn_on(
            workers[i % grove_worker_count()], spawn_named, &all[i], NULL)));
}

static void start(int n)
{
    while (atomic_load(&holding) < n)
        grove_yield();
    raise_flag(&go_on);
}

/* One gives up, and the others have their turn. */
static void end(struct philosopher *all, int n)
{
    grove_kill(all[0].greenlet, GROVE_FOREVER);
    for (int i = 0; i < n; i++)
        grove_await(all[i].greenlet);
}

static int cycles_said(void)
{
    return times_said("grove: deadlock: ");
}

/* Other greenlets run meanwhile, so that those on this worker get to their locks. */
static void until_cycles_said(int times)
{
    while (cycles_said() < times)
        grove_sleep(0.001);
}

static void check_line(const struct philosopher *self, const struct philosopher *holder)
{
    char beginning[64], object[128];

    snprintf(beginning, sizeof beginning, "  greenlet %s (id %llu) has waited ",
        self->name, (unsigned long long)grove_id(self->greenlet));
    snprintf(object, sizeof object,
        " for a lock %p held by greenlet %s (id %llu), spawned at ",
        (void *)self->second, holder->name,
        (unsigned long long)grove_id(holder->greenlet));
    const char *line = strstr(said(), beginning);
    const char *found = strstr(said(), object);
    CHECK(line != NULL && found > line);
    if (line && found)
        CHECK(memchr(line, '\n', (size_t)(found - line)) == NULL);
}

static void with_check(int count, double seconds, void (*test)(void))
{
    grove_config_t config = {.workers = count, .deadlock_check = seconds};

    capture();
    if (CHECK_EQUAL(grove_init(&config), 0)) {
        test();
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    }
    release();
}

#define CHECKED(name) \
    static void name##_test(void) \
    { \
        with_check(1, 0.02, name); \
        with_check(2, 0.02, name); \
        with_check(7, 0.02, name); \
    }

static void a_cycle_is_reported(void)
{
    struct philosopher all[MOST];

    seat(all, MOST);
    start(MOST);
    until_cycles_said(1);
    for (int i = 0; i < MOST; i++)
        check_line(&all[i], &all[(i + 1) % MOST]);
    end(all, MOST);
}
CHECKED(a_cycle_is_reported)

/* When another is found, the first has been looked at again. */
static void each_is_reported_once(void)
{
    struct philosopher first[3], second = {.name = "selfish"};

    seat(first, 3);
    start(3);
    until_cycles_said(1);
    locks[3] = (grove_lock_t)GROVE_LOCK_INIT;
    second.first = second.second = &locks[3];
    second.timeout = GROVE_FOREVER;
    second.greenlet = must(spawn_named(&second));
    until_cycles_said(2);
    CHECK_EQUAL(cycles_said(), 2);
    CHECK_EQUAL(times_said("a greenlet waits for its own lock\n"), 1);
    check_line(&second, &second);
    CHECK_EQUAL(times_said("greenlet eater-0 "), 2); /* waits, and holds */
    end(&second, 1);
    end(first, 3);
}
CHECKED(each_is_reported_once)

/* The monitor sleeps for good in between, and is woken. */
static void one_after_another(void)
{
    struct philosopher all[2];

    for (int times = 1; times <= 3; times++) {
        seat(all, 2);
        start(2);
        until_cycles_said(times);
        end(all, 2);
        grove_sleep(0.05);
    }
    CHECK_EQUAL(cycles_said(), 3);
}
CHECKED(one_after_another)

/* Who waits for a lock of somebody that waits for none isn't in a cycle, be it for as
 * long as one that is. */
static void a_chain_is_none(void)
{
    struct philosopher all[MOST], last = {.name = "last"};

    seat(all, MOST);
    while (atomic_load(&holding) < MOST)
        grove_yield();
    grove_lock_t free_lock = GROVE_LOCK_INIT;
    CHECK_EQUAL(grove_lock_acquire(&free_lock, 0), 0);
    all[MOST - 1].second = &free_lock;
    raise_flag(&go_on);
    static grove_lock_t own;
    own = (grove_lock_t)GROVE_LOCK_INIT;
    last.first = last.second = &own;
    last.timeout = GROVE_FOREVER;
    last.greenlet = must(spawn_named(&last));
    until_cycles_said(1);
    CHECK_EQUAL(times_said("eater"), 0);
    end(&last, 1);
    CHECK_EQUAL(grove_lock_release(&free_lock), 0);
    for (int i = 0; i < MOST; i++)
        grove_await(all[i].greenlet);
}
CHECKED(a_chain_is_none)

static void *take_and_keep(void *lock)
{
    CHECK_EQUAL(grove_lock_acquire(lock, GROVE_FOREVER), 0);
    return NULL;
}

static void *wait_for_it(void *lock)
{
    CHECK_ERROR(grove_lock_acquire(lock, GROVE_FOREVER), ECANCELED);
    return NULL;
}

/* Nor does a greenlet hold what its predecessor in the same record has taken with it.
 * The cycle after which it would have been found is a true one. */
static void the_dead_have_no_heirs(void)
{
    struct philosopher last = {.name = "last"};
    static grove_lock_t kept, own;

    kept = own = (grove_lock_t)GROVE_LOCK_INIT;
    grove_t *taker = must(grove_spawn(take_and_keep, &kept));
    uint64_t dead = grove_id(taker);
    grove_await(taker);
    /* Of the records that are free the last is taken first. */
    grove_t *heir = must(grove_spawn(wait_for_it, &kept));
    CHECK(heir == taker && grove_id(heir) != dead);
    until_waited_for(&kept.waiters_);
    last.first = last.second = &own;
    last.timeout = GROVE_FOREVER;
    last.greenlet = must(spawn_named(&last));
    until_cycles_said(1);
    CHECK_EQUAL(cycles_said(), 1);
    check_line(&last, &last);
    end(&last, 1);
    grove_kill(heir, GROVE_FOREVER);
    grove_release(heir);
}
CHECKED(the_dead_have_no_heirs)

static void *take_rlock(void *arg)
{
    CHECK_EQUAL(grove_rlock_acquire(&rlock, GROVE_FOREVER), 0);
    raise_flag(&holding);
    until(&go_on);
    CHECK_ERROR(grove_rwlock_acquire_read(&rwlock, GROVE_FOREVER), ECANCELED);
    CHECK_EQUAL(grove_rlock_release(&rlock), 0);
    return arg;
}

static void *take_rwlock(void *arg)
{
    CHECK_EQUAL(grove_rwlock_acquire_write(&rwlock, GROVE_FOREVER), 0);
    until(&holding);
    raise_flag(&go_on);
    CHECK_EQUAL(grove_rlock_acquire(&rlock, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_rlock_release(&rlock), 0);
    CHECK_EQUAL(grove_rwlock_release_write(&rwlock), 0);
    return arg;
}

static void other_locks(void)
{
    char line[128];

    rlock = (grove_rlock_t)GROVE_RLOCK_INIT;
    rwlock = (grove_rwlock_t)GROVE_RWLOCK_INIT;
    holding = go_on = 0;
    grove_t *writer = must(grove_go(take_rwlock, NULL));
    grove_t *reader = must(grove_go(take_rlock, NULL));
    until_cycles_said(1);
    snprintf(line, sizeof line, " for reading under a lock %p held by greenlet ",
        (void *)&rwlock);
    CHECK_EQUAL(times_said(line), 1);
    snprintf(line, sizeof line, " for a lock %p held by greenlet ", (void *)&rlock);
    CHECK_EQUAL(times_said(line), 1);
    grove_kill(reader, GROVE_FOREVER);
    grove_release(reader);
    grove_await(writer);
}
CHECKED(other_locks)

static void *fight(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (size_t i = harness_rounds(3000); i > 0; i--) {
        uint32_t a = random_next(&state) % MOST, b = random_next(&state) % MOST;
        if (a >= b)
            continue;
        CHECK_EQUAL(grove_lock_acquire(&locks[a], GROVE_FOREVER), 0);
        if (random_next(&state) % 4 == 0)
            grove_yield();
        CHECK_EQUAL(grove_lock_acquire(&locks[b], GROVE_FOREVER), 0);
        grove_lock_release(&locks[b]);
        grove_lock_release(&locks[a]);
    }
    return arg;
}

/* Locks taken in order are waited for all the time, but never in a cycle. */
static void busy_locks_are_none(void)
{
    grove_t *all[8];

    for (int i = 0; i < MOST; i++)
        locks[i] = (grove_lock_t)GROVE_LOCK_INIT;
    for (intptr_t i = 0; i < 8; i++)
        all[i] = must(grove_go(fight, (void *)i));
    for (int i = 0; i < 8; i++)
        grove_await(all[i]);
    CHECK_EQUAL(cycles_said(), 0);
}

static void busy_locks_are_none_test(void)
{
    with_check(1, 0.0001, busy_locks_are_none);
    with_check(2, 0.0001, busy_locks_are_none);
    with_check(7, 0.0001, busy_locks_are_none);
}

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a chain is none", a_chain_is_none),
        TEST("a cycle is reported", a_cycle_is_reported),
        TEST("busy locks are none", busy_locks_are_none),
        TEST("each is reported once", each_is_reported_once),
        TEST("one after another", one_after_another),
        TEST("other locks", other_locks),
        TEST("the dead have no heirs", the_dead_have_no_heirs),
    };
    return harness_main("lock_cycle", tests, sizeof tests / sizeof *tests);
}
