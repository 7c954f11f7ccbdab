/* SPDX-License-Identifier: MIT */
/* Reading and writing. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "tests/io/pairs.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS 0
#endif
#endif
#ifndef COUNTS
#define COUNTS 1
#endif

#if COUNTS
static _Atomic(int) reads;

ssize_t read(int fd, void *buffer, size_t n)
{
    atomic_fetch_add(&reads, 1);
    return syscall(SYS_read, fd, buffer, n);
}

ssize_t recv(int fd, void *buffer, size_t n, int flags)
{
    atomic_fetch_add(&reads, 1);
    return syscall(SYS_recvfrom, fd, buffer, n, flags, NULL, NULL);
}
#endif

static void *attempt_read_four(void *arg)
{
    struct attempt *attempt = arg;
    char *four = calloc(1, 5);

    attempt->result = grove_read_exact(attempt->fd, four, 4, attempt->timeout);
    attempt->error = errno;
    return four;
}

static void short_reads_come_at_once(void)
{
    char buffer[16];
    int fds[2];
    make_pair(fds);

    CHECK_EQUAL(grove_read(fds[0], buffer, 0, GROVE_FOREVER), 0);
    CHECK_EQUAL(write(fds[1], "abc", 3), 3);
    CHECK_EQUAL(grove_read(fds[0], buffer, sizeof buffer, GROVE_FOREVER), 3);
    /* The descriptor counts as empty now: data that is there before the next call ...
     */
    CHECK_EQUAL(write(fds[1], "de", 2), 2);
    CHECK_EQUAL(grove_read(fds[0], buffer, sizeof buffer, GROVE_FOREVER), 2);
    /* ... must be seen, also without waiting. */
    CHECK_EQUAL(write(fds[1], "f", 1), 1);
    CHECK_EQUAL(grove_read(fds[0], buffer, sizeof buffer, 0), 1);
    CHECK_ERROR(grove_read(fds[0], buffer, sizeof buffer, 0), EAGAIN);
    close_both(fds);
}
EVERYWHERE(short_reads_come_at_once)

static void the_end_is_read_again_and_again(void)
{
    char buffer[16];
    int fds[2];
    make_pair(fds);

    CHECK_EQUAL(write(fds[1], "abc", 3), 3);
    grove_close(fds[1]);
    CHECK_EQUAL(grove_read(fds[0], buffer, sizeof buffer, GROVE_FOREVER), 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(grove_read(fds[0], buffer, sizeof buffer, GROVE_FOREVER), 0);
    grove_close(fds[0]);
}
EVERYWHERE(the_end_is_read_again_and_again)

enum { LARGE = 3000000 };

static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

static void *read_large(void *arg)
{
    unsigned char *data = malloc(LARGE);
    size_t wrong = 0;

    CHECK_EQUAL(grove_read_exact(*(int *)arg, data, LARGE, GROVE_FOREVER), 0);
    for (size_t i = 0; i < LARGE; i++)
        wrong += data[i] != pattern(i);
    CHECK_EQUAL(wrong, 0);
    free(data);
    return NULL;
}

static void large_data_arrives_whole(void)
{
    unsigned char *data = malloc(LARGE);
    int fds[2];
    make_pair(fds);
    grove_t *reader = spawn_elsewhere(read_large, &fds[0]);

    for (size_t i = 0; i < LARGE; i++)
        data[i] = pattern(i);
    CHECK_EQUAL(grove_write_all(fds[1], data, LARGE, GROVE_FOREVER), 0);
    grove_await(reader);
    free(data);
    close_both(fds);
}
EVERYWHERE(large_data_arrives_whole)

static void pieces_make_a_whole(void)
{
    int fds[2];
    make_pipe(fds);
    struct attempt attempt = {.fd = fds[0], .timeout = GROVE_FOREVER};
    grove_t *reader = spawn_elsewhere(attempt_read_four, &attempt);

    for (const char *next = "wxyz"; *next; next++) {
        let_elsewhere_wait();
        CHECK(!grove_ready(reader));
        CHECK_EQUAL(write(fds[1], next, 1), 1);
    }
    char *four = grove_await(reader);
    CHECK_EQUAL(attempt.result, 0);
    CHECK_STRING(four, "wxyz");
    free(four);
    close_both(fds);
}
EVERYWHERE(pieces_make_a_whole)

static void an_early_end_breaks_the_whole(void)
{
    char four[4];
    int fds[2];
    make_pipe(fds);

    CHECK_EQUAL(write(fds[1], "ab", 2), 2);
    CHECK_ERROR(grove_read_exact(fds[0], four, 4, 0), EAGAIN);
    close(fds[1]);
    CHECK_ERROR(grove_read_exact(fds[0], four, 4, GROVE_FOREVER), EPIPE);
    CHECK_EQUAL(grove_read_exact(fds[0], four, 0, GROVE_FOREVER), 0);
    grove_close(fds[0]);
}
EVERYWHERE(an_early_end_breaks_the_whole)

static void *drip(void *arg)
{
    while (grove_write(*(int *)arg, "x", 1, GROVE_FOREVER) == 1)
        if (grove_sleep(0.001) < 0)
            break;
    return NULL;
}

static void drips_do_not_prolong_the_timeout(void)
{
    char *data = malloc(LARGE);
    int fds[2];
    make_pair(fds);
    grove_t *dripper = must(grove_spawn(drip, &fds[1]));

    CHECK_ERROR(grove_read_exact(fds[0], data, LARGE, 0.02), ETIMEDOUT);
    grove_kill(dripper, GROVE_FOREVER);
    grove_release(dripper);
    free(data);
    close_both(fds);
}
EVERYWHERE(drips_do_not_prolong_the_timeout)

static void a_full_socket_times_out(void)
{
    char *data = calloc(1, LARGE);
    int fds[2];
    make_pair(fds);

    CHECK_ERROR(grove_write_all(fds[0], data, LARGE, 0.002), ETIMEDOUT);
    CHECK_ERROR(grove_write(fds[0], data, 1, 0), EAGAIN);
    free(data);
    close_both(fds);
}
EVERYWHERE(a_full_socket_times_out)

static void a_lost_peer_is_no_signal(void)
{
    struct iovec part = {"x", 1};
    int fds[2];
    make_pair(fds);

    grove_close(fds[1]);
    CHECK_ERROR(grove_write(fds[0], "x", 1, GROVE_FOREVER), EPIPE);
    CHECK_ERROR(grove_write_all(fds[0], "x", 1, GROVE_FOREVER), EPIPE);
    CHECK_ERROR(grove_writev(fds[0], &part, 1, GROVE_FOREVER), EPIPE);
    CHECK_ERROR(grove_send(fds[0], "x", 1, 0, GROVE_FOREVER), EPIPE);
    grove_close(fds[0]);
}
EVERYWHERE(a_lost_peer_is_no_signal)

static void vectors(void)
{
    char a[2], b[8];
    struct iovec out[] = {{"abc", 3}, {"de", 2}}, in[] = {{a, sizeof a}, {b, sizeof b}};
    int fds[2];
    make_pair(fds);

    CHECK_EQUAL(grove_writev(fds[1], out, 2, GROVE_FOREVER), 5);
    CHECK_EQUAL(grove_readv(fds[0], in, 2, GROVE_FOREVER), 5);
    CHECK(memcmp(a, "ab", 2) == 0 && memcmp(b, "cde", 3) == 0);
    CHECK_ERROR(grove_readv(fds[0], in, 2, 0.001), ETIMEDOUT);
    CHECK_ERROR(grove_readv(fds[0], in, -1, 0), EINVAL);
    CHECK_ERROR(grove_writev(fds[0], in, -1, 0), EINVAL);
    close_both(fds);
}
EVERYWHERE(vectors)

static void flags_of_receives(void)
{
    char buffer[8];
    int fds[2];
    make_pair(fds);

    CHECK_ERROR(grove_recv(fds[0], buffer, 8, MSG_DONTWAIT, GROVE_FOREVER), EAGAIN);
    CHECK_EQUAL(grove_send(fds[1], "abc", 3, 0, GROVE_FOREVER), 3);
    CHECK_EQUAL(grove_recv(fds[0], buffer, 8, MSG_PEEK, GROVE_FOREVER), 3);
    CHECK_EQUAL(grove_recv(fds[0], buffer, 8, MSG_PEEK, GROVE_FOREVER), 3);
    CHECK_EQUAL(grove_recv(fds[0], buffer, 8, 0, GROVE_FOREVER), 3);
    CHECK_ERROR(grove_recv(fds[0], buffer, 8, 0, 0.001), ETIMEDOUT);
    close_both(fds);
}
EVERYWHERE(flags_of_receives)

static void messages_keep_their_bounds(void)
{
    char buffer[8];
    struct iovec part = {buffer, sizeof buffer};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int fds[2];
    CHECK_EQUAL(grove_socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);

    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(grove_send(fds[1], "abc", 3, 0, GROVE_FOREVER), 3);
    CHECK_EQUAL(
        grove_sendmsg(fds[1],
            &(struct msghdr){.msg_iov = &(struct iovec){"de", 2}, .msg_iovlen = 1}, 0,
            GROVE_FOREVER),
        2);
    CHECK_EQUAL(grove_recvmsg(fds[0], &message, 0, GROVE_FOREVER), 3);
    CHECK_EQUAL(grove_recv(fds[0], buffer, 8, 0, GROVE_FOREVER), 3);
    CHECK_EQUAL(grove_recvfrom(fds[0], buffer, 8, 0, NULL, NULL, GROVE_FOREVER), 3);
    CHECK_EQUAL(grove_read(fds[0], buffer, 8, GROVE_FOREVER), 2);
    CHECK_ERROR(grove_recvmsg(fds[0], &message, 0, 0.001), ETIMEDOUT);
    close_both(fds);
}
EVERYWHERE(messages_keep_their_bounds)

static void wrong_kinds_are_refused(void)
{
    char byte;
    int fds[2];
    make_pipe(fds);

    CHECK_ERROR(grove_recv(fds[0], &byte, 1, 0, GROVE_FOREVER), ENOTSOCK);
    CHECK_ERROR(grove_read(fds[1], &byte, 1, GROVE_FOREVER), EBADF);
    CHECK_ERROR(grove_accept(fds[0], NULL, NULL, GROVE_FOREVER), ENOTSOCK);
    close_both(fds);
}
EVERYWHERE(wrong_kinds_are_refused)

static void files(void)
{
    char buffer[4];
    FILE *file = tmpfile();
    int fd = fileno(file);

    CHECK_EQUAL(grove_write_all(fd, "abc", 3, GROVE_FOREVER), 0);
    CHECK_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQUAL(grove_read(fd, buffer, 4, GROVE_FOREVER), 3);
    CHECK_EQUAL(grove_read(fd, buffer, 4, GROVE_FOREVER), 0);
    fclose(file);
}
EVERYWHERE(files)

static _Atomic(int) interruptions;

static void interrupted(int signal)
{
    (void)signal;
    atomic_fetch_add(&interruptions, 1);
}

static void *interrupt(void *arg)
{
    pthread_t main_thread = *(pthread_t *)arg;

    while (atomic_load(&interruptions) < 200) {
        int before = atomic_load(&interruptions);
        pthread_kill(main_thread, SIGUSR1);
        for (int i = 0; i < 1000 && atomic_load(&interruptions) == before; i++)
            usleep(50);
    }
    return NULL;
}

static void *write_when_interrupted(void *arg)
{
    while (atomic_load(&interruptions) < 200)
        usleep(1000);
    CHECK_EQUAL(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

static void signals_are_not_seen(void)
{
    struct sigaction action = {.sa_handler = interrupted}, old;
    pthread_t self = pthread_self(), pest, writer;
    char byte;
    int fds[2];
    make_pipe(fds);

    atomic_store(&interruptions, 0);
    sigaction(SIGUSR1, &action, &old);
    pthread_create(&pest, NULL, interrupt, &self);
    pthread_create(&writer, NULL, write_when_interrupted, &fds[1]);
    CHECK_EQUAL(grove_read(fds[0], &byte, 1, GROVE_FOREVER), 1);
    pthread_join(pest, NULL);
    pthread_join(writer, NULL);
    sigaction(SIGUSR1, &old, NULL);
    close_both(fds);
}
ALONE(signals_are_not_seen)

#if COUNTS
enum { ROUNDS = 100 };

static void *echo(void *arg)
{
    char buffer[64];
    ssize_t n;

    while ((n = grove_read(*(int *)arg, buffer, sizeof buffer, GROVE_FOREVER)) > 0)
        CHECK_EQUAL(grove_write_all(*(int *)arg, buffer, (size_t)n, GROVE_FOREVER), 0);
    return NULL;
}

static void an_echo_is_one_read(void)
{
    char buffer[64];
    int fds[2];
    make_pair(fds);
    grove_t *other = spawn_elsewhere(echo, &fds[1]);

    reads = 0;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQUAL(grove_write(fds[0], "hello", 5, GROVE_FOREVER), 5);
        CHECK_EQUAL(grove_read(fds[0], buffer, sizeof buffer, GROVE_FOREVER), 5);
    }
    /* Two a round, one for each side; a few for the first and for doorbells. */
    CHECK(reads >= 2 * ROUNDS);
    CHECK(reads <= 2 * ROUNDS + ROUNDS / 10);
    grove_close(fds[0]);
    grove_await(other);
    grove_close(fds[1]);
}
ALONE(an_echo_is_one_read)
#endif

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("short reads come at once", short_reads_come_at_once),
        TEST("the end is read again and again", the_end_is_read_again_and_again),
        TEST("large data arrives whole", large_data_arrives_whole),
        TEST("pieces make a whole", pieces_make_a_whole),
        TEST("an early end breaks the whole", an_early_end_breaks_the_whole),
        TEST("drips do not prolong the timeout", drips_do_not_prolong_the_timeout),
        TEST("a full socket times out", a_full_socket_times_out),
        TEST("a lost peer is no signal", a_lost_peer_is_no_signal),
        TEST("vectors", vectors),
        TEST("flags of receives", flags_of_receives),
        TEST("messages keep their bounds", messages_keep_their_bounds),
        TEST("wrong kinds are refused", wrong_kinds_are_refused),
        TEST("files", files),
        TEST("signals are not seen", signals_are_not_seen),
#if COUNTS
        TEST("an echo is one read", an_echo_is_one_read),
#endif
    };
    return harness_main("transfer", tests, sizeof tests / sizeof *tests);
}
