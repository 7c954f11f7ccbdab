/* SPDX-License-Identifier: MIT */
/*
 * An HTTP/1.1 service that keeps every core busy:
 *
 *     /             hello
 *     /fib?n=30     computes a Fibonacci number, forked over all workers
 *     /sleep?ms=20  answers later, without keeping anybody waiting
 *
 *     service [PORT]      8080; 0 takes a free one and prints it
 *
 * Each connection is a greenlet that reads and writes as if it were alone. SIGTERM and
 * SIGINT stop the service gracefully: it accepts no more connections, answers what was
 * asked, tells the clients to close, and ends.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <grove.h>

#define HEAD_MAX 8192       /* bytes of a request's head */
#define IDLE_SECONDS 60.0   /* a silent connection is closed after so long */
#define CLOSING_SECONDS 0.5 /* the same, once the service is stopping */
#define FIB_MAX 40
#define FIB_SERIAL 16 /* below it a fork costs more than it brings */

static grove_server_t *server;

static void *fib(void *arg)
{
    long n = (long)arg;

    if (n < 2)
        return (void *)n;
    if (n < FIB_SERIAL)
        return (void *)((long)fib((void *)(n - 1)) + (long)fib((void *)(n - 2)));
    grove_t *left = grove_go(fib, (void *)(n - 1));
    long right = (long)fib((void *)(n - 2));
    long other = left ? (long)grove_await(left) : (long)fib((void *)(n - 1));
    return (void *)(other + right);
}

/* The number after "NAME=" in a query; false if it isn't there or out of range. */
static bool query_number(const char *query, const char *name, long max, long *number)
{
    size_t length = strlen(name);
    char *end;

    if (strncmp(query, name, length) != 0 || query[length] != '=')
        return false;
    long value = strtol(query + length + 1, &end, 10);
    if (end == query + length + 1 || *end != '\0' || value < 0 || value > max)
        return false;
    *number = value;
    return true;
}

/* Answers one target; the body is text. Returns the status. */
static const char *answer(const char *target, char *body, size_t size)
{
    long number;

    if (strcmp(target, "/") == 0) {
        snprintf(body, size, "hello\n");
        return "200 OK";
    }
    if (strncmp(target, "/fib?", 5) == 0 &&
        query_number(target + 5, "n", FIB_MAX, &number)) {
        snprintf(body, size, "%ld\n", (long)fib((void *)number));
        return "200 OK";
    }
    if (strncmp(target, "/sleep?", 7) == 0 &&
        query_number(target + 7, "ms", 60000, &number)) {
        grove_sleep((double)number / 1000);
        snprintf(body, size, "slept %ld ms\n", number);
        return "200 OK";
    }
    snprintf(body, size, "try /, /fib?n=30 (to %d) or /sleep?ms=20\n", FIB_MAX);
    return "404 Not Found";
}

static bool respond(int fd, const char *status, const char *body, bool keep)
{
    char response[512];
    int length = snprintf(response, sizeof response,
        "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
        "Connection: %s\r\n\r\n%s",
        status, strlen(body), keep ? "keep-alive" : "close", body);

    return grove_write_all(fd, response, (size_t)length, IDLE_SECONDS) >= 0;
}

/* Takes the request in head[0..length) apart, and answers it. False: close. */
static bool serve_request(int fd, char *head, bool client_keeps)
{
    char method[8], target[256], version[16], body[128];

    if (sscanf(head, "%7s %255s %15s", method, target, version) != 3 ||
        strncmp(version, "HTTP/1.", 7) != 0) {
        respond(fd, "400 Bad Request", "that is no HTTP request\n", false);
        return false;
    }
    if (strcmp(method, "GET") != 0) {
        respond(fd, "405 Method Not Allowed", "GET is all there is\n", false);
        return false;
    }
    const char *status = answer(target, body, sizeof body);
    bool keep = client_keeps && grove_server_accepting(server);
    return respond(fd, status, body, keep) && keep;
}

static bool keeps_alive(const char *head)
{
    return strstr(head, "HTTP/1.0") == NULL &&
           !strcasestr(head, "\r\nconnection: close");
}

/* One connection, one greenlet. The server closes fd afterwards. */
static void serve(int fd, void *arg)
{
    char buffer[HEAD_MAX + 1];
    size_t filled = 0;

    (void)arg;
    for (;;) {
        buffer[filled] = '\0';
        char *end = strstr(buffer, "\r\n\r\n");
        if (!end) {
            if (filled == HEAD_MAX)
                return;
            double patience =
                grove_server_accepting(server) ? IDLE_SECONDS : CLOSING_SECONDS;
            ssize_t n = grove_read(fd, buffer + filled, HEAD_MAX - filled, patience);
            if (n <= 0)
                return;
            filled += (size_t)n;
            continue;
        }
        *end = '\0';
        if (!serve_request(fd, buffer, keeps_alive(buffer)))
            return;
        size_t used = (size_t)(end + 4 - buffer);
        memmove(buffer, buffer + used, filled - used);
        filled -= used;
    }
}

/* A signal becomes something to read. Before the first call of the library, so that all
 * its threads leave these signals alone. */
static int signal_fd(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    int signals = signal_fd();
    struct signalfd_siginfo info;

    server = grove_server_new("127.0.0.1", argc > 1 ? argv[1] : "8080", serve, NULL);
    if (!server || signals < 0 || grove_server_start(server) < 0) {
        perror("service");
        return EXIT_FAILURE;
    }
    printf("listening on port %d with %d workers\n", grove_server_port(server),
        grove_worker_count());
    fflush(stdout);
    if (grove_read(signals, &info, sizeof info, GROVE_FOREVER) < 0)
        perror("service: signals");
    int forced = grove_server_stop(server, 5);
    printf("stopped%s\n", forced ? ", some connections were cut" : "");
    grove_server_free(server);
    close(signals);
    return grove_shutdown(5) == 0 && !forced ? EXIT_SUCCESS : EXIT_FAILURE;
}
