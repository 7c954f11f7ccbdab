/* SPDX-License-Identifier: MIT */
/* What holds for groups, maps and iterators in every order of events: see seeds.h. */
#include <grove.h>

#include "tests/sync/seeds.h"

/* Pools. */

enum { SPAWNERS = 3, SPAWNS = 3, MOST_MEMBERS = SPAWNERS * SPAWNS };

static grove_group_t *pool;
static size_t pool_size;
static int members_inside, members_ran, members_made;
static grove_t *made[MOST_MEMBERS];

static void begin_pool(size_t size)
{
    pool_size = size;
    pool = grove_pool_new(size);
    CHECK(pool != NULL);
    members_inside = members_ran = members_made = 0;
}

/* Waits until nobody is in it, which must leave it as it was made. */
static void end_pool(void)
{
    CHECK_EQUAL(grove_group_join(pool, SEEDS_HANG), 0);
    CHECK_EQUAL(members_inside, 0);
    CHECK_EQUAL(grove_group_size(pool), 0);
    CHECK_EQUAL(grove_group_free_count(pool), pool_size);
    CHECK_EQUAL(grove_group_wait_available(pool, 0), 0);
    grove_group_free(pool);
}

/* As grove_sleep. */
static int pass_time(void)
{
    if (dice(2))
        grove_yield();
    return dice(2) ? grove_sleep(dice_pause()) : 0;
}

static void *be_member(void *arg)
{
    members_ran++;
    members_inside++;
    CHECK((size_t)members_inside <= pool_size);
    CHECK(grove_group_size(pool) <= pool_size);
    pass_time();
    members_inside--;
    return arg;
}

/* A member made in one of all the ways; NULL if the wait for a slot has failed. */
static grove_t *make_member(void)
{
    grove_t *g;

    switch (dice(4)) {
    case 0:
        return grove_group_spawn(pool, be_member, NULL);
    case 1:
        return grove_group_go(pool, be_member, NULL);
    case 2:
        return grove_group_apply_async(pool, be_member, NULL);
    default:
        g = must(grove_spawn_with(&(grove_attr_t){.deferred = true}, be_member, NULL));
        if (grove_group_add(pool, g, dice_timeout()) < 0) {
            int error = errno;
            grove_kill(g, 0);
            grove_release(g);
            errno = error;
            return NULL;
        }
        CHECK_EQUAL(grove_start(g), 0);
        return g;
    }
}

static void *make_members(void *arg)
{
    for (int i = 0; i < SPAWNS; i++) {
        grove_t *g = make_member();
        if (g)
            made[members_made++] = g;
        else
            CHECK(errno == ECANCELED || errno == ETIMEDOUT);
    }
    return arg;
}

static void *await_slot(void *arg)
{
    while (grove_group_wait_available(pool, dice_timeout()) < 0 && errno == ETIMEDOUT)
        ;
    return arg;
}

/* Never more members than slots; and none of these is lost, whoever is killed, in the
 * pool or on the way into it. */
static void a_pool(void)
{
    grove_t *g[SPAWNERS + 1];

    begin_pool(1 + dice(2));
    for (intptr_t i = 0; i < SPAWNERS; i++)
        g[i] = seeds_go(make_members, i);
    g[SPAWNERS] = seeds_go(await_slot, 0);
    for (int i = 0; i < 3; i++) {
        grove_sleep(dice_pause());
        if (members_made > 0)
            grove_kill(made[dice((uint32_t)members_made)], 0);
        if (dice(2))
            grove_kill(g[dice(SPAWNERS)], 0);
    }
    seeds_finish(g, SPAWNERS + 1);
    seeds_finish(made, members_made);
    end_pool();
    CHECK(members_ran <= members_made);
}
SEEDED(a_pool)

static void a_pool_that_is_killed(void)
{
    grove_t *g[SPAWNERS];

    begin_pool(1 + dice(2));
    for (intptr_t i = 0; i < SPAWNERS; i++)
        g[i] = seeds_go(make_members, i);
    grove_sleep(dice_pause());
    if (dice(2)) {
        CHECK_EQUAL(grove_group_kill(pool, SEEDS_HANG), 0);
        CHECK_EQUAL(members_inside, 0);
    } else {
        CHECK_EQUAL(grove_group_kill(pool, 0), 0);
    }
    seeds_finish(g, SPAWNERS);
    seeds_finish(made, members_made);
    end_pool();
}
SEEDED(a_pool_that_is_killed)

static void *stay_until_told(void *event)
{
    grove_event_wait(event, SEEDS_HANG);
    return event;
}

static void *discard_some(void *arg)
{
    for (int i = 0; i < SPAWNS; i++) {
        if (members_made > 0) {
            grove_t *g = made[dice((uint32_t)members_made)];
            CHECK_EQUAL(grove_group_discard(pool, g), 0);
            CHECK(!grove_group_contains(pool, g));
        }
        grove_sleep(dice_pause());
    }
    return arg;
}

static void *add_some(void *event)
{
    for (int i = 0; i < SPAWNS; i++) {
        grove_t *g = seeds_go(stay_until_told, (intptr_t)event);
        made[members_made++] = g;
        if (grove_group_add(pool, g, dice_pause()) == 0 && !grove_ready(g))
            CHECK(grove_group_size(pool) <= pool_size);
        else
            CHECK(grove_ready(g) || errno == ETIMEDOUT || errno == ECANCELED);
    }
    return event;
}

/* Discarded as they come, end or are killed: a slot is given back once for each. */
static void discards_from_a_pool(void)
{
    static grove_event_t told;
    grove_t *g[4];

    told = (grove_event_t)GROVE_EVENT_INIT;
    begin_pool(1 + dice(3));
    for (intptr_t i = 0; i < 4; i++)
        g[i] = seeds_go(i < 2 ? add_some : discard_some, (intptr_t)&told);
    grove_sleep(dice_pause());
    if (members_made > 0)
        grove_kill(made[dice((uint32_t)members_made)], 0);
    if (dice(2))
        grove_kill(g[dice(4)], 0);
    if (dice(2))
        grove_event_set(&told);
    seeds_finish(g, 4);
    grove_event_set(&told);
    seeds_finish(made, members_made);
    end_pool();
}
SEEDED(discards_from_a_pool)

/* Tasks. */

enum { TASKS = 6 };

static int task_in[TASKS], begun[TASKS], ended[TASKS];
static void *task_out[TASKS];
static bool fails[TASKS];
static grove_t *task_runner[TASKS]; /* while it runs */
static bool killed[TASKS], all_killed;
static int tasks_begun, tasks_ended;
static int end_order[TASKS];
static int most_begun;

static void *run_task(void *arg)
{
    int *number = arg;

    begun[*number]++;
    tasks_begun++;
    CHECK(tasks_begun <= most_begun);
    task_runner[*number] = grove_current();
    CHECK((size_t)++members_inside <= pool_size);
    /* The kill of a task is not for the next one in the same greenlet. */
    if (pass_time() < 0)
        CHECK(killed[*number] || all_killed);
    members_inside--;
    task_runner[*number] = NULL;
    ended[*number]++;
    end_order[tasks_ended++] = *number;
    if (fails[*number])
        grove_fail(EIO, "no");
    return number;
}

static void *begin_tasks(void **in)
{
    memset(begun, 0, sizeof begun);
    memset(ended, 0, sizeof ended);
    memset(task_out, 0, sizeof task_out);
    memset(task_runner, 0, sizeof task_runner);
    memset(killed, 0, sizeof killed);
    all_killed = false;
    tasks_begun = tasks_ended = 0;
    most_begun = TASKS;
    for (int i = 0; i < TASKS; i++) {
        task_in[i] = i;
        in[i] = &task_in[i];
        fails[i] = dice(8) == 0;
    }
    return in;
}

static void kill_a_task(void)
{
    uint32_t i = dice(TASKS);

    if (!task_runner[i])
        return;
    killed[i] = true;
    grove_kill(task_runner[i], 0);
}

/* None begins any more; but a map that has not begun itself is none of the pool's yet.
 */
static void kill_all_tasks(void)
{
    all_killed = true;
    grove_group_kill(pool, 0);
    if (tasks_begun > 0)
        most_begun = tasks_begun;
}

static int first_failure(void)
{
    for (int i = 0; i < TASKS; i++)
        if (fails[i])
            return i;
    return TASKS;
}

static void *map_tasks(void *in)
{
    int status = grove_group_map(pool, run_task, in, task_out, TASKS);
    int error = status < 0 ? errno : 0;

    CHECK(error == 0 || error == EIO || error == ECANCELED);
    for (int i = 0; i < TASKS; i++) {
        CHECK(begun[i] <= 1);
        CHECK_EQUAL(ended[i], begun[i]); /* nothing runs any more */
        CHECK(task_out[i] == NULL || task_out[i] == &task_in[i]);
        if (error == 0 || error == EIO)
            CHECK_EQUAL(task_out[i] == NULL, fails[i] || !begun[i]);
    }
    CHECK(error != 0 || first_failure() == TASKS);
    return NULL;
}

/* Beside others that want slots of the pool; with tasks that fail and that are killed,
 * and perhaps whoever maps. */
static void a_map(void)
{
    static void *in[TASKS];
    grove_t *g[2];

    begin_pool(1 + dice(3));
    begin_tasks(in);
    g[0] = seeds_go(map_tasks, (intptr_t)in);
    g[1] = seeds_go(make_members, 0);
    for (int i = 0; i < 3; i++) {
        grove_sleep(dice_pause());
        if (dice(2))
            kill_a_task();
        else if (dice(4) == 0)
            all_killed = true, grove_kill(g[dice(2)], 0);
        else if (dice(8) == 0)
            kill_all_tasks();
    }
    seeds_finish(g, 2);
    seeds_finish(made, members_made);
    end_pool();
}
SEEDED(a_map)

/* Those who have the other slots stay until it is over: none of them is needed. */
static void a_map_in_a_full_pool(void)
{
    static void *in[TASKS];
    static grove_event_t told;
    grove_t *g[2];

    told = (grove_event_t)GROVE_EVENT_INIT;
    begin_pool(2 + dice(2));
    begin_tasks(in);
    for (size_t i = 1; i < pool_size; i++)
        made[members_made++] = must(grove_group_spawn(pool, stay_until_told, &told));
    g[0] = seeds_go(map_tasks, (intptr_t)in);
    g[1] = seeds_go(make_members, 0);
    seeds_finish(g, 2);
    CHECK(!grove_ready(made[0]));
    grove_event_set(&told);
    seeds_finish(made, members_made);
    end_pool();
}
SEEDED(a_map_in_a_full_pool)

/* Iterators. */

static grove_iter_t *iter;
static int given[TASKS], given_count, end_count;
static size_t ahead;
static bool in_order, undisturbed;

/* Whether item [i] can have been the one just read. */
static void note_given(size_t i)
{
    if (!CHECK(i < TASKS))
        return;
    given[i]++;
    if (in_order)
        CHECK_EQUAL(i, given_count);
    else if (undisturbed)
        CHECK_EQUAL(i, end_order[given_count]);
    given_count++;
    CHECK(ahead == 0 || tasks_begun <= given_count + (int)ahead);
}

static void *read_iter(void *arg)
{
    for (;;) {
        void *value = NULL;
        int status = grove_iter_next(iter, dice_timeout(), &value);
        if (status == 0)
            break;
        if (status < 0 && !grove_iter_failed(iter)) {
            CHECK(errno == ETIMEDOUT || errno == ECANCELED);
            if (errno == ECANCELED)
                return arg;
            continue;
        }
        size_t i = grove_iter_index(iter);
        CHECK(status < 0 ? errno == EIO || errno == ECANCELED : value == &task_in[i]);
        note_given(i);
    }
    end_count++;
    CHECK_EQUAL(given_count, TASKS);
    return arg;
}

static void begin_iter(bool ordered)
{
    static void *in[TASKS];

    begin_pool(1 + dice(3));
    begin_tasks(in);
    memset(given, 0, sizeof given);
    given_count = end_count = 0;
    ahead = dice(3);
    in_order = ordered;
    iter = (ordered ? grove_group_imap_bounded : grove_group_imap_unordered_bounded)(
        pool, run_task, in, TASKS, ahead);
    CHECK(iter != NULL);
}

static void an_iterator(void)
{
    grove_t *reader;

    begin_iter(dice(2));
    undisturbed = dice(2);
    if (undisturbed)
        memset(fails, 0, sizeof fails);
    reader = seeds_go(read_iter, 0);
    for (int i = 0; i < 3 && !undisturbed; i++) {
        grove_sleep(dice_pause());
        kill_a_task();
    }
    if (!undisturbed && dice(8) == 0)
        kill_all_tasks();
    seeds_finish(&reader, 1);
    CHECK_EQUAL(end_count, 1);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQUAL(given[i], 1);
    grove_iter_free(iter);
    end_pool();
}
SEEDED(an_iterator)

static int reader_got;

static void *count_results(void *arg)
{
    int status;

    /* Which item it was only one reader alone can tell. */
    while ((status = grove_iter_next(iter, dice_timeout(), NULL)) != 0) {
        if (status > 0)
            reader_got++;
        else if (errno == ECANCELED)
            return arg;
        else
            CHECK_EQUAL(errno, ETIMEDOUT);
    }
    end_count++;
    return arg;
}

/* Each result goes to one; those who wait patiently learn of the end. */
static void readers_of_an_iterator(void)
{
    grove_t *g[3];

    begin_iter(dice(2));
    memset(fails, 0, sizeof fails);
    reader_got = 0;
    for (intptr_t i = 0; i < 3; i++)
        g[i] = seeds_go(count_results, i);
    grove_sleep(dice_pause());
    grove_kill(g[0], 0);
    seeds_finish(g, 3);
    CHECK_EQUAL(reader_got, TASKS);
    CHECK(end_count >= 2);
    grove_iter_free(iter);
    end_pool();
}
SEEDED(readers_of_an_iterator)

/* Nothing begins after it was freed, and the pool is empty soon. */
static void an_iterator_given_up(void)
{
    begin_iter(dice(2));
    for (uint32_t reads = dice(TASKS); reads > 0; reads--)
        grove_iter_next(iter, dice_pause(), NULL);
    all_killed = true;
    grove_iter_free(iter);
    most_begun = tasks_begun;
    end_pool();
}
SEEDED(an_iterator_given_up)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a pool", a_pool),
        TEST("a pool that is killed", a_pool_that_is_killed),
        TEST("discards from a pool", discards_from_a_pool),
        TEST("a map", a_map),
        TEST("a map in a full pool", a_map_in_a_full_pool),
        TEST("an iterator", an_iterator),
        TEST("readers of an iterator", readers_of_an_iterator),
        TEST("an iterator given up", an_iterator_given_up),
    };
    return harness_main("seeds groups", tests, sizeof tests / sizeof *tests);
}
