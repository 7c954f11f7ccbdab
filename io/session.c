/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include <grove/greenlet.h>
#include <grove/io.h>

#include "io/fd_life.h"
#include "io/server.h"
#include "sched/spawn.h"

static void list_add(struct session_list *list, struct session *session)
{
    session->list = list;
    session->prev = NULL;
    session->next = list->first;
    if (list->first)
        list->first->prev = session;
    list->first = session;
}

static void list_remove(struct session *session)
{
    if (!session->list)
        return;
    if (session->prev)
        session->prev->next = session->next;
    else
        session->list->first = session->next;
    if (session->next)
        session->next->prev = session->prev;
    session->list = NULL;
}

static bool is_open(const struct session *session)
{
    struct fd_life *life = fd_life_find(session->fd);

    return life && fd_life_generation(life) == session->generation;
}

static struct worker *least_loaded(struct grove_server *server)
{
    int best = server->next_worker;
    uint32_t least = UINT32_MAX;

    for (int i = 0; i < worker_count && least > 0; i++) {
        int candidate = (server->next_worker + i) % worker_count;
        uint32_t load =
            atomic_load_explicit(&server->load[candidate], memory_order_relaxed);
        if (load < least) {
            least = load;
            best = candidate;
        }
    }
    server->next_worker = (best + 1) % worker_count;
    return workers[best];
}

/* Counts it, whatever the state: the first ones may come before the start is over, and
 * those of the backlog when a stop has begun, which then waits for all counted. */
static void admit(struct session *session)
{
    struct grove_server *server = session->server;

    section_enter(&server->section);
    server->active++;
    section_leave(&server->section);
    atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(
        &server->load[session->worker->index], 1, memory_order_relaxed);
}

/* The session is over. */
static void dismiss(struct session *session)
{
    struct grove_server *server = session->server;

    atomic_fetch_sub_explicit(
        &server->load[session->worker->index], 1, memory_order_relaxed);
    section_enter(&server->section);
    list_remove(session);
    bool last = !session->uncounted && --server->active == 0;
    section_leave(&server->section);
    if (last)
        grove_event_set(&server->idle);
    grove_release(session->greenlet);
    free(session);
    server_release(server);
}

/* However its greenlet ends. */
static void finish(void *arg)
{
    struct session *session = arg;

    if (is_open(session))
        grove_close(session->fd);
    /* A start after the stop that it called has given its slot to others. */
    if (session->server->max && !session->uncounted)
        grove_semaphore_release(&session->server->slots);
    dismiss(session);
}

/* From now on it can be killed. False: it is too late to begin. */
static bool begin(struct session *session)
{
    struct grove_server *server = session->server;

    session->greenlet = grove_retain(grove_current());
    section_enter(&server->section);
    bool welcome = !server->killing;
    if (welcome)
        list_add(&server->live, session);
    section_leave(&server->section);
    return welcome;
}

static void *run(void *arg)
{
    struct session *session = arg;
    struct grove_server *server = session->server;

    if (!begin(session) || grove_defer(finish, session) < 0)
        finish(session);
    else
        server->handle(session->fd, server->arg);
    return NULL;
}

int session_start(struct grove_server *server, int fd)
{
    struct session *session = calloc(1, sizeof *session);

    if (!session)
        return -1;
    session->server = server;
    session->fd = fd;
    session->generation = fd_life_generation(fd_life_find(fd));
    session->worker = least_loaded(server);
    admit(session);
    struct grove *greenlet = greenlet_spawn_on(
        session->worker, run, session, (void *)session->server->handle);
    if (!greenlet) {
        dismiss(session);
        errno = ENOMEM;
        return -1;
    }
    grove_release(greenlet);
    return 0;
}

void session_kill_all(struct grove_server *server)
{
    for (;;) {
        section_enter(&server->section);
        server->killing = true;
        struct session *session = server->live.first;
        struct grove *greenlet = NULL;
        if (session) {
            list_remove(session);
            list_add(&server->doomed, session);
            greenlet = grove_retain(session->greenlet);
        }
        section_leave(&server->section);
        if (!greenlet)
            return;
        grove_kill(greenlet, 0);
        grove_release(greenlet);
    }
}

void session_excuse_self(struct grove_server *server)
{
    struct grove *self = grove_current();

    section_enter(&server->section);
    for (struct session *session = server->live.first; session;
         session = session->next) {
        if (session->greenlet != self)
            continue;
        session->uncounted = true;
        server->active--;
        list_remove(session);
        break;
    }
    section_leave(&server->section);
}
