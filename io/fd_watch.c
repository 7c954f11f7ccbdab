/* SPDX-License-Identifier: MIT */
#include "io/fd_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sched/hub.h"
#include "sched/spin.h"

#define CAPACITY_MIN 64

static void note_change(struct fd_watch *watch)
{
    struct fd_table *table = watch->table;

    if (watch->changed)
        return;
    watch->changed = true;
    watch->next_changed = table->changed;
    if (!table->changed)
        ev_prepare_start(hub_loop(table->worker->hub), &table->before_change);
    table->changed = watch;
}

static bool start(struct fd_watch *watch, ev_io *io)
{
    struct hub *hub = watch->table->worker->hub;

    if (ev_is_active(io))
        return true;
    if (!hub_watch_reserve(hub, watch->fd)) {
        errno = ENOMEM;
        return false;
    }
    ev_io_start(hub_loop(hub), io);
    note_change(watch);
    return true;
}

static void stop(struct fd_watch *watch, ev_io *io)
{
    if (!ev_is_active(io))
        return;
    ev_io_stop(hub_loop(watch->table->worker->hub), io);
    note_change(watch);
}

/* Waits. */

static void unlink_one(struct fd_link *link)
{
    struct fd_watch *watch = link->watch;

    if (link->prev)
        link->prev->next = link->next;
    else
        watch->first = link->next;
    if (link->next)
        link->next->prev = link->prev;
    else
        watch->last = link->prev;
}

static void link_one(struct fd_link *link)
{
    struct fd_watch *watch = link->watch;

    link->next = NULL;
    link->prev = watch->last;
    if (watch->last)
        watch->last->next = link;
    else
        watch->first = link;
    watch->last = link;
}

static void unlink_all(struct fd_wait *wait)
{
    for (size_t i = 0; i < wait->count; i++)
        unlink_one(&wait->links[i]);
    wait->linked = false;
    if (wait->count > 0)
        hub_watching(wait->waiter.home->hub, -1);
}

int fd_watch_link(struct fd_wait *wait)
{
    for (size_t i = 0; i < wait->count; i++) {
        struct fd_link *link = &wait->links[i];
        if ((link->events & EV_READ && !start(link->watch, &link->watch->reader)) ||
            (link->events & EV_WRITE && !start(link->watch, &link->watch->writer)))
            return -1; /* what was started stops with its first event */
    }
    for (size_t i = 0; i < wait->count; i++)
        link_one(&wait->links[i]);
    wait->linked = true;
    if (wait->count > 0)
        hub_watching(wait->waiter.home->hub, 1);
    return 0;
}

bool fd_watch_detach(struct waiter *waiter)
{
    struct fd_wait *wait = (struct fd_wait *)waiter;

    if (!wait->linked)
        return false;
    unlink_all(wait);
    return true;
}

/* Wakes everybody who waits for one of [events]. False if nobody does. */
static bool wake(struct fd_watch *watch, int events, int result)
{
    bool woken = false;
    struct fd_link *next;

    for (struct fd_link *link = watch->first; link; link = next) {
        /* A wait may have several links to one watch (poll with a number twice): the
         * next one may go too, so begin anew after each. */
        next = link->next;
        if (!(link->events & events))
            continue;
        unlink_all(link->wait);
        if (waiter_claim(&link->wait->waiter))
            waiter_wake(&link->wait->waiter, result);
        woken = true;
        next = watch->first;
    }
    return woken;
}

/* Events. */

/* Nothing of it is watched any more, and who waits fails. The next start tells the
 * kernel of the number as of a new one (ev_io_set). */
static void retire(struct fd_watch *watch, int error)
{
    stop(watch, &watch->reader);
    stop(watch, &watch->writer);
    ev_io_set(&watch->reader, watch->fd, EV_READ);
    ev_io_set(&watch->writer, watch->fd, EV_WRITE);
    watch->drained = false;
    wake(watch, EV_READ | EV_WRITE, error);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void on_read(struct ev_loop *loop, ev_io *io, int events)
{
    struct fd_watch *watch = io->data;

    (void)loop;
    if (events & EV_ERROR) { /* epoll has refused it; libev has stopped it */
        retire(watch, is_open(watch->fd) ? ENOMEM : EBADF);
        return;
    }
    watch->drained = false;
    if (!wake(watch, EV_READ, 0) && hub_waiting(watch->table->worker->hub))
        stop(watch, io);
}

static void on_write(struct ev_loop *loop, ev_io *io, int events)
{
    struct fd_watch *watch = io->data;

    (void)loop;
    if (events & EV_ERROR) {
        retire(watch, is_open(watch->fd) ? ENOMEM : EBADF);
        return;
    }
    wake(watch, EV_WRITE, 0);
    stop(watch, io);
}

/* Exchanges, so that it is set before generations are read, or descriptors told to the
 * kernel; pairs with fd_watch_end_life. */
static void set_changing(struct fd_table *table)
{
    atomic_exchange_explicit(&table->changing, true, memory_order_seq_cst);
}

static void clear_changing(struct fd_table *table)
{
    atomic_store_explicit(&table->changing, false, memory_order_release);
}

/* Called by libev before and after it waits for events in the kernel. */
static void changes_told(struct ev_loop *loop)
{
    clear_changing(ev_userdata(loop));
}

static void events_taken(struct ev_loop *loop)
{
    set_changing(ev_userdata(loop));
}

/* Called by libev when it has gone through the events, before their watchers. */
static void after_events(struct ev_loop *loop, ev_check *check, int events)
{
    (void)loop;
    (void)events;
    clear_changing(check->data);
}

/* Only epoll's refusal aborts, and only there are these callbacks sure to come. */
static bool announces_changes(struct ev_loop *loop)
{
    return ev_backend(loop) == EVBACKEND_EPOLL;
}

static void announce_changes(struct fd_table *table, struct ev_loop *loop)
{
    ev_check_init(&table->after_events, after_events);
    ev_set_priority(&table->after_events, EV_MAXPRI);
    table->after_events.data = table;
    if (!announces_changes(loop))
        return;
    ev_check_start(loop, &table->after_events);
    ev_set_loop_release_cb(loop, changes_told, events_taken);
}

/* Called by libev before it tells the kernel of changes. */
static void before_change(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    struct fd_table *table = prepare->data;
    struct fd_watch *watch;

    (void)events;
    if (announces_changes(loop))
        set_changing(table);
    while ((watch = table->changed)) {
        table->changed = watch->next_changed;
        watch->changed = false;
        if (!ev_is_active(&watch->reader) && !ev_is_active(&watch->writer))
            continue;
        if (fd_watch_ended(watch, watch->generation) || !is_open(watch->fd)) {
            retire(watch, EBADF);
            /* Don't sleep over those who have just become ready. */
            hub_ring(table->worker->hub);
        }
    }
    ev_prepare_stop(loop, prepare);
}

/* Tables. */

static void unlist(struct fd_watch *watch)
{
    fd_life_lock(watch->life);
    for (struct fd_watch **at = &watch->life->watches; *at; at = &(*at)->next_of_fd) {
        if (*at != watch)
            continue;
        *at = watch->next_of_fd;
        break;
    }
    fd_life_unlock(watch->life);
}

/* The worker ends. Afterwards no closer knows its watches; messages that are still on
 * their way are thrown away with its inbox. */
static void table_free(void *arg)
{
    struct fd_table *table = arg;
    struct ev_loop *loop = hub_loop(table->worker->hub);

    for (int fd = 0; fd < table->capacity; fd++) {
        struct fd_watch *watch = table->watch[fd];
        if (!watch)
            continue;
        unlist(watch);
        ev_io_stop(loop, &watch->reader);
        ev_io_stop(loop, &watch->writer);
        free(watch);
    }
    ev_prepare_stop(loop, &table->before_change);
    ev_check_stop(loop, &table->after_events);
    ev_set_loop_release_cb(loop, NULL, NULL);
    clear_changing(table);
    table->worker->fds = NULL;
    free(table->watch);
    free(table);
}

static struct fd_table *table_of(struct worker *worker)
{
    if (worker->fds)
        return worker->fds;
    /* Prepare and check watchers need entries in arrays of libev's, too. */
    if (!hub_watch_reserve(worker->hub, 0))
        return NULL;
    struct fd_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->worker = worker;
    ev_prepare_init(&table->before_change, before_change);
    table->before_change.data = table;
    ev_set_userdata(hub_loop(worker->hub), table);
    announce_changes(table, hub_loop(worker->hub));
    hub_at_free(worker->hub, table_free, table);
    return worker->fds = table;
}

static bool make_room(struct fd_table *table, int fd)
{
    size_t capacity = table->capacity ? (size_t)table->capacity : CAPACITY_MIN;

    if (fd < table->capacity)
        return true;
    while (capacity <= (size_t)fd)
        capacity *= 2;
    if (capacity > INT32_MAX)
        capacity = INT32_MAX;
    struct fd_watch **watch = realloc(table->watch, capacity * sizeof *watch);
    if (!watch)
        return false;
    size_t old = (size_t)table->capacity;
    memset(watch + old, 0, (capacity - old) * sizeof *watch);
    table->watch = watch;
    table->capacity = (int)capacity;
    return true;
}

static void on_closed(struct message *message)
{
    struct fd_watch *watch =
        (struct fd_watch *)((char *)message - offsetof(struct fd_watch, closed));

    fd_life_lock(watch->life);
    watch->in_flight = false;
    fd_life_unlock(watch->life);
    if (fd_watch_ended(watch, watch->generation))
        retire(watch, EBADF);
}

static struct fd_watch *fd_watch_new(
    struct fd_table *table, struct fd_life *life, int fd)
{
    struct fd_watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    ev_io_init(&watch->reader, on_read, fd, EV_READ);
    ev_io_init(&watch->writer, on_write, fd, EV_WRITE);
    watch->reader.data = watch->writer.data = watch;
    watch->table = table;
    watch->life = life;
    watch->generation = UINT64_MAX; /* none: joined by join_life */
    watch->fd = fd;
    watch->closed.deliver = on_closed;
    return watch;
}

/* From now on the watch is of the present life of its number. False if that is over
 * already, or has just begun and was not looked at. */
static bool join_life(struct fd_watch *watch)
{
    struct fd_life *life = watch->life;

    retire(watch, EBADF);
    fd_life_lock(life);
    uint64_t state = fd_life_state(life);
    if (state & FD_KNOWN) {
        watch->generation = state / FD_GENERATION;
        watch->next_of_fd = life->watches;
        life->watches = watch;
    }
    fd_life_unlock(life);
    return state & FD_KNOWN;
}

struct fd_watch *fd_watch_open(struct worker *worker, int fd)
{
    struct fd_watch *watch;

    do {
        struct fd_life *life = fd_life_open(fd);
        if (!life)
            return NULL;
        struct fd_table *table = table_of(worker);
        if (!table || !make_room(table, fd))
            goto no_memory;
        if (!table->watch[fd] && !(table->watch[fd] = fd_watch_new(table, life, fd)))
            goto no_memory;
        watch = table->watch[fd];
    } while (fd_watch_ended(watch, watch->generation) && !join_life(watch));
    return watch;

no_memory:
    errno = ENOMEM;
    return NULL;
}

void fd_watch_refresh(struct fd_watch *watch)
{
    if (!watch->first)
        retire(watch, 0);
}

/*
 * The watches leave the list with the life they were of, and join it again with the
 * next use. A message that is still on its way from an earlier closing will do for this
 * one. Sent under the lock, as a worker that ends takes its watches out under it.
 */
uint64_t fd_watch_end_life(int fd, unsigned flags)
{
    struct fd_life *life = fd_life_find(fd);
    struct fd_watch *own = NULL, *next;

    if (!life)
        return 0;
    fd_life_lock(life);
    uint64_t state = (fd_life_generation(life) + 1) * FD_GENERATION | flags;
    /* An exchange, so that it is done before [changing] is read; pairs with
     * set_changing. */
    atomic_exchange_explicit(&life->state, state, memory_order_seq_cst);
    for (struct fd_watch *watch = life->watches; watch; watch = next) {
        struct worker *worker = watch->table->worker;
        next = watch->next_of_fd;
        watch->next_of_fd = NULL;
        if (worker == worker_self) {
            own = watch;
            continue;
        }
        struct spin spin = {0};
        while (atomic_load_explicit(&watch->table->changing, memory_order_seq_cst))
            spin_once(&spin);
        if (!watch->in_flight) {
            watch->in_flight = true;
            worker_send(worker, &watch->closed);
        }
    }
    life->watches = NULL;
    fd_life_unlock(life);
    if (own)
        retire(own, EBADF);
    return state;
}
