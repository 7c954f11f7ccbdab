/* SPDX-License-Identifier: MIT */
/*
 * Closed-loop load on an echo server on loopback: every connection keeps one message of
 * 64 bytes under way. `echo_client PORT CONNECTIONS for SECONDS PID` measures for that
 * long, after a tenth of it to warm up, and reads the CPU time of process PID at both
 * ends; `echo_client PORT CONNECTIONS count REQUESTS` sends just so many, for counting
 * system calls in the server.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE = 64,
    EVENTS = 256,
    MOST_CONNECTIONS = 10000,
    MOST_SECONDS = 60,
    MOST_REQUESTS = 10000000,
    BUCKETS = 1 << 20, /* microseconds; later ones share the last */
};

struct connection {
    int fd;
    int received; /* bytes of the echo under way */
    double sent;  /* when its request left, seconds */
};

static struct connection *connections;
static uint32_t *latency; /* requests by whole microseconds */
static int epoll;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CPU seconds of every thread of [pid], to the nanosecond where the kernel tells. */
static double cpu_of(int pid)
{
    char path[300];
    double sum = 0;
    struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    if (!threads)
        fail(path);
    while ((entry = readdir(threads))) {
        unsigned long long nanoseconds;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!file)
            continue;
        if (fscanf(file, "%llu", &nanoseconds) == 1)
            sum += (double)nanoseconds / 1e9;
        fclose(file);
    }
    closedir(threads);
    return sum;
}

static void ask(struct connection *c)
{
    static const char message[MESSAGE] = "echo";

    c->received = 0;
    c->sent = now();
    if (write(c->fd, message, MESSAGE) != MESSAGE)
        fail("write");
}

static void connect_all(int port, int n)
{
    struct sockaddr_in server = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (int i = 0; i < n; i++) {
        struct connection *c = &connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&server, sizeof server) != 0)
            fail("connect");
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
            fail("epoll_ctl");
        /* One answered request proves the connection accepted and served. */
        char echo[MESSAGE];
        ask(c);
        if (recv(c->fd, echo, MESSAGE, MSG_WAITALL) != MESSAGE)
            fail("first echo");
    }
}

/* Reads what came; true when that ends a request. */
static bool answered(struct connection *c)
{
    char echo[MESSAGE];
    ssize_t n = recv(c->fd, echo, (size_t)(MESSAGE - c->received), MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        fail("echo ended early");
    c->received += (int)n;
    return c->received == MESSAGE;
}

static void count_latency(const struct connection *c)
{
    double microseconds = (now() - c->sent) * 1e6;

    latency[microseconds < BUCKETS - 1 ? (int)microseconds : BUCKETS - 1]++;
}

/* Serves events until [limit] requests were answered or the clock says [until]. */
static long drive(long limit, double until)
{
    struct epoll_event ready[EVENTS];
    long done = 0;

    while (done < limit && now() < until) {
        int n = epoll_wait(epoll, ready, EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!answered(c))
                continue;
            count_latency(c);
            done++;
            ask(c);
        }
    }
    return done;
}

static int percentile(long total, double share)
{
    long seen = 0;

    for (int i = 0; i < BUCKETS; i++) {
        seen += latency[i];
        if ((double)seen >= share * (double)total)
            return i;
    }
    return BUCKETS - 1;
}

static void measure(double seconds, int pid)
{
    drive(MOST_REQUESTS, now() + seconds / 10);
    memset(latency, 0, BUCKETS * sizeof *latency);
    double cpu = cpu_of(pid), start = now();
    long done = drive(MOST_REQUESTS, start + seconds);
    double elapsed = now() - start;
    cpu = cpu_of(pid) - cpu;
    printf("requests=%ld per_second=%.0f cpu_us=%.3f p50_us=%d p99_us=%d\n", done,
        (double)done / elapsed, cpu * 1e6 / (double)done, percentile(done, 0.5),
        percentile(done, 0.99));
}

int main(int argc, char **argv)
{
    if (argc < 5)
        goto usage;
    int port = atoi(argv[1]), n = atoi(argv[2]);
    double amount = atof(argv[4]);
    bool timed = strcmp(argv[3], "for") == 0;
    if (port < 1 || port > 65535 || n < 1 || n > MOST_CONNECTIONS || amount <= 0 ||
        amount > (timed ? MOST_SECONDS : MOST_REQUESTS) || (timed && argc < 6) ||
        (!timed && strcmp(argv[3], "count") != 0))
        goto usage;

    connections = calloc((size_t)n, sizeof *connections);
    latency = calloc(BUCKETS, sizeof *latency);
    epoll = epoll_create1(0);
    if (!connections || !latency || epoll < 0)
        fail("set-up");
    connect_all(port, n);
    for (int i = 0; i < n; i++)
        ask(&connections[i]);
    if (timed)
        measure(amount, atoi(argv[5]));
    else
        printf("requests=%ld\n", drive((long)amount, now() + MOST_SECONDS));
    return 0;

usage:
    fprintf(stderr,
        "usage: echo_client PORT CONNECTIONS for SECONDS PID\n"
        "       echo_client PORT CONNECTIONS count REQUESTS\n"
        "at most %d connections, %d seconds, %d requests\n",
        MOST_CONNECTIONS, MOST_SECONDS, MOST_REQUESTS);
    return 2;
}
