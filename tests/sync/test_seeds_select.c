/* SPDX-License-Identifier: MIT */
/* What holds for waits for several things at once in every order of events: see
 * seeds.h. */
#include <grove.h>

#include "tests/sync/seeds.h"

/* Each item is put by one only, so what has become of it can be told in the end. */
enum { MOST_ITEMS = 200 };

static intptr_t item_count;
static char put_times[MOST_ITEMS], got_times[MOST_ITEMS];

static void begin_items(void)
{
    item_count = 0;
    memset(put_times, 0, sizeof put_times);
    memset(got_times, 0, sizeof got_times);
}

static void *next_item(void)
{
    if (item_count == MOST_ITEMS - 1)
        abort();
    return (void *)++item_count;
}

static void note_put(void *item)
{
    put_times[(intptr_t)item]++;
}

static void note_got(void *item)
{
    if (CHECK((intptr_t)item > 0 && (intptr_t)item <= item_count))
        got_times[(intptr_t)item]++;
}

/* Takes what is left in the queue, and frees it. */
static void drain(grove_queue_t *queue)
{
    void *item = NULL;

    while (grove_queue_get(queue, 0, &item) == 0)
        note_got(item);
    grove_queue_free(queue);
}

static void check_items(void)
{
    for (intptr_t item = 1; item <= item_count; item++) {
        CHECK(put_times[item] <= 1);
        CHECK_EQUAL(got_times[item], put_times[item]);
    }
}

static void check_gave_up(double timeout)
{
    CHECK(errno == ECANCELED || (errno == ETIMEDOUT && timeout >= 0));
}

/* Everything a select can take. */

enum { SELECTERS = 4, SELECTS = 3, FILLS = 6 };

static grove_queue_t *source, *sink;
static grove_semaphore_t semaphore;
static grove_lock_t lock;
static int inside, permits_given, permits_taken;

static void hold_lock(void)
{
    CHECK_EQUAL(inside++, 0);
    CHECK(grove_lock_locked(&lock));
    if (dice(2))
        grove_yield();
    inside--;
    CHECK_EQUAL(grove_lock_release(&lock), 0);
}

/* All but the one that happened are as they were. */
static void check_untouched(
    const grove_case_t *before, const grove_case_t *after, int n, int happened)
{
    for (int i = 0; i < n; i++)
        if (i != happened)
            CHECK(after[i].item == before[i].item && after[i].error == before[i].error);
}

static void note_case(const grove_case_t *one)
{
    CHECK_EQUAL(one->error, 0);
    if (one->kind == GROVE_CASE_GET)
        note_got(one->item);
    else if (one->kind == GROVE_CASE_PUT)
        note_put(one->item);
    else if (one->kind == GROVE_CASE_SEMAPHORE)
        permits_taken++;
    else if (one->kind == GROVE_CASE_LOCK)
        hold_lock();
}

static void *select_anything(void *arg)
{
    for (int i = 0; i < SELECTS; i++) {
        grove_case_t cases[] = {
            grove_case_get(source),
            grove_case_put(sink, next_item()),
            grove_case_semaphore(&semaphore),
            grove_case_lock(&lock),
        };
        grove_case_t before[4];
        memcpy(before, cases, sizeof cases);
        double timeout = dice_timeout();
        int index = grove_select(cases, 4, timeout);
        check_untouched(before, cases, 4, index);
        if (index >= 0)
            note_case(&cases[index]);
        else
            check_gave_up(timeout);
    }
    return arg;
}

/* Lets something happen to those who select. */
static void *fill_and_empty(void *arg)
{
    for (int i = 0; i < FILLS; i++) {
        void *item = next_item();
        uint32_t what = dice(4);
        if (what == 0 && grove_queue_put(source, item, dice_pause()) == 0)
            note_put(item);
        else if (what == 1 && grove_queue_get(sink, dice_pause(), &item) == 0)
            note_got(item);
        else if (what == 2)
            permits_given += grove_semaphore_release(&semaphore) == 0;
        else if (what == 3 && grove_lock_acquire(&lock, dice_pause()) == 0)
            hold_lock();
        if (dice(2))
            grove_sleep(dice_pause());
    }
    return arg;
}

/* What a select hasn't taken is there for another. */
static void everything_at_once(void)
{
    grove_t *filler[2], *g[SELECTERS];

    begin_items();
    source = grove_queue_new(GROVE_FIFO, 1 + dice(2));
    sink = grove_queue_new(dice(2) ? GROVE_CHANNEL : GROVE_LIFO, 1);
    semaphore = (grove_semaphore_t)GROVE_SEMAPHORE_INIT(0);
    lock = (grove_lock_t)GROVE_LOCK_INIT;
    inside = permits_given = permits_taken = 0;
    CHECK_EQUAL(grove_lock_acquire(&lock, 0), 0);
    for (intptr_t i = 0; i < SELECTERS; i++)
        g[i] = seeds_go(select_anything, i);
    for (intptr_t i = 0; i < 2; i++)
        filler[i] = seeds_go(fill_and_empty, i);
    grove_sleep(dice_pause());
    CHECK_EQUAL(grove_lock_release(&lock), 0);
    grove_kill(g[dice(SELECTERS)], 0);
    seeds_finish(filler, 2);
    seeds_finish(g, SELECTERS); /* the lock is free: they all find something */
    CHECK(!grove_lock_locked(&lock));
    CHECK_EQUAL(grove_semaphore_value(&semaphore), permits_given - permits_taken);
    drain(source);
    drain(sink);
    check_items();
}
SEEDED(everything_at_once)

/* Who waits patiently for one thing gets what those who select it among others and then
 * take another, or give up, were woken for. */

enum { HASTY = 3, PATIENT = 2 };

static int hasty_took[2];
static grove_semaphore_t other;

static void *select_permit(void *arg)
{
    grove_case_t cases[] = {
        grove_case_semaphore(&semaphore),
        grove_case_semaphore(&other),
    };
    double timeout = dice_timeout();
    int index = grove_select(cases, 2, timeout);

    if (index >= 0)
        hasty_took[index]++;
    else
        check_gave_up(timeout);
    return arg;
}

static void *take_permit(void *arg)
{
    CHECK_EQUAL(grove_semaphore_acquire(arg, SEEDS_HANG), 0);
    return arg;
}

static void release_some(grove_semaphore_t *of, int n)
{
    while (n-- > 0)
        CHECK_EQUAL(grove_semaphore_release(of), 0);
}

static void permits_of_losers(void)
{
    grove_semaphore_t *const both[] = {&semaphore, &other};
    grove_t *hasty[HASTY], *patient[2 * PATIENT];

    semaphore = other = (grove_semaphore_t)GROVE_SEMAPHORE_INIT(0);
    hasty_took[0] = hasty_took[1] = 0;
    for (intptr_t i = 0; i < HASTY; i++)
        hasty[i] = seeds_go(select_permit, i);
    for (int i = 0; i < 2 * PATIENT; i++)
        patient[i] = seeds_go(take_permit, (intptr_t)both[i % 2]);
    for (int i = 0; i < PATIENT; i++) {
        grove_sleep(dice_pause());
        release_some(&semaphore, 1);
        if (dice(2))
            grove_yield();
        release_some(&other, 1);
        if (dice(2))
            grove_kill(hasty[dice(HASTY)], 0);
    }
    for (int i = 0; i < HASTY; i++)
        grove_kill(hasty[i], 0);
    seeds_finish(hasty, HASTY);
    release_some(&semaphore, hasty_took[0]);
    release_some(&other, hasty_took[1]);
    seeds_finish(patient, 2 * PATIENT);
    CHECK_EQUAL(grove_semaphore_value(&semaphore), 0);
    CHECK_EQUAL(grove_semaphore_value(&other), 0);
}
SEEDED(permits_of_losers)

/* Selects that meet. */

enum { MEETINGS = 3 };

static grove_queue_t *there, *back;

/* Puts into one channel or gets from the other: what one of each side does they do
 * together. */
static bool meet(bool forth, double timeout)
{
    grove_case_t cases[] = {
        grove_case_put(forth ? there : back, next_item()),
        grove_case_get(forth ? back : there),
    };
    int index = grove_select(cases, 2, timeout);

    if (index >= 0)
        note_case(&cases[index]);
    else
        check_gave_up(timeout);
    return index >= 0;
}

static void *meet_patiently(void *arg)
{
    for (int i = 0; i < MEETINGS; i++)
        CHECK(meet((intptr_t)arg % 2, SEEDS_HANG));
    return arg;
}

static void begin_meetings(void)
{
    begin_items();
    there = grove_queue_new(GROVE_CHANNEL, 0);
    back = grove_queue_new(GROVE_CHANNEL, 0);
}

static void end_meetings(void)
{
    drain(there);
    drain(back);
    check_items();
}

static void selects_that_meet(void)
{
    grove_t *g[4];

    begin_meetings();
    for (intptr_t i = 0; i < 4; i++)
        g[i] = seeds_go(meet_patiently, i);
    seeds_finish(g, 4);
    end_meetings();
}
SEEDED(selects_that_meet)

static void *meet_anybody(void *arg)
{
    for (int i = 0; i < MEETINGS; i++) {
        grove_case_t cases[] = {
            grove_case_put(there, next_item()),
            grove_case_get(there),
            grove_case_get(back),
        };
        double timeout = dice_pause();
        int index = grove_select(cases, 3, timeout);
        if (index >= 0)
            note_case(&cases[index]);
        else
            check_gave_up(timeout);
    }
    return arg;
}

static void *meet_hastily(void *arg)
{
    for (int i = 0; i < MEETINGS; i++)
        meet((intptr_t)arg % 2, dice_pause());
    return arg;
}

/* A put has happened if, and only if, a get of the same item has. */
static void selects_that_miss_each_other(void)
{
    grove_t *g[5];

    begin_meetings();
    for (intptr_t i = 0; i < 5; i++)
        g[i] = seeds_go(i < 2 ? meet_anybody : meet_hastily, i);
    for (int i = 0; i < 2; i++) {
        grove_sleep(dice_pause());
        grove_kill(g[dice(5)], 0);
    }
    seeds_finish(g, 5);
    end_meetings();
}
SEEDED(selects_that_miss_each_other)

/* Things that happen once: all who wait for them see it. */

enum { THINGS = 6, KINDS = 3 };

static grove_event_t event[2];
static grove_result_t result[2];
static grove_t *ends[2];
static bool happened[THINGS];
static int order[THINGS], order_length;

static void note_happened(int thing)
{
    happened[thing] = true;
    order[order_length++] = thing;
}

static void note_end(grove_t *g, void *arg)
{
    (void)g;
    note_happened((int)(intptr_t)arg);
}

static void *end_later(void *arg)
{
    grove_sleep(dice_pause());
    return arg;
}

static grove_case_t case_of(int thing)
{
    if (thing / 2 == 0)
        return grove_case_event(&event[thing % 2]);
    if (thing / 2 == 1)
        return grove_case_result(&result[thing % 2]);
    return grove_case_end(ends[thing % 2]);
}

static bool has_happened(int thing)
{
    if (thing / 2 == 0)
        return grove_event_is_set(&event[thing % 2]);
    if (thing / 2 == 1)
        return grove_result_ready(&result[thing % 2]);
    return grove_ready(ends[thing % 2]);
}

static void begin_things(void)
{
    memset(happened, 0, sizeof happened);
    order_length = 0;
    for (intptr_t i = 0; i < 2; i++) {
        event[i] = (grove_event_t)GROVE_EVENT_INIT;
        result[i] = (grove_result_t)GROVE_RESULT_INIT;
        ends[i] = seeds_go(end_later, (intptr_t)&ends[i]);
        CHECK_EQUAL(grove_link(ends[i], note_end, (void *)(4 + i)), 0);
    }
}

/* Events and results, in any order; the ends come by themselves. */
static void make_happen(void)
{
    int first = (int)dice(4);

    for (int i = 0; i < 4; i++) {
        int thing = (first + i) % 4;
        if (dice(2))
            grove_sleep(dice_pause());
        note_happened(thing);
        if (thing < 2)
            grove_event_set(&event[thing]);
        else if (dice(2))
            grove_result_set(&result[thing % 2], &result[thing % 2]);
        else
            grove_result_fail(&result[thing % 2], EIO, "no");
    }
}

static void end_things(void)
{
    seeds_finish(ends, 2);
    for (int i = 0; i < 2; i++)
        grove_result_destroy(&result[i]);
}

static void check_thing(int thing, const grove_case_t *one)
{
    CHECK(happened[thing] && has_happened(thing));
    if (thing / 2 == 0)
        CHECK_EQUAL(one->error, 0);
    else if (thing / 2 == 1)
        CHECK(one->error == EIO || one->item == &result[thing % 2]);
    else
        CHECK(one->item == &ends[thing % 2]);
}

/* Until all have happened; those that have are left out. */
static void *select_things(void *arg)
{
    grove_case_t cases[THINGS];

    for (int i = 0; i < THINGS; i++)
        cases[i] = case_of(i);
    for (int left = THINGS; left > 0;) {
        double timeout = dice_timeout();
        int index = grove_select(cases, THINGS, timeout);
        if (index >= 0) {
            check_thing(index, &cases[index]);
            cases[index].kind = GROVE_CASE_NEVER;
            left--;
        } else {
            check_gave_up(timeout);
            if (errno == ECANCELED)
                break;
        }
    }
    return arg;
}

static void things_that_happen_once(void)
{
    grove_t *g[3];

    begin_things();
    for (intptr_t i = 0; i < 3; i++)
        g[i] = seeds_go(select_things, i);
    grove_sleep(dice_pause());
    grove_kill(g[0], 0);
    make_happen();
    seeds_finish(g, 3);
    end_things();
}
SEEDED(things_that_happen_once)

/* The same by iwait. */

static grove_iwait_t *iwait;
static grove_case_t iwait_cases[THINGS];
static int given[THINGS];
static int read_in_order;
static bool alone;

static void *read_iwait(void *arg)
{
    size_t i = THINGS;
    double timeout = dice_timeout();
    int more;

    while ((more = grove_iwait_next(iwait, timeout, &i)) != 0) {
        if (more < 0) {
            check_gave_up(timeout);
            if (errno == ECANCELED)
                return arg;
            continue;
        }
        if (!CHECK(i < THINGS))
            return arg;
        given[i]++;
        check_thing((int)i, &iwait_cases[i]);
        if (alone)
            CHECK_EQUAL(i, order[read_in_order]);
        read_in_order++;
    }
    CHECK_EQUAL(read_in_order, THINGS);
    return arg;
}

static void begin_iwait(void)
{
    begin_things();
    memset(given, 0, sizeof given);
    read_in_order = 0;
    for (int i = 0; i < THINGS; i++)
        iwait_cases[i] = case_of(i);
    iwait = grove_iwait_new(iwait_cases, THINGS);
    CHECK(iwait != NULL);
}

/* Each is given to one of the readers, once, whoever is killed; by one alone they are
 * read in their order. */
static void readers_of_an_iwait(void)
{
    grove_t *g[3];
    int readers = 1 + 2 * (int)dice(2);

    begin_iwait();
    alone = readers == 1;
    for (intptr_t i = 0; i < readers; i++)
        g[i] = seeds_go(read_iwait, i);
    if (!alone) {
        grove_sleep(dice_pause());
        grove_kill(g[0], 0);
    }
    make_happen();
    seeds_finish(g, readers);
    CHECK_EQUAL(read_in_order, THINGS);
    for (int i = 0; i < THINGS; i++)
        CHECK_EQUAL(given[i], 1);
    grove_iwait_free(iwait);
    end_things();
}
SEEDED(readers_of_an_iwait)

/* What it still waits for no longer knows of it. */
static void an_iwait_given_up(void)
{
    begin_iwait();
    if (dice(2))
        grove_sleep(dice_pause());
    while (dice(3) && grove_iwait_next(iwait, dice_pause(), NULL) == 1)
        ;
    grove_iwait_free(iwait);
    make_happen();
    for (int i = 0; i < 4; i++) {
        grove_case_t one = case_of(i);
        CHECK_EQUAL(grove_select(&one, 1, 0), 0);
    }
    end_things();
}
SEEDED(an_iwait_given_up)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("everything at once", everything_at_once),
        TEST("permits of losers", permits_of_losers),
        TEST("selects that meet", selects_that_meet),
        TEST("selects that miss each other", selects_that_miss_each_other),
        TEST("things that happen once", things_that_happen_once),
        TEST("readers of an iwait", readers_of_an_iwait),
        TEST("an iwait given up", an_iwait_given_up),
    };
    return harness_main("seeds select", tests, sizeof tests / sizeof *tests);
}
