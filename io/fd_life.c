/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* O_PATH */
#include "io/fd_life.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fd_watch.h"
#include "sched/spin.h"

/* Bucket b holds the 64 * 2^b numbers from 64 * (2^b - 1) on: the table grows to any
 * number without moving an entry that others may be using. */
#define BUCKET_BITS 6
#define BUCKETS (32 - BUCKET_BITS)

static _Atomic(struct fd_life *) buckets[BUCKETS];

static int bucket_of(int fd, uint32_t *index)
{
    uint32_t place = (uint32_t)fd + (1u << BUCKET_BITS);
    int bucket = 31 - __builtin_clz(place) - BUCKET_BITS;

    *index = place - (1u << (bucket + BUCKET_BITS));
    return bucket;
}

struct fd_life *fd_life_find(int fd)
{
    uint32_t index;
    int bucket = bucket_of(fd, &index);
    struct fd_life *lives =
        atomic_load_explicit(&buckets[bucket], memory_order_acquire);

    return lives ? &lives[index] : NULL;
}

static struct fd_life *find_or_make(int fd)
{
    uint32_t index;
    int bucket = bucket_of(fd, &index);
    struct fd_life *lives =
        atomic_load_explicit(&buckets[bucket], memory_order_acquire);

    if (!lives) {
        struct fd_life *made =
            calloc((size_t)1 << (bucket + BUCKET_BITS), sizeof *made);
        if (!made)
            return NULL;
        /* Release: its zeroes are seen by whoever finds it. */
        if (atomic_compare_exchange_strong_explicit(&buckets[bucket], &lives, made,
                memory_order_acq_rel, memory_order_acquire))
            lives = made;
        else
            free(made);
    }
    return &lives[index];
}

void fd_life_lock(struct fd_life *life)
{
    struct spin spin = {0};

    while (atomic_exchange_explicit(&life->lock, 1, memory_order_acquire))
        spin_once(&spin);
}

void fd_life_unlock(struct fd_life *life)
{
    atomic_store_explicit(&life->lock, 0, memory_order_release);
}

/* False if the state isn't [seen] any more. */
static bool learn(struct fd_life *life, uint64_t seen, unsigned flags)
{
    uint64_t known = seen / FD_GENERATION * FD_GENERATION | flags;

    return atomic_compare_exchange_strong_explicit(
        &life->state, &seen, known, memory_order_acq_rel, memory_order_acquire);
}

/* Whether epoll takes it, tried on an epoll instance of its own: libev makes of EPERM a
 * loop that never sleeps. */
static bool watchable(int fd)
{
    struct epoll_event event = {.events = 0};
    int probe = epoll_create1(EPOLL_CLOEXEC);

    if (probe < 0)
        return true;
    bool taken = epoll_ctl(probe, EPOLL_CTL_ADD, fd, &event) == 0;
    close(probe);
    return taken;
}

static bool is_stream(int socket)
{
    int type = 0;
    socklen_t length = sizeof type;

    return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
           type == SOCK_STREAM;
}

/* The flags of an open descriptor; 0 with errno if it isn't one. */
static unsigned look_at(int fd)
{
    struct stat status;
    unsigned properties = FD_KNOWN;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fstat(fd, &status) < 0)
        return 0;
    if (flags & O_PATH) {
        errno = EBADF;
        return 0;
    }
    switch (status.st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK:
        return FD_KNOWN | FD_READY;
    case S_IFSOCK:
        properties |= FD_SOCKET | (is_stream(fd) ? FD_STREAM : 0);
        break;
    case S_IFIFO:
        properties |= FD_STREAM;
        break;
    default:
        if (!watchable(fd))
            return FD_KNOWN | FD_READY;
    }
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return 0;
    return properties;
}

struct fd_life *fd_life_open(int fd)
{
    struct spin spin = {0};

    for (;;) {
        struct fd_life *life = fd < 0 ? NULL : fd_life_find(fd);
        uint64_t state = life ? fd_life_state(life) : 0;
        if (state & FD_KNOWN)
            return life;
        if (state & FD_CLOSING) {
            spin_once(&spin);
            continue;
        }
        /* First look, then make the entry: a large number that is no descriptor shall
         * not cost a large table. */
        unsigned flags = look_at(fd);
        if (!flags)
            return NULL;
        if (!life && !(life = find_or_make(fd))) {
            errno = ENOMEM;
            return NULL;
        }
        if (learn(life, state, flags))
            return life;
    }
}

bool fd_life_begin(int fd, unsigned flags)
{
    struct fd_life *life = find_or_make(fd);
    uint64_t state;

    if (!life)
        return false;
    do {
        state = fd_life_state(life);
        if (state & FD_KNOWN) { /* it was closed by plain close() */
            fd_watch_end_life(fd, FD_KNOWN | flags);
            return true;
        }
    } while (!learn(life, state, FD_KNOWN | flags));
    return true;
}

void fd_life_closed(int fd, uint64_t closing)
{
    /* If it isn't there any more, somebody was given the number and knows it. */
    if (closing)
        learn(fd_life_find(fd), closing, 0);
}
