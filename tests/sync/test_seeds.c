/* SPDX-License-Identifier: MIT */
/* What holds for locks, semaphores, events, results, joins and timeouts in every order
 * of events: see seeds.h. */
#include <grove.h>

#include "tests/sync/seeds.h"

/* Locks and semaphores. */

enum { USERS = 5, USES = 3 };

static grove_lock_t lock;
static grove_rlock_t rlock;
static grove_semaphore_t semaphore;
static int got_count;
static int inside, most_inside;

static void stay(void)
{
    inside++;
    CHECK(inside <= most_inside);
    for (uint32_t n = dice(3); n > 0; n--)
        grove_yield();
    inside--;
}

static void *use_lock(void *arg)
{
    for (int i = 0; i < USES; i++) {
        if (grove_lock_acquire(&lock, dice_timeout()) < 0) {
            CHECK(errno == ECANCELED || errno == ETIMEDOUT);
            continue;
        }
        stay();
        CHECK_EQUAL(grove_lock_release(&lock), 0);
    }
    return arg;
}

static void *use_rlock(void *arg)
{
    for (int i = 0; i < USES; i++) {
        if (grove_rlock_acquire(&rlock, dice_timeout()) < 0) {
            CHECK(errno == ECANCELED || errno == ETIMEDOUT);
            continue;
        }
        bool again = grove_rlock_acquire(&rlock, GROVE_FOREVER) == 0;
        CHECK(again || errno == ECANCELED);
        stay();
        if (again)
            CHECK_EQUAL(grove_rlock_release(&rlock), 0);
        CHECK(grove_rlock_locked(&rlock));
        CHECK_EQUAL(grove_rlock_release(&rlock), 0);
    }
    return arg;
}

static void *use_semaphore(void *arg)
{
    for (int i = 0; i < USES; i++) {
        if (grove_semaphore_acquire(&semaphore, dice_timeout()) < 0) {
            CHECK(errno == ECANCELED || errno == ETIMEDOUT);
            continue;
        }
        stay();
        CHECK_EQUAL(grove_semaphore_release(&semaphore), 0);
    }
    return arg;
}

/* Some of the users are killed; the others must come through, for nothing that a killed
 * one was given may be lost. */
static void use_and_kill(grove_fn use, int most)
{
    grove_t *g[USERS];

    inside = 0;
    most_inside = most;
    for (intptr_t i = 0; i < USERS; i++)
        g[i] = seeds_go(use, i);
    for (int i = 0; i < 2; i++) {
        grove_sleep(dice_pause());
        grove_kill(g[dice(USERS)], 0);
    }
    seeds_finish(g, USERS);
    CHECK_EQUAL(inside, 0);
}

static void a_lock_with_kills(void)
{
    lock = (grove_lock_t)GROVE_LOCK_INIT;
    use_and_kill(use_lock, 1);
    CHECK(!grove_lock_locked(&lock));
}
SEEDED(a_lock_with_kills)

static void an_rlock_with_kills(void)
{
    rlock = (grove_rlock_t)GROVE_RLOCK_INIT;
    use_and_kill(use_rlock, 1);
    CHECK(!grove_rlock_locked(&rlock));
}
SEEDED(an_rlock_with_kills)

static void a_semaphore_with_kills(void)
{
    semaphore = (grove_semaphore_t)GROVE_BOUNDED_SEMAPHORE_INIT(2);
    use_and_kill(use_semaphore, 2);
    CHECK_EQUAL(grove_semaphore_value(&semaphore), 2);
}
SEEDED(a_semaphore_with_kills)

static void *take_permit_soon(void *arg)
{
    if (grove_semaphore_acquire(&semaphore, dice_pause()) == 0)
        got_count++;
    else
        CHECK(errno == ETIMEDOUT || errno == ECANCELED);
    return arg;
}

static void *take_permit(void *arg)
{
    CHECK_EQUAL(grove_semaphore_acquire(&semaphore, GROVE_FOREVER), 0);
    return arg;
}

/* Who waits without a timeout must get what those who gave up were woken for. */
static void permits_of_those_who_give_up(void)
{
    grove_t *hasty[3], *patient[3];

    semaphore = (grove_semaphore_t)GROVE_SEMAPHORE_INIT(0);
    got_count = 0;
    for (intptr_t i = 0; i < 3; i++) {
        hasty[i] = seeds_go(take_permit_soon, i);
        patient[i] = seeds_go(take_permit, i);
    }
    for (int i = 0; i < 3; i++) {
        grove_sleep(dice_pause());
        CHECK_EQUAL(grove_semaphore_release(&semaphore), 0);
        if (dice(2))
            grove_kill(hasty[i], 0);
    }
    seeds_finish(hasty, 3);
    for (int i = got_count; i > 0; i--)
        CHECK_EQUAL(grove_semaphore_release(&semaphore), 0);
    seeds_finish(patient, 3);
    CHECK_EQUAL(grove_semaphore_value(&semaphore), 0);
}
SEEDED(permits_of_those_who_give_up)

/* Events and results. */

static grove_event_t event;
static int set_count;
static bool over;

static void *wait_for_sets(void *arg)
{
    while (!over) {
        bool was_set = grove_event_is_set(&event);
        int before = set_count;
        if (grove_event_wait(&event, dice_timeout()) < 0)
            CHECK(errno == ETIMEDOUT);
        else
            CHECK(was_set || set_count > before);
        grove_yield(); /* while it is set no wait waits */
    }
    return arg;
}

static void sets_and_clears(void)
{
    grove_t *g[3];

    event = (grove_event_t)GROVE_EVENT_INIT;
    set_count = 0;
    over = false;
    for (intptr_t i = 0; i < 3; i++)
        g[i] = seeds_go(wait_for_sets, i);
    for (int i = 0; i < 4; i++) {
        grove_sleep(dice_pause());
        over = i == 3;
        set_count++;
        grove_event_set(&event);
        if (dice(2))
            grove_yield();
        if (!over || dice(2))
            grove_event_clear(&event);
    }
    /* One that was not waiting yet when all was over. */
    set_count++;
    grove_event_set(&event);
    seeds_finish(g, 3);
}
SEEDED(sets_and_clears)

static grove_result_t result;

static void *get_result(void *arg)
{
    void *value = NULL;

    for (;;) {
        if (grove_result_get(&result, dice_timeout(), &value) == 0) {
            CHECK_EQUAL(value, &result);
            break;
        }
        CHECK(errno == ETIMEDOUT || errno == ECANCELED || errno == EIO);
        if (errno != ETIMEDOUT)
            break;
    }
    got_count++;
    return arg;
}

static void a_result_for_many(void)
{
    grove_t *g[4];
    bool fails = dice(2);

    result = (grove_result_t)GROVE_RESULT_INIT;
    got_count = 0;
    for (intptr_t i = 0; i < 4; i++)
        g[i] = seeds_go(get_result, i);
    grove_sleep(dice_pause());
    grove_kill(g[0], 0);
    if (dice(2))
        grove_yield();
    if (fails)
        grove_result_fail(&result, EIO, "no");
    else
        grove_result_set(&result, &result);
    seeds_finish(g, 4);
    CHECK(got_count >= 3); /* the first may have been killed unstarted */
    grove_result_destroy(&result);
}
SEEDED(a_result_for_many)

/* Joins, links, timeouts. */

enum { LINKS = 3 };

static grove_t *target;
static int linked[LINKS + 1], link_count;

static void note_link(grove_t *g, void *arg)
{
    CHECK(g == target && grove_ready(g));
    linked[link_count++] = (int)(intptr_t)arg;
}

static void *end_some_time(void *arg)
{
    for (uint32_t n = dice(3); n > 0; n--)
        if (dice(2))
            grove_yield();
        else
            grove_sleep(dice_pause());
    return arg;
}

static void *join_target(void *arg)
{
    bool joined;

    while (!(joined = grove_join(target, dice_timeout()) == 0) && errno == ETIMEDOUT)
        ;
    CHECK(joined || errno == ECANCELED);
    CHECK(!joined || grove_ready(target));
    return arg;
}

static void *await_target(void *arg)
{
    void *value = grove_await(grove_retain(target));

    CHECK(value == &target || value == GROVE_KILLED ||
          (value == NULL && errno == ECANCELED));
    return arg;
}

static void joins_and_links(void)
{
    grove_t *g[5];
    int kept = LINKS;

    link_count = 0;
    target = seeds_go(end_some_time, (intptr_t)&target);
    for (intptr_t i = 0; i < 5; i++)
        g[i] = seeds_go(i < 3 ? join_target : await_target, i);
    for (intptr_t i = 0; i < LINKS; i++) {
        CHECK_EQUAL(grove_link(target, note_link, (void *)i), 0);
        if (dice(2))
            grove_yield();
    }
    if (dice(2) && grove_unlink(target, note_link, (void *)0) == 0)
        kept--;
    grove_kill(g[dice(5)], 0);
    if (dice(3) == 0)
        grove_kill(target, 0);
    seeds_finish(g, 5);
    CHECK_EQUAL(grove_join(target, SEEDS_HANG), 0);
    CHECK_EQUAL(link_count, kept);
    for (int i = 1; i < link_count; i++)
        CHECK(linked[i - 1] < linked[i]);
    grove_release(target);
}
SEEDED(joins_and_links)

static void the_first_of_many(void)
{
    grove_t *g[4], *done[4];
    size_t wanted = 1 + dice(4);

    for (intptr_t i = 0; i < 4; i++)
        g[i] = seeds_go(end_some_time, i);
    double timeout = dice(2) ? dice_pause() : SEEDS_HANG;
    ssize_t n = grove_wait(g, 4, wanted, timeout, done);
    CHECK(n >= 0 && (size_t)n <= wanted);
    CHECK((size_t)n == wanted || timeout < SEEDS_HANG);
    for (ssize_t i = 0; i < n; i++)
        CHECK(grove_ready(done[i]));
    seeds_finish(g, 4);
}
SEEDED(the_first_of_many)

/* An inner and an outer timeout around waits that may end well: each ETIMEDOUT has a
 * timeout that fired, and none is left afterwards. */
static void *nest_timeouts(void *arg)
{
    grove_timeout_t outer, inner;
    int failed = 0;

    CHECK_EQUAL(grove_timeout_start(&outer, dice_pause()), 0);
    CHECK_EQUAL(grove_timeout_start(&inner, dice_pause()), 0);
    for (int i = 0; i < 3; i++) {
        if (grove_event_wait(&event, SEEDS_HANG) < 0)
            failed += CHECK_EQUAL(errno, ETIMEDOUT);
        else
            grove_yield();
    }
    CHECK(failed <= grove_timeout_fired(&outer) + grove_timeout_fired(&inner));
    grove_timeout_stop(&inner);
    grove_timeout_stop(&outer);
    CHECK_EQUAL(grove_sleep(0.01), 0);
    return arg;
}

static void timeouts_around_waits(void)
{
    grove_t *g[3];

    event = (grove_event_t)GROVE_EVENT_INIT;
    for (intptr_t i = 0; i < 3; i++)
        g[i] = seeds_go(nest_timeouts, i);
    for (int i = 0; i < 4; i++) {
        grove_sleep(dice_pause());
        grove_event_set(&event);
        if (i < 3)
            grove_event_clear(&event);
    }
    seeds_finish(g, 3);
}
SEEDED(timeouts_around_waits)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a lock with kills", a_lock_with_kills),
        TEST("an rlock with kills", an_rlock_with_kills),
        TEST("a semaphore with kills", a_semaphore_with_kills),
        TEST("permits of those who give up", permits_of_those_who_give_up),
        TEST("sets and clears", sets_and_clears),
        TEST("a result for many", a_result_for_many),
        TEST("joins and links", joins_and_links),
        TEST("the first of many", the_first_of_many),
        TEST("timeouts around waits", timeouts_around_waits),
    };
    return harness_main("seeds", tests, sizeof tests / sizeof *tests);
}
