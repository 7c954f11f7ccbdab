/* SPDX-License-Identifier: MIT */

/* The segment from inside. What grove-stat makes of it: tests/tools/test_grove_stat.c
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sched/stats.h"
#include "tests/harness.h"

static const struct stats_setup two_workers = {.workers = 2, .backend = "epoll"};

/* The open descriptor of a segment, or -1. */
static int segment_descriptor(void)
{
    char path[32], target[64];

    for (int fd = 0; fd < 1024; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        if (!strcmp(target, "/memfd:" STATS_SEGMENT_NAME " (deleted)"))
            return fd;
    }
    return -1;
}

static void only_the_owner_may_open_it(void)
{
    struct stat status = {0};

    CHECK_EQUAL(stats_open(&two_workers), 0);
    CHECK_EQUAL(fstat(segment_descriptor(), &status), 0);
    CHECK_EQUAL(status.st_mode & 0777, 0600);
    stats_close();
}

static void it_cannot_be_truncated(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    CHECK_EQUAL(ftruncate(segment_descriptor(), 0), -1);
    CHECK_EQUAL(errno, EPERM);
    stats_close();
}

static void it_is_not_inherited_by_exec(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    CHECK_EQUAL(fcntl(segment_descriptor(), F_GETFD), FD_CLOEXEC);
    stats_close();
}

static void close_leaves_nothing(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    CHECK(segment_descriptor() >= 0);
    stats_close();
    CHECK_EQUAL(segment_descriptor(), -1);
    CHECK(!stats_shared());
}

static void close_spares_a_descriptor_not_ours(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    int number = segment_descriptor();
    int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_EQUAL(dup2(other, number), number);
    stats_close();
    CHECK(fcntl(number, F_GETFD) >= 0);
    close(number);
    close(other);
}

static void second_open_is_refused(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    CHECK_EQUAL(stats_open(&two_workers), -EBUSY);
    stats_close();
}

static void worker_count_is_checked(void)
{
    static const int counts[] = {-1, 0, STATS_WORKERS_MAX + 1};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct stats_setup setup = {.workers = counts[i]};
        CHECK_EQUAL(stats_open(&setup), -EINVAL);
    }
    CHECK_EQUAL(segment_descriptor(), -1);
}

static void blocks_share_no_line(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    CHECK_EQUAL((uintptr_t)stats_worker(0) % STATS_ALIGNMENT, 0);
    CHECK_EQUAL((uintptr_t)stats_worker(1) % STATS_ALIGNMENT, 0);
    CHECK(stats_worker(0) != stats_worker(1));
    stats_close();
}

static void closed_segment_still_has_blocks_to_write(void)
{
    struct stats_worker *worker = stats_worker(0);

    stats_add(worker, switches, 1);
    CHECK(stats_worker(7) == worker);
    struct stats_worker *guest = stats_guest_attach();
    stats_add(guest, switches, 1);
    stats_guest_detach(guest);
}

static void sleeping_and_waking_divide_the_time(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    struct stats_worker *worker = stats_worker(0);
    stats_worker_start(worker, 0);
    uint64_t start = worker->state_since;

    stats_park(worker, start + 100);
    CHECK_EQUAL(worker->state, STATS_PARKED);
    stats_unpark(worker, start + 1100);
    CHECK_EQUAL(worker->state, STATS_RUNNING);
    stats_search(worker);
    stats_park(worker, start + 1120);
    CHECK_EQUAL(worker->busy_ns, 120);
    CHECK_EQUAL(worker->idle_ns, 1000);
    CHECK_EQUAL(worker->parks, 2);
    stats_close();
}

static void guest_block_is_used_again(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    struct stats_worker *first = stats_guest_attach();
    stats_add(first, switches, 3);
    stats_set(first, timers_pending, 2);
    stats_guest_detach(first);
    struct stats_worker *second = stats_guest_attach();

    CHECK(second == first);
    CHECK_EQUAL(second->switches, 0);
    CHECK_EQUAL(second->timers_pending, 0);
    struct stats_worker *ended = first + STATS_GUESTS;
    CHECK_EQUAL(ended->switches, 3);
    CHECK_EQUAL(ended->timers_pending, 0);
    stats_guest_detach(second);
    stats_close();
}

static void *guest_churn(void *unused)
{
    for (int i = 0; i < 200; i++) {
        struct stats_worker *guest = stats_guest_attach();
        stats_add(guest, switches, 1);
        stats_guest_detach(guest);
    }
    return unused;
}

static void guests_lose_no_counts(void)
{
    pthread_t threads[4];

    CHECK_EQUAL(stats_open(&two_workers), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, guest_churn, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL((stats_worker(1) + 1 + STATS_GUESTS)->switches, 800);
    stats_close();
}

static void guest_may_outlive_the_segment(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    struct stats_worker *guest = stats_guest_attach();
    stats_close();
    stats_add(guest, switches, 1);
    CHECK_EQUAL(stats_open(&two_workers), 0);
    stats_guest_detach(guest);
    CHECK_EQUAL((stats_worker(1) + 1 + STATS_GUESTS)->switches, 0);
    stats_close();
}

static int in_child(bool (*holds)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(holds() ? 0 : 1);
    waitpid(child, &status, 0);
    return status;
}

static struct stats_worker *inherited;

static bool child_starts_from_zero(void)
{
    struct stats_header *header = (struct stats_header *)stats_worker(0) - 1;
    bool fresh = stats_worker(0) == inherited && inherited->switches == 0 &&
                 inherited->thread_id == (uint64_t)getpid() && inherited->pu == 4 &&
                 header->pid == (uint64_t)getpid() && stats_shared();

    stats_add(inherited, switches, 100);
    return fresh;
}

static void fork_leaves_the_parent_alone(void)
{
    CHECK_EQUAL(stats_open(&two_workers), 0);
    inherited = stats_worker(0);
    stats_worker_start(inherited, 4);
    stats_add(inherited, switches, 5);
    CHECK_EQUAL(in_child(child_starts_from_zero), 0);
    CHECK_EQUAL(inherited->switches, 5);
    stats_close();
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"only the owner may open it", only_the_owner_may_open_it},
        {"it cannot be truncated", it_cannot_be_truncated},
        {"it is not inherited by exec", it_is_not_inherited_by_exec},
        {"close leaves nothing", close_leaves_nothing},
        {"close spares a descriptor not ours", close_spares_a_descriptor_not_ours},
        {"second open is refused", second_open_is_refused},
        {"worker count is checked", worker_count_is_checked},
        {"blocks share no line", blocks_share_no_line},
        {"closed segment still has blocks", closed_segment_still_has_blocks_to_write},
        {"sleeping and waking divide the time", sleeping_and_waking_divide_the_time},
        {"guest block is used again", guest_block_is_used_again},
        {"guests lose no counts", guests_lose_no_counts},
        {"guest may outlive the segment", guest_may_outlive_the_segment},
        {"fork leaves the parent alone", fork_leaves_the_parent_alone},
    };
    return harness_main("stats", tests, sizeof tests / sizeof *tests);
}
