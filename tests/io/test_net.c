/* SPDX-License-Identifier: MIT */
/* Sockets by name. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>

#include "tests/io/pairs.h"

static void port_of(int fd, char text[8])
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    CHECK_EQUAL(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    int port = address.ss_family == AF_INET6
                   ? ((struct sockaddr_in6 *)&address)->sin6_port
                   : ((struct sockaddr_in *)&address)->sin_port;
    snprintf(text, 8, "%d", ntohs((uint16_t)port));
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;

    CHECK_EQUAL(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

/* A client and a server's end talk. */
static void talk(int client, int listener)
{
    char byte = 0;
    int peer = grove_accept(listener, NULL, NULL, 5);

    if (!CHECK(client >= 0) || !CHECK(peer >= 0))
        return;
    CHECK_EQUAL(grove_write(client, "x", 1, 5), 1);
    CHECK_EQUAL(grove_read(peer, &byte, 1, 5), 1);
    CHECK_EQUAL(byte, 'x');
    CHECK(fcntl(peer, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(peer, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(client, F_GETFD) & FD_CLOEXEC);
    grove_close(client);
    grove_close(peer);
}

static void any_address_takes_both_families(void)
{
    char port[8];
    int listener = grove_tcp_listen(NULL, "0", 0);

    if (!CHECK(listener >= 0))
        return;
    port_of(listener, port);
    talk(grove_tcp_connect("127.0.0.1", port, 5), listener);
    talk(grove_tcp_connect("localhost", port, 5), listener);
    talk(grove_tcp_connect(NULL, port, 5), listener);
    int v6 = grove_tcp_connect("::1", port, 5);
    if (v6 >= 0) /* a machine may have none */
        talk(v6, listener);
    grove_close(listener);
}
EVERYWHERE(any_address_takes_both_families)

static void tcp_sends_at_once(void)
{
    char port[8];
    int listener = grove_tcp_listen("localhost", "0", 0);

    port_of(listener, port);
    int client = grove_tcp_connect("localhost", port, 5);
    int peer = grove_accept(listener, NULL, NULL, 5);
    CHECK(option(client, IPPROTO_TCP, TCP_NODELAY));
    CHECK(option(peer, IPPROTO_TCP, TCP_NODELAY));
    grove_close(client);
    grove_close(peer);
    grove_close(listener);
}
EVERYWHERE(tcp_sends_at_once)

static void accept_waits_and_tells_the_peer(void)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    char port[8];
    int listener = grove_tcp_listen("127.0.0.1", "0", 0);

    CHECK_ERROR(grove_accept(listener, NULL, NULL, 0), EAGAIN);
    CHECK_ERROR(grove_accept(listener, NULL, NULL, 0.002), ETIMEDOUT);
    port_of(listener, port);
    int client = grove_tcp_connect("127.0.0.1", port, 5);
    int peer = grove_accept(listener, (struct sockaddr *)&address, &length, 5);
    CHECK(peer >= 0);
    CHECK_EQUAL(address.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    grove_close(client);
    grove_close(peer);
    grove_close(listener);
}
EVERYWHERE(accept_waits_and_tells_the_peer)

static void nobody_listens(void)
{
    char port[8];
    int listener = grove_tcp_listen("127.0.0.1", "0", 0);

    port_of(listener, port);
    grove_close(listener);
    CHECK_ERROR(grove_tcp_connect("127.0.0.1", port, 5), ECONNREFUSED);
    CHECK_ERROR(grove_tcp_connect("localhost", port, GROVE_FOREVER), ECONNREFUSED);
}
EVERYWHERE(nobody_listens)

static void bad_names_are_refused(void)
{
    CHECK_ERROR(grove_tcp_connect("127.0.0.1", NULL, 1), EINVAL);
    CHECK_ERROR(grove_tcp_connect("127.0.0.1", "no-such-service", 1), EINVAL);
    CHECK_ERROR(grove_tcp_listen("127.0.0.1", "no-such-service", 1), EINVAL);
    CHECK_ERROR(grove_tcp_listen("192.0.2.1", "0", 1), EADDRNOTAVAIL);
    CHECK_ERROR(grove_tcp_connect("127.0.0.1", "1", NAN), EINVAL);
}
EVERYWHERE(bad_names_are_refused)

static void an_address_in_use(void)
{
    char port[8];
    int listener = grove_tcp_listen("127.0.0.1", "0", 0);

    port_of(listener, port);
    CHECK_ERROR(grove_tcp_listen("127.0.0.1", port, 0), EADDRINUSE);
    grove_close(listener);
}
EVERYWHERE(an_address_in_use)

static void udp(void)
{
    char port[8], buffer[8];
    int server = grove_udp_bind("127.0.0.1", "0");
    struct sockaddr_in from;
    socklen_t length = sizeof from;

    port_of(server, port);
    int client = grove_udp_connect("127.0.0.1", port);
    CHECK_EQUAL(grove_send(client, "abc", 3, 0, 5), 3);
    CHECK_EQUAL(
        grove_recvfrom(server, buffer, 8, 0, (struct sockaddr *)&from, &length, 5), 3);
    CHECK_EQUAL(
        grove_sendto(server, "de", 2, 0, (struct sockaddr *)&from, length, 5), 2);
    CHECK_EQUAL(grove_recv(client, buffer, 8, 0, 5), 2);
    CHECK_ERROR(grove_recv(client, buffer, 8, 0, 0.002), ETIMEDOUT);
    grove_close(client);
    grove_close(server);
}
EVERYWHERE(udp)

static void unix_sockets(void)
{
    char path[64], long_path[200];

    snprintf(path, sizeof path, "@grove-test-%d", (int)getpid());
    int listener = grove_unix_listen(path, 0);
    talk(grove_unix_connect(path, 5), listener);
    CHECK_ERROR(grove_unix_listen(path, 0), EADDRINUSE);
    grove_close(listener);
    CHECK_ERROR(grove_unix_connect(path, 5), ECONNREFUSED);

    snprintf(path, sizeof path, "grove-test-%d.socket", (int)getpid());
    listener = grove_unix_listen(path, 0);
    talk(grove_unix_connect(path, 5), listener);
    grove_close(listener);
    unlink(path);
    CHECK_ERROR(grove_unix_connect(path, 5), ENOENT);

    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    CHECK_ERROR(grove_unix_listen(long_path, 0), ENAMETOOLONG);
    CHECK_ERROR(grove_unix_connect("", 1), EINVAL);
}
EVERYWHERE(unix_sockets)

static void a_full_backlog_is_waited_for(void)
{
    enum { MOST = 32 };
    char path[64];
    int client[MOST], n = 0;

    snprintf(path, sizeof path, "@grove-full-%d", (int)getpid());
    int listener = grove_unix_listen(path, 1);
    while (n < MOST && (client[n] = grove_unix_connect(path, 0)) >= 0)
        n++;
    CHECK_EQUAL(errno, EAGAIN);
    CHECK_ERROR(grove_unix_connect(path, 0.005), ETIMEDOUT);
    int peer = grove_accept(listener, NULL, NULL, 5);
    int late = grove_unix_connect(path, 5);
    CHECK(late >= 0);
    grove_close(late);
    grove_close(peer);
    while (n > 0)
        grove_close(client[--n]);
    grove_close(listener);
}
EVERYWHERE(a_full_backlog_is_waited_for)

static void a_connection_in_progress_is_waited_for(void)
{
    enum { MOST = 16 };
    char port[8];
    int client[MOST], n = 0;
    int listener = grove_tcp_listen("127.0.0.1", "0", 1);

    /* With a full backlog the kernel drops what asks for more. */
    port_of(listener, port);
    while (n < MOST && (client[n] = grove_tcp_connect("127.0.0.1", port, 0.02)) >= 0)
        n++;
    CHECK_EQUAL(errno, ETIMEDOUT);
    CHECK(n >= 1 && n < MOST);
    while (n > 0)
        grove_close(client[--n]);
    grove_close(listener);
}
EVERYWHERE(a_connection_in_progress_is_waited_for)

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("any address takes both families", any_address_takes_both_families),
        TEST("tcp sends at once", tcp_sends_at_once),
        TEST("accept waits and tells the peer", accept_waits_and_tells_the_peer),
        TEST("nobody listens", nobody_listens),
        TEST("bad names are refused", bad_names_are_refused),
        TEST("an address in use", an_address_in_use),
        TEST("udp", udp),
        TEST("unix sockets", unix_sockets),
        TEST("a full backlog is waited for", a_full_backlog_is_waited_for),
        TEST("a connection in progress is waited for",
            a_connection_in_progress_is_waited_for),
    };
    return harness_main("net", tests, sizeof tests / sizeof *tests);
}
