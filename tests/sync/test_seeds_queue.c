/* SPDX-License-Identifier: MIT */
/* What holds for queues in every order of events: see seeds.h. */
#include <grove.h>

#include "tests/sync/seeds.h"

/* Queues. Items tell who put them, and their number there, from 1. */

enum { PRODUCERS = 3, CONSUMERS = 2, ITEMS = 4, PEOPLE = PRODUCERS + CONSUMERS };

static grove_queue_t *queue;
static int put_count, got_count;
static bool ordered;
static int last_got[CONSUMERS][PRODUCERS];
static bool got_item[PRODUCERS * 16 + ITEMS + 1];

static void *item_of(intptr_t producer, int number)
{
    return (void *)(producer * 16 + number);
}

static void *produce(void *arg)
{
    for (int i = 1; i <= ITEMS; i++) {
        while (grove_queue_put(queue, item_of((intptr_t)arg, i), dice_timeout()) < 0)
            if (!CHECK_EQUAL(errno, ETIMEDOUT))
                return NULL;
        put_count++;
        if (dice(4) == 0)
            grove_sleep(dice_pause());
    }
    return NULL;
}

static void note_item(intptr_t consumer, intptr_t item)
{
    intptr_t producer = item / 16;
    int number = item % 16;

    if (!CHECK(item > 0 && producer < PRODUCERS && number <= ITEMS))
        return;
    CHECK(!got_item[item]);
    got_item[item] = true;
    got_count++;
    CHECK(!ordered || number > last_got[consumer][producer]);
    last_got[consumer][producer] = number;
}

/* Until the queue is closed and empty. */
static void *consume(void *arg)
{
    void *item = NULL;

    for (;;) {
        if (grove_queue_get(queue, dice_timeout(), &item) == 0)
            note_item((intptr_t)arg, (intptr_t)item);
        else if (errno != ETIMEDOUT)
            break;
    }
    CHECK_EQUAL(errno, EPIPE);
    return NULL;
}

static void begin_queue(grove_queue_t *made, bool is_ordered)
{
    queue = made;
    ordered = is_ordered;
    put_count = got_count = 0;
    memset(last_got, 0, sizeof last_got);
    memset(got_item, 0, sizeof got_item);
}

static void pass_items(grove_queue_t *made, bool is_ordered)
{
    grove_t *producer[PRODUCERS], *consumer[CONSUMERS];

    begin_queue(made, is_ordered);
    for (intptr_t i = 0; i < CONSUMERS; i++)
        consumer[i] = seeds_go(consume, i);
    for (intptr_t i = 0; i < PRODUCERS; i++)
        producer[i] = seeds_go(produce, i);
    seeds_finish(producer, PRODUCERS);
    CHECK_EQUAL(grove_queue_close(queue), 0);
    seeds_finish(consumer, CONSUMERS);
    CHECK_EQUAL(got_count, PRODUCERS * ITEMS);
}

static void a_bounded_queue(void)
{
    pass_items(grove_queue_new(GROVE_FIFO, 1 + dice(3)), true);
    grove_queue_free(queue);
}
SEEDED(a_bounded_queue)

static void an_unbounded_queue(void)
{
    pass_items(grove_queue_new(GROVE_FIFO, 0), true);
    grove_queue_free(queue);
}
SEEDED(an_unbounded_queue)

static void a_stack(void)
{
    pass_items(grove_queue_new(GROVE_LIFO, dice(3)), false);
    grove_queue_free(queue);
}
SEEDED(a_stack)

static int compare_items(const void *a, const void *b)
{
    return (int)((intptr_t)a - (intptr_t)b);
}

static void a_priority_queue(void)
{
    pass_items(grove_priority_queue_new(dice(3), compare_items), false);
    grove_queue_free(queue);
}
SEEDED(a_priority_queue)

static void a_channel(void)
{
    pass_items(grove_queue_new(GROVE_CHANNEL, 0), true);
    grove_queue_free(queue);
}
SEEDED(a_channel)

static void *put_until_it_fails(void *arg)
{
    int saved;

    while (grove_queue_put(queue, arg, dice_timeout()) == 0 || errno == ETIMEDOUT)
        put_count += errno != ETIMEDOUT, errno = 0;
    saved = errno;
    CHECK(saved == ECANCELED || saved == EPIPE);
    return NULL;
}

static void *get_until_it_fails(void *arg)
{
    int saved;

    while (grove_queue_get(queue, dice_timeout(), NULL) == 0 || errno == ETIMEDOUT)
        got_count += errno != ETIMEDOUT, errno = 0;
    saved = errno;
    CHECK(saved == ECANCELED || saved == EPIPE);
    return arg;
}

/* Each put that returned 0 is in the queue or was got, however the others ended. */
static void check_balance(void)
{
    CHECK_EQUAL(put_count, got_count + (int)grove_queue_size(queue));
}

static void start_balance(grove_t **g)
{
    static const grove_queue_kind kinds[] = {GROVE_FIFO, GROVE_LIFO, GROVE_CHANNEL};

    errno = 0;
    /* Not unbounded: puts that never wait go on for ever. */
    begin_queue(grove_queue_new(kinds[dice(3)], 1 + dice(3)), false);
    for (intptr_t i = 0; i < PEOPLE; i++)
        g[i] = seeds_go(i < PRODUCERS ? put_until_it_fails : get_until_it_fails, i);
}

static void kills_among_puts_and_gets(void)
{
    grove_t *g[PEOPLE];

    start_balance(g);
    for (int i = 0; i < PEOPLE; i++) {
        grove_sleep(dice_pause());
        CHECK_EQUAL(grove_kill(g[(i + 2) % PEOPLE], 0), 0);
    }
    seeds_finish(g, PEOPLE);
    check_balance();
    grove_queue_free(queue);
}
SEEDED(kills_among_puts_and_gets)

static void a_close_among_puts_and_gets(void)
{
    grove_t *g[PEOPLE];

    start_balance(g);
    grove_sleep(dice_pause());
    CHECK_EQUAL(grove_queue_close(queue), 0);
    seeds_finish(g, PEOPLE);
    check_balance();
    grove_queue_free(queue);
}
SEEDED(a_close_among_puts_and_gets)

static void *get_one(void *arg)
{
    if (grove_queue_get(queue, GROVE_FOREVER, NULL) == 0)
        *(int *)arg = 1;
    else
        CHECK_EQUAL(errno, ECANCELED);
    return NULL;
}

/* The item is with the one that was killed as it came, or still there. */
static void a_kill_against_a_wake(void)
{
    static int got[2];
    grove_t *g[2];

    got[0] = got[1] = 0;
    begin_queue(grove_queue_new(GROVE_FIFO, 0), false);
    for (int i = 0; i < 2; i++)
        g[i] = seeds_go(get_one, (intptr_t)&got[i]);
    grove_sleep(dice_pause());
    grove_queue_put(queue, queue, GROVE_FOREVER);
    if (dice(2))
        grove_yield();
    grove_kill(g[0], 0);
    CHECK_EQUAL(grove_join(g[0], SEEDS_HANG), 0);
    /* What the first has not taken the second must. */
    CHECK_EQUAL(grove_join(g[1], got[0] ? 0 : SEEDS_HANG), got[0] ? -1 : 0);
    CHECK_EQUAL(got[0] + got[1], 1);
    grove_kill(g[1], 0);
    seeds_finish(g, 2);
    grove_queue_free(queue);
}
SEEDED(a_kill_against_a_wake)

static int done_count;

static void *work(void *arg)
{
    while (grove_queue_get(queue, GROVE_FOREVER, NULL) == 0) {
        if (dice(2))
            grove_yield();
        done_count++;
        CHECK_EQUAL(grove_queue_task_done(queue), 0);
    }
    return arg;
}

static void *peek(void *arg)
{
    void *item = NULL;

    while (grove_queue_peek(queue, GROVE_FOREVER, &item) == 0) {
        CHECK(item == &queue);
        grove_sleep(dice_pause());
    }
    CHECK_EQUAL(errno, EPIPE);
    return arg;
}

static void joins_of_a_queue(void)
{
    grove_t *g[CONSUMERS + 1];

    done_count = 0;
    begin_queue(grove_queue_new(GROVE_FIFO, dice(3)), false);
    for (int i = 0; i < CONSUMERS; i++)
        g[i] = seeds_go(work, i);
    g[CONSUMERS] = seeds_go(peek, 0);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(grove_queue_put(queue, &queue, SEEDS_HANG), 0);
        CHECK_EQUAL(grove_queue_join(queue, SEEDS_HANG), 0);
        CHECK_EQUAL(done_count, 3 * round);
    }
    grove_queue_close(queue);
    seeds_finish(g, CONSUMERS + 1);
    grove_queue_free(queue);
}
SEEDED(joins_of_a_queue)

/* Peeks take nothing, and no wake of those who get. */

static void *peek_some(void *arg)
{
    void *item = NULL;

    for (int i = 0; i < ITEMS; i++) {
        if (grove_queue_peek(queue, dice_timeout(), &item) == 0)
            CHECK((intptr_t)item > 0 && (intptr_t)item / 16 < PRODUCERS);
        else
            CHECK(errno == ETIMEDOUT || errno == ECANCELED || errno == EPIPE);
        if (dice(2))
            grove_yield();
    }
    return arg;
}

static void *get_some(void *arg)
{
    void *item = NULL;

    for (int i = 0; i < ITEMS; i++)
        if (CHECK_EQUAL(grove_queue_get(queue, SEEDS_HANG, &item), 0))
            note_item((intptr_t)arg, (intptr_t)item);
    return NULL;
}

/* What has been got by nobody comes out in order. */
static void drain_in_order(void)
{
    void *item, *last = NULL;

    while (grove_queue_get(queue, 0, &item) == 0) {
        CHECK((intptr_t)item > (intptr_t)last);
        note_item(0, (intptr_t)item);
        last = item;
    }
}

static void peeks_among_puts_and_gets(void)
{
    grove_t *peeker[2], *getter[CONSUMERS], *producer[PRODUCERS];

    begin_queue(grove_priority_queue_new(0, compare_items), false);
    for (intptr_t i = 0; i < 2; i++)
        peeker[i] = seeds_go(peek_some, i);
    for (intptr_t i = 0; i < CONSUMERS; i++)
        getter[i] = seeds_go(get_some, i);
    for (intptr_t i = 0; i < PRODUCERS; i++)
        producer[i] = seeds_go(produce, i);
    grove_sleep(dice_pause());
    grove_kill(peeker[0], 0);
    seeds_finish(producer, PRODUCERS);
    seeds_finish(getter, CONSUMERS);
    drain_in_order();
    CHECK_EQUAL(got_count, PRODUCERS * ITEMS);
    CHECK_EQUAL(grove_queue_close(queue), 0);
    seeds_finish(peeker, 2);
    grove_queue_free(queue);
}
SEEDED(peeks_among_puts_and_gets)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a bounded queue", a_bounded_queue),
        TEST("an unbounded queue", an_unbounded_queue),
        TEST("a stack", a_stack),
        TEST("a priority queue", a_priority_queue),
        TEST("a channel", a_channel),
        TEST("kills among puts and gets", kills_among_puts_and_gets),
        TEST("a close among puts and gets", a_close_among_puts_and_gets),
        TEST("a kill against a wake", a_kill_against_a_wake),
        TEST("joins of a queue", joins_of_a_queue),
        TEST("peeks among puts and gets", peeks_among_puts_and_gets),
    };
    return harness_main("seeds queue", tests, sizeof tests / sizeof *tests);
}
