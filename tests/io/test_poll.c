/* SPDX-License-Identifier: MIT */
/* grove_poll: poll(2) for greenlets. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>

#include "tests/io/pairs.h"

struct polling {
    struct pollfd *fds;
    nfds_t n;
    double timeout;
    int result, error;
};

static void *run_poll(void *arg)
{
    struct polling *polling = arg;

    polling->result = grove_poll(polling->fds, polling->n, polling->timeout);
    polling->error = errno;
    return NULL;
}

static void revents_are_those_of_poll(void)
{
    int pair[2], ends[2], closed = dup(0);
    make_pair(pair);
    make_pipe(ends);
    close(closed);
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    close(ends[1]);

    struct pollfd fds[] = {
        {.fd = pair[0], .events = POLLIN | POLLOUT},
        {.fd = pair[1], .events = POLLIN},
        {.fd = ends[0], .events = POLLIN},
        {.fd = closed, .events = POLLIN},
        {.fd = -1, .events = POLLIN, .revents = 77},
    };
    CHECK_EQUAL(grove_poll(fds, 5, GROVE_FOREVER), 3);
    CHECK_EQUAL(fds[0].revents, POLLIN | POLLOUT);
    CHECK_EQUAL(fds[1].revents, 0);
    CHECK_EQUAL(fds[2].revents, POLLHUP);
    CHECK_EQUAL(fds[3].revents, POLLNVAL);
    CHECK_EQUAL(fds[4].revents, 0);
    close_both(pair);
    grove_close(ends[0]);
}
EVERYWHERE(revents_are_those_of_poll)

static void time_runs_out(void)
{
    int pair[2];
    make_pair(pair);
    struct pollfd fd = {.fd = pair[0], .events = POLLIN};

    CHECK_EQUAL(grove_poll(&fd, 1, 0), 0);
    CHECK_EQUAL(grove_poll(&fd, 1, 0.002), 0);
    CHECK_EQUAL(grove_poll(NULL, 0, 0.002), 0);
    CHECK_ERROR(grove_poll(&fd, 1, NAN), EINVAL);
    close_both(pair);
}
EVERYWHERE(time_runs_out)

static void first_of_many_wakes(void)
{
    enum { PIPES = 100, READY = 63 };
    static int ends[PIPES][2];
    struct pollfd fds[PIPES];

    for (int i = 0; i < PIPES; i++) {
        make_pipe(ends[i]);
        fds[i] = (struct pollfd){.fd = ends[i][0], .events = POLLIN};
    }
    struct polling polling = {.fds = fds, .n = PIPES, .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(run_poll, &polling);
    let_elsewhere_wait();
    CHECK_EQUAL(write(ends[READY][1], "x", 1), 1);
    grove_await(greenlet);
    CHECK_EQUAL(polling.result, 1);
    for (int i = 0; i < PIPES; i++) {
        CHECK_EQUAL(fds[i].revents, i == READY ? POLLIN : 0);
        close_both(ends[i]);
    }
}
EVERYWHERE(first_of_many_wakes)

static void a_number_may_come_twice(void)
{
    int pair[2];
    make_pair(pair);
    struct pollfd fds[] = {
        {.fd = pair[0], .events = POLLIN}, {.fd = pair[0], .events = POLLIN}};
    struct polling polling = {.fds = fds, .n = 2, .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(run_poll, &polling);

    let_elsewhere_wait();
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    grove_await(greenlet);
    CHECK_EQUAL(polling.result, 2);
    close_both(pair);
}
EVERYWHERE(a_number_may_come_twice)

static void a_close_meanwhile_is_told(void)
{
    int one[2], other[2];
    make_pair(one);
    make_pair(other);
    struct pollfd fds[] = {
        {.fd = one[0], .events = POLLIN}, {.fd = other[0], .events = POLLIN}};
    struct polling polling = {.fds = fds, .n = 2, .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(run_poll, &polling);

    let_elsewhere_wait();
    grove_close(other[0]);
    int again[2];
    make_pipe(again); /* the number is in use again when the poll looks */
    CHECK_EQUAL(again[0], other[0]);
    grove_await(greenlet);
    CHECK_EQUAL(polling.result, 1);
    CHECK_EQUAL(fds[0].revents, 0);
    CHECK_EQUAL(fds[1].revents, POLLNVAL);
    close_both(one);
    close_both(again);
    grove_close(other[1]);
}
EVERYWHERE(a_close_meanwhile_is_told)

static void connect_tcp(int fds[2])
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int listener = grove_tcp_listen("127.0.0.1", "0", 1);

    CHECK_EQUAL(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQUAL(grove_connect(fds[1], (struct sockaddr *)&address, length, 5), 0);
    fds[0] = grove_accept(listener, NULL, NULL, 5);
    grove_close(listener);
}

static void urgent_data_alone(void)
{
    int fds[2];
    connect_tcp(fds);
    struct pollfd fd = {.fd = fds[0], .events = POLLPRI};
    struct polling polling = {.fds = &fd, .n = 1, .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(run_poll, &polling);

    let_elsewhere_wait();
    CHECK_EQUAL(send(fds[1], "a", 1, 0), 1);
    let_elsewhere_wait();
    CHECK(!grove_ready(greenlet));
    CHECK_EQUAL(send(fds[1], "u", 1, MSG_OOB), 1);
    grove_await(greenlet);
    CHECK_EQUAL(polling.result, 1);
    CHECK_EQUAL(fd.revents, POLLPRI);
    close_both(fds);
}
EVERYWHERE(urgent_data_alone)

static void hang_up_alone(void)
{
    int fds[2];
    make_pair(fds);
    struct pollfd fd = {.fd = fds[0], .events = 0};
    struct polling polling = {.fds = &fd, .n = 1, .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(run_poll, &polling);

    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    let_elsewhere_wait();
    CHECK(!grove_ready(greenlet));
    grove_close(fds[1]);
    grove_await(greenlet);
    CHECK_EQUAL(polling.result, 1);
    CHECK_EQUAL(fd.revents, POLLHUP);
    grove_close(fds[0]);
}
EVERYWHERE(hang_up_alone)

static void time_runs_out_on_urgent_data(void)
{
    int fds[2];
    make_pair(fds);
    struct pollfd fd = {.fd = fds[0], .events = POLLPRI};

    CHECK_EQUAL(grove_poll(&fd, 1, 0.002), 0);
    close_both(fds);
}
EVERYWHERE(time_runs_out_on_urgent_data)

static void on_plain_thread(void *arg)
{
    int *fds = arg;
    struct pollfd fd = {.fd = fds[0], .events = POLLIN};

    CHECK_EQUAL(grove_poll(&fd, 1, 0.002), 0);
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    CHECK_EQUAL(grove_poll(&fd, 1, GROVE_FOREVER), 1);
    CHECK_EQUAL(fd.revents, POLLIN);
}

static void plain_threads_poll(void)
{
    int fds[2];
    make_pair(fds);

    in_thread(on_plain_thread, fds);
    close_both(fds);
}
EVERYWHERE(plain_threads_poll)

static void a_kill_ends_it(void)
{
    int fds[2];
    make_pair(fds);
    struct pollfd fd = {.fd = fds[0], .events = POLLIN};
    struct polling polling = {.fds = &fd, .n = 1, .timeout = GROVE_FOREVER};
    grove_t *greenlet = spawn_elsewhere(run_poll, &polling);

    let_elsewhere_wait();
    grove_kill(greenlet, GROVE_FOREVER);
    grove_release(greenlet);
    CHECK_EQUAL(polling.result, -1);
    CHECK_EQUAL(polling.error, ECANCELED);
    close_both(fds);
}
EVERYWHERE(a_kill_ends_it)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("revents are those of poll", revents_are_those_of_poll),
        TEST("time runs out", time_runs_out),
        TEST("the first of many wakes", first_of_many_wakes),
        TEST("a number may come twice", a_number_may_come_twice),
        TEST("a close meanwhile is told", a_close_meanwhile_is_told),
        TEST("urgent data alone", urgent_data_alone),
        TEST("a hang-up alone", hang_up_alone),
        TEST("time runs out on urgent data", time_runs_out_on_urgent_data),
        TEST("plain threads poll", plain_threads_poll),
        TEST("a kill ends it", a_kill_ends_it),
    };
    return harness_main("poll", tests, sizeof tests / sizeof *tests);
}
