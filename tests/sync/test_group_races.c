/* SPDX-License-Identifier: MIT */
/* Pools and maps under kills, timeouts and frees from all workers and a plain thread:
 * no slot is lost or doubled, no item runs twice, nothing outlives its owner. */
#include <grove/iter.h>

#include "tests/sync/runtimes.h"

enum { SLOTS = 3, USERS = 6, ITEMS = 40 };

static grove_group_t *pool;
static _Atomic(int) running;
static atomic_size_t begun, ended;

static void begin_pool(void)
{
    pool = grove_pool_new(SLOTS);
    atomic_store(&running, 0);
    begun = ended = 0;
}

/* Never more than there are slots; it may be killed while it sleeps or yields. */
static void *occupy(void *arg)
{
    uintptr_t how = (uintptr_t)arg;

    atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
    CHECK(atomic_fetch_add_explicit(&running, 1, memory_order_relaxed) < SLOTS);
    if (how % 3 == 0)
        grove_yield();
    if (how % 7 == 0)
        grove_sleep(0.00001);
    atomic_fetch_sub_explicit(&running, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
    return arg;
}

/* One member made in one of the ways there are. */
static void make_one(uint64_t *state)
{
    void *how = (void *)(uintptr_t)random_next(state);
    grove_t *g = NULL;

    switch (random_next(state) % 6) {
    case 0:
        g = must(grove_group_spawn(pool, occupy, how));
        break;
    case 1:
        g = must(grove_group_go(pool, occupy, how));
        break;
    case 2:
        g = must(grove_group_apply_async(pool, occupy, how));
        break;
    case 3:
        if (grove_group_apply(pool, occupy, how, 0.00003, NULL) != 0)
            CHECK_EQUAL(errno, ETIMEDOUT);
        return;
    case 4:
        if (grove_group_wait_available(pool, 0.00002) != 0)
            CHECK_EQUAL(errno, ETIMEDOUT);
        return;
    default:
        g = must(grove_spawn_with(&(grove_attr_t){.deferred = true}, occupy, how));
        if (grove_group_add(pool, g, 0.00002) != 0) {
            CHECK_EQUAL(errno, ETIMEDOUT);
            grove_kill(g, 0);
        }
        grove_start(g);
        break;
    }
    if (random_next(state) % 3 == 0)
        grove_kill(g, random_next(state) % 2 ? GROVE_FOREVER : 0);
    grove_release(g);
}

static void *make_many(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (size_t i = harness_rounds(300); i > 0; i--)
        make_one(&state);
    return NULL;
}

static void make_many_here(void *arg)
{
    make_many(arg);
}

static void no_slot_is_lost_or_doubled(void)
{
    grove_t *user[USERS];

    begin_pool();
    for (uintptr_t i = 0; i < USERS; i++)
        user[i] = must(grove_go(make_many, (void *)i));
    in_thread(make_many_here, (void *)100);
    for (int i = 0; i < USERS; i++)
        grove_await(user[i]);
    /* Late ones of apply_async may come after the group was empty once. */
    while (grove_group_join(pool, GROVE_FOREVER) == 0 && begun != ended)
        grove_yield();
    CHECK_EQUAL(grove_group_free_count(pool), SLOTS);
    CHECK_EQUAL(atomic_load(&running), 0);
    grove_group_free(pool);
}
EVERYWHERE(no_slot_is_lost_or_doubled)

static void *spawn_until_killed(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;

    for (;;) {
        grove_t *g =
            grove_group_go(pool, occupy, (void *)(uintptr_t)random_next(&state));
        if (!g) {
            CHECK_EQUAL(errno, ECANCELED);
            return NULL;
        }
        grove_release(g);
    }
}

/* A slot that was handed to a spawn just killed is used or given back. */
static void kills_race_slots(void)
{
    uint64_t state = harness_seed();
    grove_t *user[USERS];

    for (size_t round = harness_rounds(100); round > 0; round--) {
        begin_pool();
        for (uintptr_t i = 0; i < USERS; i++)
            user[i] = must(grove_go(spawn_until_killed, (void *)i));
        for (int i = 0; i < USERS; i++) {
            for (uint32_t n = random_next(&state) % 4; n > 0; n--)
                grove_yield();
            if (random_next(&state) % 8 == 0)
                grove_group_kill(pool, 0);
            grove_kill(user[i], 0);
        }
        for (int i = 0; i < USERS; i++)
            grove_await(user[i]);
        CHECK_EQUAL(grove_group_join(pool, GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_group_free_count(pool), SLOTS);
        CHECK_EQUAL(begun, ended);
        grove_group_free(pool);
    }
}
EVERYWHERE(kills_race_slots)

struct item {
    struct work *work;
    uint32_t how;
    _Atomic(int) runs;
};

/* What the tasks of one map use, gone when the map is over. */
struct work {
    struct item items[ITEMS];
    void *in[ITEMS], *out[ITEMS];
    _Atomic(int) inside;
};

static void *do_item(void *arg)
{
    struct item *item = arg;

    CHECK_EQUAL(atomic_fetch_add(&item->runs, 1), 0);
    atomic_fetch_add(&item->work->inside, 1);
    occupy((void *)(uintptr_t)item->how);
    atomic_fetch_sub(&item->work->inside, 1);
    if (item->how % 11 == 0)
        grove_fail(EDOM, "");
    return item;
}

static struct work *new_work(uint64_t *state)
{
    struct work *work = calloc(1, sizeof *work);

    for (int i = 0; i < ITEMS; i++) {
        work->items[i].work = work;
        work->items[i].how = random_next(state);
        work->in[i] = &work->items[i];
    }
    return work;
}

static void *map_some(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;
    struct work *work = new_work(&state);

    int result = grove_group_map(pool, do_item, work->in, work->out, ITEMS);
    int error = result ? errno : 0;
    CHECK_EQUAL(atomic_load(&work->inside), 0);
    for (int i = 0; i < ITEMS; i++) {
        bool ran = atomic_load(&work->items[i].runs) == 1;
        bool failed = work->items[i].how % 11 == 0;
        CHECK(ran || error != 0);
        if (error == 0 || work->out[i])
            CHECK(ran && !failed && work->out[i] == work->in[i]);
    }
    CHECK(error == 0 || error == EDOM || error == ECANCELED || error == ETIMEDOUT);
    free(work);
    return NULL;
}

static void *map_in_time(void *arg)
{
    grove_timeout_t timeout;

    grove_timeout_start(&timeout, 0.0001);
    map_some(arg);
    grove_timeout_stop(&timeout);
    return NULL;
}

static void *iterate(void *arg)
{
    uint64_t state = harness_seed() + (uintptr_t)arg;
    struct work *work = new_work(&state);
    uint32_t stop = random_next(&state) % (2 * ITEMS);
    grove_iter_t *iter =
        arg ? grove_group_imap_bounded(
                  pool, do_item, work->in, ITEMS, random_next(&state) % 5)
            : grove_group_imap_unordered(pool, do_item, work->in, ITEMS);
    void *value;
    int result = 1;
    size_t seen = 0;

    while (
        seen < stop && (result = grove_iter_next(iter, GROVE_FOREVER, &value)) != 0) {
        if (result < 0 && !grove_iter_failed(iter))
            break;
        if (result > 0)
            CHECK(value == work->in[grove_iter_index(iter)]);
        seen++;
    }
    if (result == 0)
        CHECK_EQUAL(seen, ITEMS);
    grove_iter_free(iter);
    /* The items may still be in use; [in] isn't. */
    memset(work->in, 0, sizeof work->in);
    return work;
}

static void maps_are_cut_short(grove_affinity_t where)
{
    uint64_t state = harness_seed();
    grove_t *user[USERS];

    for (size_t round = harness_rounds(60); round > 0; round--) {
        begin_pool();
        grove_group_spread(pool, where);
        for (uintptr_t i = 0; i < USERS; i++) {
            grove_fn kinds[] = {map_some, map_in_time, iterate};
            user[i] = must(grove_go(kinds[i % 3], (void *)(i / 3 * round)));
        }
        for (uint32_t n = random_next(&state) % 40; n > 0; n--)
            grove_yield();
        if (random_next(&state) % 3 == 0)
            grove_group_kill(pool, random_next(&state) % 2 ? GROVE_FOREVER : 0);
        if (random_next(&state) % 3 == 0)
            for (int i = 0; i < USERS; i += 3)
                grove_kill(user[i], 0);
        for (int i = 0; i < USERS; i++)
            grove_join(user[i], GROVE_FOREVER);
        while (grove_group_join(pool, GROVE_FOREVER) == 0 && begun != ended)
            grove_yield();
        for (int i = 0; i < USERS; i++) {
            if (i % 3 == 2)
                free(grove_value(user[i]));
            grove_release(user[i]);
        }
        CHECK_EQUAL(grove_group_free_count(pool), SLOTS);
        grove_group_free(pool);
    }
}

static void local_maps_are_cut_short(void)
{
    maps_are_cut_short(GROVE_LOCAL);
}
EVERYWHERE(local_maps_are_cut_short)

static void spread_maps_are_cut_short(void)
{
    maps_are_cut_short(GROVE_ANY);
}
EVERYWHERE(spread_maps_are_cut_short)

static void computing_maps_are_cut_short(void)
{
    maps_are_cut_short(GROVE_CPU);
}
PAIR(computing_maps_are_cut_short)

static void *nothing(void *arg)
{
    atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
    return arg;
}

/* The last member's end on one worker races the free on another. */
static void a_join_may_free(void)
{
    for (size_t round = harness_rounds(1000); round > 0; round--) {
        begin_pool();
        for (int i = 0; i < SLOTS; i++)
            grove_release(must(grove_group_go(pool, nothing, NULL)));
        CHECK_EQUAL(grove_group_join(pool, GROVE_FOREVER), 0);
        CHECK_EQUAL(ended, SLOTS);
        grove_group_free(pool);
    }
}
EVERYWHERE(a_join_may_free)

static void discards_race_ends(void)
{
    for (size_t round = harness_rounds(1000); round > 0; round--) {
        begin_pool();
        grove_t *g = must(grove_group_go(pool, nothing, NULL));
        if (round % 2)
            grove_yield();
        grove_group_discard(pool, g);
        CHECK_EQUAL(grove_group_join(pool, GROVE_FOREVER), 0);
        grove_group_free(pool);
        grove_await(g);
    }
}
EVERYWHERE(discards_race_ends)

/* A late member may be discarded as soon as it is one. */
static void discards_race_late_members(void)
{
    for (size_t round = harness_rounds(500); round > 0; round--) {
        begin_pool();
        while (!grove_group_full(pool))
            grove_release(must(grove_group_go(pool, nothing, NULL)));
        grove_group_spread(pool, GROVE_ANY);
        grove_t *late = must(grove_group_apply_async(pool, nothing, NULL));
        while (!grove_ready(late)) {
            grove_group_discard(pool, late);
            grove_yield();
        }
        CHECK_EQUAL(grove_group_join(pool, GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_group_free_count(pool), SLOTS);
        grove_group_free(pool);
        grove_await(late);
    }
}
PAIR(discards_race_late_members)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("no slot is lost or doubled", no_slot_is_lost_or_doubled),
        TEST("kills race slots", kills_race_slots),
        TEST("local maps are cut short", local_maps_are_cut_short),
        TEST("spread maps are cut short", spread_maps_are_cut_short),
        TEST("computing maps are cut short", computing_maps_are_cut_short),
        TEST("a join may free", a_join_may_free),
        TEST("discards race ends", discards_race_ends),
        TEST("discards race late members", discards_race_late_members),
    };
    return harness_main("group_races", tests, sizeof tests / sizeof *tests);
}
