/* SPDX-License-Identifier: MIT */
/* Waiting for descriptors: readiness, timeouts, kills, and what the kernel is asked. */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/io/pairs.h"

/* Counts libev's calls. */
static _Atomic(int) controls;

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    atomic_fetch_add(&controls, 1);
    return (int)syscall(SYS_epoll_ctl, set, operation, fd, event);
}

static void read_waits_for_a_write(void)
{
    int fds[2];
    make_pipe(fds);
    struct attempt reader = {.fd = fds[0], .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(attempt_read, &reader);

    let_elsewhere_wait();
    CHECK(!grove_ready(greenlet));
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    grove_await(greenlet);
    CHECK_EQUAL(reader.result, 1);
    CHECK_EQUAL(reader.byte, 'x');
    close_both(fds);
}
EVERYWHERE(read_waits_for_a_write)

static void all_waiters_wake(void)
{
    enum { WAITERS = 5 };
    struct attempt waiter[WAITERS];
    grove_t *greenlet[WAITERS];
    int fds[2];
    make_pipe(fds);

    for (int i = 0; i < WAITERS; i++) {
        waiter[i] = (struct attempt){
            .fd = fds[0], .events = GROVE_READ, .timeout = GROVE_FOREVER};
        greenlet[i] = spawn_elsewhere(attempt_wait, &waiter[i]);
    }
    let_elsewhere_wait();
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    for (int i = 0; i < WAITERS; i++) {
        grove_await(greenlet[i]);
        CHECK_EQUAL(waiter[i].result, 0);
    }
    close_both(fds);
}
EVERYWHERE(all_waiters_wake)

static void workers_share_a_descriptor(void)
{
    int fds[2];
    make_pipe(fds);
    struct attempt there = {
        .fd = fds[0], .events = GROVE_READ, .timeout = GROVE_FOREVER};
    struct attempt here = there;
    grove_t *first = spawn_elsewhere(attempt_wait, &there);
    grove_t *second = must(grove_spawn(attempt_wait, &here));

    let_elsewhere_wait();
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    grove_await(first);
    grove_await(second);
    CHECK_EQUAL(there.result, 0);
    CHECK_EQUAL(here.result, 0);
    close_both(fds);
}
PAIR(workers_share_a_descriptor)

static void either_direction_will_do(void)
{
    int fds[2];
    make_pair(fds);

    CHECK_EQUAL(grove_wait_fd(fds[0], GROVE_READ | GROVE_WRITE, GROVE_FOREVER), 0);
    CHECK_EQUAL(grove_wait_fd(fds[0], GROVE_WRITE, GROVE_FOREVER), 0);
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    CHECK_EQUAL(grove_wait_fd(fds[0], GROVE_READ, GROVE_FOREVER), 0);
    close_both(fds);
}
EVERYWHERE(either_direction_will_do)

static void end_of_the_peer_wakes(void)
{
    int fds[2];
    make_pair(fds);
    struct attempt reader = {.fd = fds[0], .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(attempt_read, &reader);

    let_elsewhere_wait();
    grove_close(fds[1]);
    grove_await(greenlet);
    CHECK_EQUAL(reader.result, 0);
    grove_close(fds[0]);
}
EVERYWHERE(end_of_the_peer_wakes)

static void time_runs_out(void)
{
    char byte;
    int fds[2];
    make_pipe(fds);

    double start = (double)timers_clock();
    CHECK_ERROR(grove_wait_fd(fds[0], GROVE_READ, 0.002), ETIMEDOUT);
    CHECK_ERROR(grove_read(fds[0], &byte, 1, 0.002), ETIMEDOUT);
    CHECK((double)timers_clock() - start >= 4e6);
    CHECK_ERROR(grove_wait_fd(fds[0], GROVE_READ, 0), ETIMEDOUT);
    CHECK_ERROR(grove_read(fds[0], &byte, 1, 0), EAGAIN);
    CHECK_ERROR(grove_read(fds[0], &byte, 1, NAN), EINVAL);
    close_both(fds);
}
EVERYWHERE(time_runs_out)

static void timeouts_over_a_block_work(void)
{
    char byte;
    int fds[2];
    grove_timeout_t timeout;
    make_pipe(fds);

    grove_timeout_start(&timeout, 0.002);
    CHECK_ERROR(grove_read(fds[0], &byte, 1, GROVE_FOREVER), ETIMEDOUT);
    CHECK(grove_timeout_stop(&timeout));
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    CHECK_EQUAL(grove_read(fds[0], &byte, 1, GROVE_FOREVER), 1);
    close_both(fds);
}
EVERYWHERE(timeouts_over_a_block_work)

static void a_kill_ends_the_wait(void)
{
    int fds[2];
    make_pipe(fds);
    struct attempt reader = {.fd = fds[0], .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(attempt_read, &reader);

    let_elsewhere_wait();
    CHECK_EQUAL(grove_kill(greenlet, GROVE_FOREVER), 0);
    CHECK_EQUAL(reader.result, -1);
    CHECK_EQUAL(reader.error, ECANCELED);
    grove_release(greenlet);
    /* Nobody is left who could be woken. */
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    CHECK_EQUAL(grove_wait_fd(fds[0], GROVE_READ, GROVE_FOREVER), 0);
    close_both(fds);
}
EVERYWHERE(a_kill_ends_the_wait)

static void bad_descriptors_are_refused(void)
{
    char byte;
    int closed = dup(0);

    close(closed);
    CHECK_ERROR(grove_read(-1, &byte, 1, GROVE_FOREVER), EBADF);
    CHECK_ERROR(grove_read(closed, &byte, 1, GROVE_FOREVER), EBADF);
    CHECK_ERROR(grove_read(INT32_MAX, &byte, 1, GROVE_FOREVER), EBADF);
    CHECK_ERROR(grove_wait_fd(closed, GROVE_READ, GROVE_FOREVER), EBADF);
    CHECK_ERROR(grove_close(-1), EBADF);
    CHECK_ERROR(grove_close(closed), EBADF);
    CHECK_ERROR(grove_wait_fd(0, 0, GROVE_FOREVER), EINVAL);
    CHECK_ERROR(grove_wait_fd(0, 4, GROVE_FOREVER), EINVAL);
}
EVERYWHERE(bad_descriptors_are_refused)

static void path_descriptors_are_refused(void)
{
    int fd = open("/", O_PATH);

    CHECK_ERROR(grove_wait_fd(fd, GROVE_READ, GROVE_FOREVER), EBADF);
    close(fd);
}
EVERYWHERE(path_descriptors_are_refused)

static void files_are_always_ready(void)
{
    static const char *const names[] = {"/proc/self/exe", "/dev/null", "/"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int fd = open(names[i], O_RDONLY);
        CHECK_EQUAL(grove_wait_fd(fd, GROVE_READ, GROVE_FOREVER), 0);
        CHECK_EQUAL(grove_wait_fd(fd, GROVE_READ, 0), 0);
        grove_close(fd);
    }
}
EVERYWHERE(files_are_always_ready)

static void a_plain_thread_waits_natively(void *arg)
{
    int *fds = arg;
    char byte = 0;

    CHECK_ERROR(grove_read(fds[0], &byte, 1, 0.002), ETIMEDOUT);
    CHECK_ERROR(grove_read(fds[0], &byte, 1, 0), EAGAIN);
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    CHECK_EQUAL(grove_read(fds[0], &byte, 1, GROVE_FOREVER), 1);
    CHECK_EQUAL(byte, 'x');
    CHECK_EQUAL(grove_wait_fd(fds[1], GROVE_WRITE, 1), 0);
}

static void plain_threads_wait(void)
{
    int fds[2];
    make_pipe(fds);

    in_thread(a_plain_thread_waits_natively, fds);
    close_both(fds);
}
EVERYWHERE(plain_threads_wait)

static void bounce(int from, int to, int rounds)
{
    char byte;

    for (int i = 0; i < rounds; i++) {
        CHECK_EQUAL(grove_read(from, &byte, 1, GROVE_FOREVER), 1);
        CHECK_EQUAL(grove_write(to, &byte, 1, GROVE_FOREVER), 1);
    }
}

enum { ROUNDS = 200 };

static void *bounce_back(void *arg)
{
    bounce(*(int *)arg, *(int *)arg, ROUNDS);
    return NULL;
}

static void waits_cost_no_epoll_ctl(void)
{
    int fds[2];
    make_pair(fds);
    grove_t *other = spawn_elsewhere(bounce_back, &fds[1]);

    controls = 0;
    CHECK_EQUAL(grove_write(fds[0], "x", 1, GROVE_FOREVER), 1);
    bounce(fds[0], fds[0], ROUNDS - 1);
    char byte;
    CHECK_EQUAL(grove_read(fds[0], &byte, 1, GROVE_FOREVER), 1);
    grove_await(other);
    CHECK(controls <= 8);
    close_both(fds);
}
EVERYWHERE(waits_cost_no_epoll_ctl)

static void unread_data_does_not_keep_the_worker_awake(void)
{
    char byte;
    int fds[2];
    struct rusage before, after;
    make_pair(fds);

    CHECK_ERROR(grove_read(fds[0], &byte, 1, 0.001), ETIMEDOUT);
    CHECK_EQUAL(write(fds[1], "xy", 2), 2);
    controls = 0;
    getrusage(RUSAGE_THREAD, &before);
    CHECK_EQUAL(grove_sleep(0.05), 0);
    getrusage(RUSAGE_THREAD, &after);
    CHECK(controls <= 2);
    /* Spinning would never sleep: here it does once at least. */
    CHECK(after.ru_nvcsw > before.ru_nvcsw);
    CHECK_EQUAL(grove_read(fds[0], &byte, 1, GROVE_FOREVER), 1);
    CHECK_EQUAL(grove_read(fds[0], &byte, 1, GROVE_FOREVER), 1);
    close_both(fds);
}
ALONE(unread_data_does_not_keep_the_worker_awake)

static void *read_byte_by_byte(void *arg)
{
    int fd = *(int *)arg;
    intptr_t sum = 0;
    char byte;

    while (grove_read(fd, &byte, 1, GROVE_FOREVER) == 1)
        sum++;
    return (void *)sum;
}

static void many_at_once(void)
{
    enum { PAIRS = 200, BYTES = 20 };
    static int fds[PAIRS][2];
    grove_t *reader[PAIRS];

    for (int i = 0; i < PAIRS; i++) {
        make_pair(fds[i]);
        reader[i] = must(greenlet_spawn_on(
            workers[i % worker_count], read_byte_by_byte, &fds[i][0], NULL));
    }
    for (int n = 0; n < BYTES; n++) {
        for (int i = 0; i < PAIRS; i++)
            CHECK_EQUAL(grove_write(fds[i][1], "x", 1, GROVE_FOREVER), 1);
        grove_yield();
    }
    for (int i = 0; i < PAIRS; i++) {
        grove_close(fds[i][1]);
        CHECK_EQUAL((intptr_t)grove_await(reader[i]), BYTES);
        grove_close(fds[i][0]);
    }
}
EVERYWHERE(many_at_once)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a read waits for a write", read_waits_for_a_write),
        TEST("all waiters wake", all_waiters_wake),
        TEST("workers share a descriptor", workers_share_a_descriptor),
        TEST("either direction will do", either_direction_will_do),
        TEST("the end of the peer wakes", end_of_the_peer_wakes),
        TEST("time runs out", time_runs_out),
        TEST("timeouts over a block work", timeouts_over_a_block_work),
        TEST("a kill ends the wait", a_kill_ends_the_wait),
        TEST("bad descriptors are refused", bad_descriptors_are_refused),
        TEST("path descriptors are refused", path_descriptors_are_refused),
        TEST("files are always ready", files_are_always_ready),
        TEST("plain threads wait", plain_threads_wait),
        TEST("waits cost no epoll_ctl", waits_cost_no_epoll_ctl),
        TEST("unread data does not keep the worker awake",
            unread_data_does_not_keep_the_worker_awake),
        TEST("many at once", many_at_once),
    };
    return harness_main("wait", tests, sizeof tests / sizeof *tests);
}
