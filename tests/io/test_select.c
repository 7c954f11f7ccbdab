/* SPDX-License-Identifier: MIT */
/* grove_select: of several cases exactly one happens. */
#include <grove/io.h>
#include <grove/net.h>
#include <grove/select.h>

#include <signal.h>
#include <sys/socket.h>

#include "tests/sync/runtimes.h"

/* Makes something happen after the caller has parked: local greenlets run in order. */
static void *set_event(void *event)
{
    grove_event_set(event);
    return NULL;
}

static void nothing_ready(void)
{
    grove_queue_t *queue = grove_queue_new(GROVE_FIFO, 0);
    grove_event_t event = GROVE_EVENT_INIT;
    grove_case_t cases[] = {grove_case_get(queue), grove_case_event(&event), {0}};

    CHECK_ERROR(grove_select(cases, 3, 0), ETIMEDOUT);
    CHECK_ERROR(grove_select(cases, 3, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_select(NULL, 0, 0.001), ETIMEDOUT);
    grove_queue_free(queue);
}
EVERYWHERE(nothing_ready)

static void bad_arguments(void)
{
    grove_case_t unknown = {.kind = 99}, none = {.kind = GROVE_CASE_GET};
    grove_case_t never = grove_case_timer(NAN), closed = grove_case_readable(-1);

    CHECK_ERROR(grove_select(&unknown, 1, 0), EINVAL);
    CHECK_ERROR(grove_select(&none, 1, 0), EINVAL);
    CHECK_ERROR(grove_select(NULL, 1, 0), EINVAL);
    CHECK_ERROR(grove_select(&never, 1, 1), EINVAL);
    CHECK_ERROR(grove_select(NULL, 0, NAN), EINVAL);
    CHECK_EQUAL(grove_select(&closed, 1, 0), 0);
    CHECK_EQUAL(closed.error, EBADF);
}
ALONE(bad_arguments)

static void ready_at_once(void)
{
    grove_queue_t *full = grove_queue_new(GROVE_FIFO, 1);
    grove_queue_t *room = grove_queue_new(GROVE_FIFO, 1);
    void *item = NULL;
    int value;

    grove_queue_put(full, &value, 0);
    grove_case_t cases[] = {grove_case_get(room), grove_case_get(full)};
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
    CHECK(cases[1].item == &value);
    CHECK_EQUAL(cases[1].error, 0);
    cases[0] = grove_case_put(room, &value);
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_queue_get(room, 0, &item), 0);
    CHECK(item == &value);
    grove_queue_free(room);
    grove_queue_free(full);
}
EVERYWHERE(ready_at_once)

static void *put_item(void *arg)
{
    CHECK_EQUAL(grove_queue_put(arg, arg, GROVE_FOREVER), 0);
    return NULL;
}

static void *get_item(void *arg)
{
    void *item = NULL;

    CHECK_EQUAL(grove_queue_get(arg, GROVE_FOREVER, &item), 0);
    return item;
}

static void waits_for_an_item(void)
{
    grove_queue_t *queue[3];
    grove_case_t cases[3];

    for (int i = 0; i < 3; i++) {
        queue[i] = grove_queue_new(i == 1 ? GROVE_CHANNEL : GROVE_LIFO, 1);
        cases[i] = grove_case_get(queue[i]);
    }
    for (int i = 0; i < 3; i++) {
        grove_t *putter = must(grove_go(put_item, queue[i]));
        CHECK_EQUAL(grove_select(cases, 3, GROVE_FOREVER), i);
        CHECK(cases[i].item == queue[i]);
        grove_await(putter);
    }
    /* Nothing of the losers is left behind. */
    CHECK_ERROR(grove_queue_put(queue[1], NULL, 0), EAGAIN);
    for (int i = 0; i < 3; i++)
        grove_queue_free(queue[i]);
}
EVERYWHERE(waits_for_an_item)

static void waits_for_room(void)
{
    grove_queue_t *full = grove_queue_new(GROVE_FIFO, 1);
    grove_queue_t *channel = grove_queue_new(GROVE_CHANNEL, 0);
    int first, second;

    grove_queue_put(full, &first, 0);
    grove_case_t cases[] = {
        grove_case_put(full, &second), grove_case_put(channel, &second)};
    grove_t *getter = must(grove_go(get_item, full));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 0);
    CHECK(grove_await(getter) == &first);
    getter = must(grove_go(get_item, channel));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
    CHECK(grove_await(getter) == &second);
    CHECK_EQUAL(grove_queue_size(full), 1);
    grove_queue_free(channel);
    grove_queue_free(full);
}
EVERYWHERE(waits_for_room)

static void waits_for_an_event(void)
{
    grove_event_t event[2] = {GROVE_EVENT_INIT, GROVE_EVENT_INIT};
    grove_case_t cases[] = {grove_case_event(&event[0]), grove_case_event(&event[1])};

    grove_t *setter = must(grove_go(set_event, &event[1]));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
    grove_await(setter);
    CHECK_ERROR(grove_event_wait(&event[0], 0), ETIMEDOUT);
}
EVERYWHERE(waits_for_an_event)

static void *fail_result(void *result)
{
    grove_result_fail(result, EDOM, "no");
    return NULL;
}

static void waits_for_a_result(void)
{
    grove_result_t result[2] = {GROVE_RESULT_INIT, GROVE_RESULT_INIT};
    grove_case_t cases[] = {
        grove_case_result(&result[0]), grove_case_result(&result[1])};

    grove_t *failing = must(grove_go(fail_result, &result[1]));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
    CHECK_EQUAL(cases[1].error, EDOM);
    grove_await(failing);
    grove_result_set(&result[0], result);
    CHECK_EQUAL(grove_select(cases, 1, GROVE_FOREVER), 0);
    CHECK(cases[0].item == result);
    CHECK_EQUAL(cases[0].error, 0);
    grove_result_destroy(&result[1]);
}
EVERYWHERE(waits_for_a_result)

static void *give_back(void *arg)
{
    grove_yield();
    return arg;
}

static void *sleep_long(void *arg)
{
    grove_sleep(1000);
    return arg;
}

static void waits_for_an_end(void)
{
    int value;
    grove_t *later = must(grove_go(sleep_long, NULL));
    grove_t *soon = must(grove_go(give_back, &value));
    grove_case_t cases[] = {grove_case_end(later), grove_case_end(soon)};

    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
    CHECK(cases[1].item == &value);
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1); /* it stays ended */
    CHECK_EQUAL(grove_kill_with(later, EDOM, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_select(cases, 1, GROVE_FOREVER), 0);
    grove_release(later);
    grove_release(soon);
}
EVERYWHERE(waits_for_an_end)

static void *release_permit(void *semaphore)
{
    grove_semaphore_release(semaphore);
    return NULL;
}

static void waits_for_a_permit(void)
{
    grove_semaphore_t semaphore = GROVE_SEMAPHORE_INIT(0);
    grove_lock_t lock = GROVE_LOCK_INIT;
    grove_case_t cases[] = {grove_case_semaphore(&semaphore), grove_case_lock(&lock)};

    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
    CHECK(grove_lock_locked(&lock));
    grove_t *releaser = must(grove_go(release_permit, &semaphore));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 0);
    grove_await(releaser);
    CHECK_EQUAL(grove_semaphore_value(&semaphore), 0);
    /* The lock has been handed to nobody. */
    CHECK_EQUAL(grove_lock_release(&lock), 0);
    CHECK_EQUAL(grove_lock_acquire(&lock, 0), 0);
}
EVERYWHERE(waits_for_a_permit)

static void *write_byte(void *arg)
{
    int *fds = arg;

    CHECK_EQUAL(grove_write_all(fds[1], "x", 1, GROVE_FOREVER), 0);
    return NULL;
}

static void waits_for_a_descriptor(void)
{
    int fds[2];
    char byte;
    grove_event_t event = GROVE_EVENT_INIT;

    CHECK_EQUAL(grove_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    grove_case_t cases[] = {grove_case_event(&event), grove_case_readable(fds[0]),
        grove_case_writable(fds[0])};
    CHECK_EQUAL(grove_select(cases, 3, GROVE_FOREVER), 2);
    grove_t *writer = must(grove_go(write_byte, fds));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
    CHECK_EQUAL(cases[1].error, 0);
    grove_await(writer);
    CHECK_EQUAL(grove_select(cases, 2, 0), 1);
    CHECK_EQUAL(grove_read(fds[0], &byte, 1, 0), 1);
    grove_t *setter = must(grove_go(set_event, &event));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 0);
    grove_await(setter);
    grove_close(fds[1]);
    grove_close(fds[0]);
}
EVERYWHERE(waits_for_a_descriptor)

static void *close_fd(void *arg)
{
    grove_close(*(int *)arg);
    return NULL;
}

static void closed_descriptor(void)
{
    int fds[2];

    CHECK_EQUAL(grove_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    grove_case_t cases[] = {grove_case_readable(fds[0]), {0}};
    grove_t *closer = must(grove_go(close_fd, &fds[0]));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 0);
    CHECK_EQUAL(cases[0].error, EBADF);
    grove_await(closer);
    grove_close(fds[1]);
}
EVERYWHERE(closed_descriptor)

static void timers(void)
{
    grove_event_t event = GROVE_EVENT_INIT;
    grove_case_t cases[] = {
        grove_case_timer(1000), grove_case_event(&event), grove_case_timer(0.001)};

    CHECK_EQUAL(grove_select(cases, 3, GROVE_FOREVER), 2);
    CHECK_EQUAL(grove_select(cases, 3, 10), 2);
    CHECK_ERROR(grove_select(cases, 2, 0.001), ETIMEDOUT);
    cases[2] = grove_case_timer(0);
    CHECK_EQUAL(grove_select(cases, 3, GROVE_FOREVER), 2);
    grove_event_set(&event);
    CHECK_EQUAL(grove_select(cases, 3, GROVE_FOREVER), 1);
}
EVERYWHERE(timers)

static void *close_queue(void *queue)
{
    grove_queue_close(queue);
    return NULL;
}

static void closed_queue(void)
{
    grove_queue_t *queue = grove_queue_new(GROVE_CHANNEL, 0);
    grove_event_t event = GROVE_EVENT_INIT;
    grove_case_t cases[] = {grove_case_get(queue), grove_case_event(&event)};

    grove_t *closer = must(grove_go(close_queue, queue));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 0);
    CHECK_EQUAL(cases[0].error, EPIPE);
    grove_await(closer);
    cases[0] = grove_case_put(queue, NULL);
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 0);
    CHECK_EQUAL(cases[0].error, EPIPE);
    grove_queue_free(queue);
}
EVERYWHERE(closed_queue)

/* All are ready: each happens now and then. */
static void no_case_starves(void)
{
    grove_event_t event[5];
    grove_case_t cases[5];
    int happened[5] = {0};

    for (int i = 0; i < 5; i++) {
        event[i] = (grove_event_t)GROVE_EVENT_INIT;
        grove_event_set(&event[i]);
        cases[i] = grove_case_event(&event[i]);
    }
    for (int i = 0; i < 1000; i++) {
        int index = grove_select(cases, 5, GROVE_FOREVER);
        if (CHECK(index >= 0 && index < 5))
            happened[index]++;
    }
    for (int i = 0; i < 5; i++)
        CHECK(happened[i] > 100);
}
EVERYWHERE(no_case_starves)

/* Both sides of one channel in one select don't meet. */
static void not_with_itself(void)
{
    grove_queue_t *channel = grove_queue_new(GROVE_CHANNEL, 0);
    grove_case_t cases[] = {grove_case_get(channel), grove_case_put(channel, channel)};

    CHECK_ERROR(grove_select(cases, 2, 0.001), ETIMEDOUT);
    grove_t *putter = must(grove_go(put_item, channel));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 0);
    grove_await(putter);
    grove_queue_free(channel);
}
EVERYWHERE(not_with_itself)

static void *select_get_then_put(void *arg)
{
    grove_queue_t **channel = arg;
    grove_case_t cases[] = {
        grove_case_get(channel[0]), grove_case_put(channel[1], channel)};

    return (void *)(intptr_t)(1 + grove_select(cases, 2, GROVE_FOREVER));
}

static void two_selects_meet(void)
{
    grove_queue_t *channel[2] = {
        grove_queue_new(GROVE_CHANNEL, 0), grove_queue_new(GROVE_CHANNEL, 0)};
    grove_case_t cases[] = {
        grove_case_put(channel[0], channel), grove_case_get(channel[1])};

    for (size_t i = harness_rounds(1000); i > 0; i--) {
        grove_t *other = must(grove_go(select_get_then_put, channel));
        int mine = grove_select(cases, 2, GROVE_FOREVER);
        CHECK(mine == 0 || mine == 1);
        CHECK_EQUAL((intptr_t)grove_await(other) - 1, mine);
    }
    grove_queue_free(channel[1]);
    grove_queue_free(channel[0]);
}
EVERYWHERE(two_selects_meet)

static void *select_for_ever(void *arg)
{
    grove_case_t cases[] = {grove_case_get(arg), grove_case_put(arg, arg)};

    CHECK_ERROR(grove_select(cases, 2, GROVE_FOREVER), ECANCELED);
    return NULL;
}

static void killed(void)
{
    grove_queue_t *channel = grove_queue_new(GROVE_CHANNEL, 0);
    grove_t *victim = must(grove_go(select_for_ever, channel));

    while (!grove_started(victim))
        grove_yield();
    CHECK_EQUAL(grove_kill(victim, GROVE_FOREVER), 0);
    CHECK_ERROR(grove_queue_put(channel, NULL, 0), EAGAIN);
    grove_release(victim);
    grove_queue_free(channel);
}
EVERYWHERE(killed)

static void grove_timeout_ends_it(void)
{
    grove_timeout_t timeout;
    grove_event_t event = GROVE_EVENT_INIT;
    grove_case_t cases[] = {grove_case_event(&event), grove_case_timer(1000)};

    grove_timeout_start(&timeout, 0.001);
    CHECK_ERROR(grove_select(cases, 2, GROVE_FOREVER), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
}
EVERYWHERE(grove_timeout_ends_it)

/* From a plain thread, which sleeps in the kernel. */
static void on_thread(void *arg)
{
    void **objects = arg;
    grove_case_t cases[] = {grove_case_event(objects[0]), grove_case_get(objects[1])};

    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
    CHECK(cases[1].item == objects[1]);
    CHECK_ERROR(grove_select(cases, 2, 0.001), ETIMEDOUT);
    int fds[2];
    CHECK_EQUAL(grove_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cases[1] = grove_case_writable(fds[1]);
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
    cases[1] = grove_case_readable(fds[1]);
    CHECK_ERROR(grove_select(cases, 2, 0.001), ETIMEDOUT);
    grove_close(fds[0]);
    grove_close(fds[1]);
}

static void plain_thread(void)
{
    grove_event_t event = GROVE_EVENT_INIT;
    grove_queue_t *channel = grove_queue_new(GROVE_CHANNEL, 0);
    void *objects[] = {&event, channel};

    grove_t *putter = must(grove_go(put_item, channel));
    in_thread(on_thread, objects);
    grove_await(putter);
    grove_queue_free(channel);
}
EVERYWHERE(plain_thread)

static void *raise_signal(void *arg)
{
    kill(getpid(), SIGUSR1);
    return arg;
}

static void waits_for_a_signal(void)
{
    grove_event_t event = GROVE_EVENT_INIT;
    grove_case_t cases[] = {grove_case_event(&event), grove_case_signal(SIGUSR1)};

    for (size_t i = harness_rounds(20); i > 0; i--) {
        grove_t *raiser = must(grove_spawn(raise_signal, NULL));
        CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 1);
        CHECK_EQUAL(cases[1].error, 0);
        grove_await(raiser);
    }
    CHECK_ERROR(grove_select(cases, 2, 0), ETIMEDOUT);
    CHECK_ERROR(grove_select(cases, 2, 0.001), ETIMEDOUT);
    grove_t *setter = must(grove_go(set_event, &event));
    CHECK_EQUAL(grove_select(cases, 2, GROVE_FOREVER), 0);
    grove_await(setter);
    cases[0] = grove_case_signal(SIGKILL);
    CHECK_ERROR(grove_select(cases, 2, GROVE_FOREVER), EINVAL);
    /* Nothing is caught any more. */
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    CHECK(now.sa_handler == SIG_DFL);
}
EVERYWHERE(waits_for_a_signal)

static void many_cases(void)
{
    enum { N = 100 };
    grove_event_t *events = calloc(N, sizeof *events);
    grove_case_t cases[N];

    for (int i = 0; i < N; i++)
        cases[i] = grove_case_event(&events[i]);
    for (int i = 0; i < N; i += 7) {
        grove_t *setter = must(grove_go(set_event, &events[i]));
        CHECK_EQUAL(grove_select(cases, N, GROVE_FOREVER), i);
        grove_await(setter);
        grove_event_clear(&events[i]);
    }
    free(events);
}
EVERYWHERE(many_cases)

/*
 * Many greenlets put and get by selects over a few channels and queues, while others
 * kill and time them out: each item that was put was got exactly once.
 */
enum { CHANNELS = 3, PLAYERS = 8 };

static struct arena {
    grove_queue_t *queue[CHANNELS];
    grove_semaphore_t semaphore;
    _Atomic(intptr_t) next_item, put_sum, got_sum, puts, gets, permits;
    size_t rounds;
} arena;

static void count_put(intptr_t item)
{
    atomic_fetch_add(&arena.puts, 1);
    atomic_fetch_add(&arena.put_sum, item);
}

static void count_got(intptr_t item)
{
    atomic_fetch_add(&arena.gets, 1);
    atomic_fetch_add(&arena.got_sum, item);
}

static void play_once(uint64_t *state)
{
    grove_case_t cases[CHANNELS + 1];
    double timeout = random_next(state) % 8 == 0 ? 0.00002 : 0.01;

    for (int i = 0; i < CHANNELS; i++) {
        grove_queue_t *queue = arena.queue[random_next(state) % CHANNELS];
        intptr_t item = atomic_fetch_add(&arena.next_item, 1);
        cases[i] = random_next(state) % 2 ? grove_case_get(queue)
                                          : grove_case_put(queue, (void *)item);
    }
    cases[CHANNELS] = grove_case_semaphore(&arena.semaphore);
    int index = grove_select(cases, CHANNELS + 1, timeout);
    if (index < 0) {
        CHECK(errno == ETIMEDOUT || errno == ECANCELED);
        grove_kill_clear();
    } else if (index == CHANNELS) {
        atomic_fetch_add(&arena.permits, 1);
        grove_semaphore_release(&arena.semaphore);
        atomic_fetch_sub(&arena.permits, 1);
    } else {
        CHECK_EQUAL(cases[index].error, 0);
        if (cases[index].kind == GROVE_CASE_GET)
            count_got((intptr_t)cases[index].item);
        else
            count_put((intptr_t)cases[index].item);
    }
}

static void *play(void *arg)
{
    uint64_t state = harness_seed() * 31 + (uintptr_t)arg;

    for (size_t i = 0; i < arena.rounds; i++)
        play_once(&state);
    return NULL;
}

static void play_on_thread(void *arg)
{
    play(arg);
}

static void *kill_players(void *arg)
{
    grove_t **players = arg;
    uint64_t state = harness_seed();

    for (size_t i = 0; i < arena.rounds; i++) {
        grove_kill(players[random_next(&state) % PLAYERS], 0);
        grove_sleep(0.0001);
    }
    return NULL;
}

static void nothing_lost(void)
{
    grove_t *players[PLAYERS];

    arena = (struct arena){.semaphore = GROVE_SEMAPHORE_INIT(1),
        .next_item = 1,
        .rounds = harness_rounds(2000)};
    arena.queue[0] = grove_queue_new(GROVE_CHANNEL, 0);
    arena.queue[1] = grove_queue_new(GROVE_CHANNEL, 0);
    arena.queue[2] = grove_queue_new(GROVE_FIFO, 2);
    for (intptr_t i = 0; i < PLAYERS; i++)
        players[i] = must(grove_go(play, (void *)(i + 2)));
    grove_t *killer = must(grove_go(kill_players, players));
    in_thread(play_on_thread, (void *)1);
    grove_joinall(players, PLAYERS, GROVE_FOREVER);
    grove_await(killer);
    void *item;
    while (grove_queue_get(arena.queue[2], 0, &item) == 0)
        count_got((intptr_t)item);
    CHECK_EQUAL(arena.puts, arena.gets);
    CHECK_EQUAL(arena.put_sum, arena.got_sum);
    CHECK_EQUAL(grove_semaphore_value(&arena.semaphore), 1);
    for (int i = 0; i < PLAYERS; i++)
        grove_release(players[i]);
    for (int i = 0; i < CHANNELS; i++)
        grove_queue_free(arena.queue[i]);
}
EVERYWHERE(nothing_lost)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("nothing ready", nothing_ready),
        TEST("bad arguments", bad_arguments),
        TEST("ready at once", ready_at_once),
        TEST("waits for an item", waits_for_an_item),
        TEST("waits for room", waits_for_room),
        TEST("waits for an event", waits_for_an_event),
        TEST("waits for a result", waits_for_a_result),
        TEST("waits for an end", waits_for_an_end),
        TEST("waits for a permit", waits_for_a_permit),
        TEST("waits for a descriptor", waits_for_a_descriptor),
        TEST("a closed descriptor", closed_descriptor),
        TEST("timers", timers),
        TEST("a closed queue", closed_queue),
        TEST("no case starves", no_case_starves),
        TEST("not with itself", not_with_itself),
        TEST("two selects meet", two_selects_meet),
        TEST("killed", killed),
        TEST("a grove_timeout ends it", grove_timeout_ends_it),
        TEST("on a plain thread", plain_thread),
        TEST("waits for a signal", waits_for_a_signal),
        TEST("many cases", many_cases),
        TEST("nothing is lost or doubled", nothing_lost),
    };
    return harness_main("select", tests, sizeof tests / sizeof *tests);
}
