/* SPDX-License-Identifier: MIT */
/* Closing descriptors that others use, and numbers that are given out anew. */
#define _GNU_SOURCE /* pipe2 */
#include "io/fd_life.h"

#include <netinet/in.h>

#include "io/fd_watch.h"
#include "tests/io/pairs.h"

/* A read that meets the close of its descriptor is what is tested here; ThreadSanitizer
 * takes it for a mistake. */
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "race_top:close\n";
}

static void close_wakes_readers_and_writers(void)
{
    char full[4096] = {0};
    int fds[2];
    make_pair(fds);
    struct attempt reader = {.fd = fds[0], .timeout = GROVE_FOREVER};
    struct attempt writer = {
        .fd = fds[0], .events = GROVE_WRITE, .timeout = GROVE_FOREVER};

    while (grove_write(fds[0], full, sizeof full, 0) > 0)
        ;
    CHECK_EQUAL(errno, EAGAIN);
    grove_t *first = spawn_elsewhere(attempt_read, &reader);
    grove_t *second = spawn_elsewhere(attempt_wait, &writer);
    let_elsewhere_wait();
    CHECK_EQUAL(grove_close(fds[0]), 0);
    grove_await(first);
    grove_await(second);
    CHECK_EQUAL(reader.result, -1);
    CHECK_EQUAL(reader.error, EBADF);
    CHECK_EQUAL(writer.result, -1);
    CHECK_EQUAL(writer.error, EBADF);
    grove_close(fds[1]);
}
EVERYWHERE(close_wakes_readers_and_writers)

static void close_wakes_all_workers(void)
{
    int fds[2];
    make_pipe(fds);
    struct attempt there = {.fd = fds[0], .timeout = GROVE_FOREVER}, here = there;
    grove_t *first = spawn_elsewhere(attempt_read, &there);
    grove_t *second = must(grove_spawn(attempt_read, &here));

    let_elsewhere_wait();
    grove_yield();
    grove_close(fds[0]);
    grove_await(first);
    grove_await(second);
    CHECK_EQUAL(there.error, EBADF);
    CHECK_EQUAL(here.error, EBADF);
    grove_close(fds[1]);
}
EVERYWHERE(close_wakes_all_workers)

static void a_number_used_again_wakes_nobody_of_before(void)
{
    for (size_t i = 0; i < harness_rounds(500); i++) {
        int old[2], new[2];
        make_pair(old);
        struct attempt reader = {.fd = old[0], .timeout = GROVE_FOREVER};
        grove_t *greenlet = spawn_elsewhere(attempt_read, &reader);
        let_elsewhere_wait();
        grove_close(old[0]);
        make_pair(new);
        CHECK_EQUAL(new[0], old[0]);
        CHECK_EQUAL(grove_write(new[1], "n", 1, 0), 1);
        grove_await(greenlet);
        CHECK_EQUAL(reader.result, -1);
        CHECK_EQUAL(reader.error, EBADF);
        /* What was sent is for the new one's reader alone. */
        struct attempt next = {.fd = new[0], .timeout = GROVE_FOREVER};
        grove_await(spawn_elsewhere(attempt_read, &next));
        CHECK_EQUAL(next.byte, 'n');
        close_both(new);
        grove_close(old[1]);
    }
}
EVERYWHERE(a_number_used_again_wakes_nobody_of_before)

/* Half of a churn: waits on whatever its partner gives it, until it is told to stop. */
struct churn {
    _Atomic(int) fd; /* -1: over */
    _Atomic(int) wrong;
};

static void *wait_for_whatever(void *arg)
{
    struct churn *churn = arg;
    char byte;
    int fd;

    while ((fd = atomic_load(&churn->fd)) >= 0) {
        /* Never a byte: nobody writes. It may be closed at any moment. */
        if (grove_read(fd, &byte, 1, GROVE_FOREVER) != -1 || errno != EBADF)
            atomic_fetch_add(&churn->wrong, 1);
    }
    return NULL;
}

/* The writers stay open a turn longer, so that no reader meets an end of file. They are
 * all non-blocking from the start: a number that has just been closed and given out
 * anew may be read before the library has looked at it. */
static void closing_races_with_waiting(void)
{
    struct churn churn = {.wrong = 0};
    int fds[2], next[2], late = -1;

    CHECK_EQUAL(pipe2(fds, O_NONBLOCK), 0);
    churn.fd = fds[0];
    grove_t *waiter = spawn_elsewhere(wait_for_whatever, &churn);
    for (size_t i = 0; i < harness_rounds(5000); i++) {
        CHECK_EQUAL(pipe2(next, O_NONBLOCK), 0);
        atomic_store(&churn.fd, next[0]);
        grove_close(fds[0]);
        if (i % 3 == 0)
            let_elsewhere_wait();
        grove_close(late);
        late = fds[1];
        fds[0] = next[0];
        fds[1] = next[1];
    }
    atomic_store(&churn.fd, -1);
    grove_close(fds[0]);
    grove_await(waiter);
    grove_close(late);
    grove_close(fds[1]);
    CHECK_EQUAL(churn.wrong, 0);
}
PAIR(closing_races_with_waiting)

static void plain_close_before_the_kernel_knows(void)
{
    struct fd_wait wait;
    struct fd_link link = {.wait = &wait, .events = EV_READ};
    int fds[2];
    make_pipe(fds);

    /* As fd_wait_park does it, but nothing runs before the close. */
    link.watch = fd_watch_of(worker_self, fds[0]);
    wait.links = &link;
    wait.count = 1;
    CHECK_EQUAL(waiter_init(&wait.waiter), 0);
    wait.waiter.detach = fd_watch_detach;
    CHECK_EQUAL(fd_watch_link(&wait), 0);
    close(fds[0]);
    CHECK_EQUAL(waiter_park(&wait.waiter, GROVE_FOREVER), EBADF);
    grove_close(fds[1]);
}
EVERYWHERE(plain_close_before_the_kernel_knows)

static void plain_close_behind_a_waiter(void)
{
    int fds[2];
    make_pair(fds);
    struct attempt reader = {.fd = fds[0], .timeout = 0.01};
    grove_t *greenlet = spawn_elsewhere(attempt_read, &reader);

    let_elsewhere_tell_the_kernel();
    close(fds[0]);
    grove_await(greenlet);
    CHECK_EQUAL(reader.result, -1);
    grove_close(fds[1]);
}
EVERYWHERE(plain_close_behind_a_waiter)

static void accepted_number_closed_plainly_before(void)
{
    int listener = grove_tcp_listen("127.0.0.1", "0", 0);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fds[2];

    CHECK_EQUAL(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    make_pair(fds);
    struct attempt reader = {.fd = fds[0], .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(attempt_read, &reader);
    let_elsewhere_tell_the_kernel();
    close(fds[0]);
    CHECK_EQUAL(grove_connect(client, (struct sockaddr *)&address, length, 1), 0);
    int peer = grove_accept(listener, NULL, NULL, 1);
    CHECK_EQUAL(peer, fds[0]);
    grove_await(greenlet); /* the library knows now that the number is a new one */
    CHECK_EQUAL(reader.error, EBADF);
    struct attempt next = {.fd = peer, .timeout = GROVE_FOREVER};
    greenlet = spawn_elsewhere(attempt_read, &next);
    let_elsewhere_wait();
    CHECK_EQUAL(grove_write(client, "n", 1, 0), 1);
    grove_await(greenlet);
    CHECK_EQUAL(next.byte, 'n');
    grove_close(peer);
    grove_close(client);
    grove_close(listener);
    grove_close(fds[1]);
}
EVERYWHERE(accepted_number_closed_plainly_before)

static void numbers_of_any_size(void)
{
    static const int numbers[] = {
        0, 63, 64, 191, 192, 1023, 100000, 1 << 30, INT32_MAX};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        fd_life_find(numbers[i]);
    int high = fcntl(0, F_DUPFD, 700);
    CHECK(high >= 700);
    CHECK(fd_life_begin(high, 0));
    CHECK(fd_life_find(high) != NULL);
    CHECK(fd_life_find(high) != fd_life_find(high + 1));
    CHECK_EQUAL(grove_close(high), 0);
}
EVERYWHERE(numbers_of_any_size)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("close wakes readers and writers", close_wakes_readers_and_writers),
        TEST("close wakes all workers", close_wakes_all_workers),
        TEST("a number used again wakes nobody of before",
            a_number_used_again_wakes_nobody_of_before),
        TEST("closing races with waiting", closing_races_with_waiting),
        TEST(
            "plain close before the kernel knows", plain_close_before_the_kernel_knows),
        TEST("plain close behind a waiter", plain_close_behind_a_waiter),
        TEST("an accepted number that was closed plainly",
            accepted_number_closed_plainly_before),
        TEST("numbers of any size", numbers_of_any_size),
    };
    return harness_main("close", tests, sizeof tests / sizeof *tests);
}
