/* SPDX-License-Identifier: MIT */
#ifndef IO_SERVER_H
#define IO_SERVER_H

/*
 * A server and its sessions, one for each connection.
 *
 * Why one greenlet accepts for all workers: a listener for each worker (SO_REUSEPORT)
 * shares connections out by a hash, unevenly and for good, and loses those in the
 * backlog of a worker that is busy; one socket watched by all wakes all for each
 * connection, as libev knows no EPOLLEXCLUSIVE. A connection's way to another worker is
 * one message, once.
 *
 *   state, references   anybody
 *   accepting           written by who may write listener, read by anybody
 *   section guards      active, live, doomed, killing, and the links of sessions
 *   load[i]             raised by the acceptor, lowered by the sessions of worker i
 *   session             its greenlet; greenlet is set while it is in a list
 *   listener, acceptor, port, error    who moved state from STOPPED to STARTING or from
 *                       RUNNING to STOPPING, until the next move
 *   everything else     constant while it runs
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <grove/event.h>
#include <grove/semaphore.h>
#include <grove/server.h>

#include "sched/greenlet.h"
#include "sched/section.h"
#include "sched/worker.h"

enum server_state { SERVER_STOPPED, SERVER_STARTING, SERVER_RUNNING, SERVER_STOPPING };

struct session {
    struct session *next, *prev;
    struct session_list *list; /* NULL: in none */
    struct grove_server *server;
    struct grove *greenlet;
    struct worker *worker;
    int fd;
    uint64_t generation; /* of fd */
    bool uncounted;      /* it is stopping its own server */
};

struct session_list {
    struct session *first;
};

struct grove_server {
    char *host; /* NULL: any */
    char *port_name;
    void (*handle)(int fd, void *arg);
    void *arg;
    int backlog, max, batch;
    bool reuse_port;

    _Atomic(int) state;
    _Atomic(bool) accepting;
    _Atomic(uint32_t) references; /* the user's and one for each session */
    int listener;                 /* -1: none */
    int port;
    int error; /* why it stopped by itself; 0: it didn't */
    struct grove *acceptor;
    grove_event_t stopped;
    grove_semaphore_t slots; /* sessions that may still be added, if max */
    _Atomic(uint32_t) load[STATS_WORKERS_MAX]; /* sessions of each worker */
    int next_worker; /* where the search for the least loaded one begins */

    struct section section;
    size_t active; /* sessions, also those whose greenlet hasn't run yet */
    struct session_list live, doomed;
    bool killing;
    grove_event_t idle; /* set whenever active becomes 0 */
};

/* The greenlet that accepts. */
void *acceptor_run(void *server);

/* Gives a connection to a worker. -1 with errno; then [fd] is still the caller's. */
int session_start(struct grove_server *server, int fd);

/* Kills all that run, and lets no other begin. */
void session_kill_all(struct grove_server *server);

/* The caller, if it is a session of this server, is no longer counted nor killed. */
void session_excuse_self(struct grove_server *server);

void server_release(struct grove_server *server);

/* The acceptor ends by itself: of an error, or 0 if it was killed by others. */
void server_closed(struct grove_server *server, int error);

#endif
