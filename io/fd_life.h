/* SPDX-License-Identifier: MIT */
#ifndef IO_FD_LIFE_H
#define IO_FD_LIFE_H

/*
 * What the process knows of each file descriptor number. A number lives many lives: it
 * is closed and given out anew at once, maybe while greenlets of other workers still
 * wait for what it was. So each life has a generation, and everything remembered about
 * a descriptor is worth something only for the generation it was learnt in.
 *
 * A life ends in grove_close, before the number is free again. A descriptor closed by
 * plain close() is noticed when the library itself is given the number anew (accept).
 *
 * Between the raise of the generation and the end of close(2) the number may stand for
 * the old file or for a new one. Whoever would look at it then waits for the end
 * (FD_CLOSING), lest he takes what he sees of the one for true of the other.
 *
 *   state     generation << 8 | FD_* flags. The generation is raised under [lock];
 * flags are changed by compare-and-swap by whoever learns them, and by the closer
 *   watches   what workers watch it, linked by next_of_fd; under [lock]
 *   lock      short: nothing that blocks or allocates happens under it
 *
 * The entries are never freed and never move.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fd_watch;

enum {
    FD_KNOWN = 1,  /* looked at: non-blocking, and the next flag is right */
    FD_READY = 2,  /* never blocks, can't be watched: a regular file */
    FD_STREAM = 4, /* a short read leaves nothing behind */
    FD_SOCKET = 8,
    FD_CLOSING = 16, /* whether the number is still open, or again, is not known yet */
    FD_GENERATION = 1 << 8
};

struct fd_life {
    _Atomic(uint64_t) state;
    struct fd_watch *watches;
    _Atomic(uint32_t) lock;
};

/* The entry of a number that was used before, else NULL. Never negative numbers. */
struct fd_life *fd_life_find(int fd);

/* The entry of an open descriptor; makes it non-blocking on its first use. NULL with
 * errno: EBADF, ENOMEM. */
struct fd_life *fd_life_open(int fd);

/* [fd] has just been made by the library, non-blocking, with these flags. False when
 * there is no memory for the entry. */
bool fd_life_begin(int fd, unsigned flags);

void fd_life_lock(struct fd_life *life);
void fd_life_unlock(struct fd_life *life);

/* The close(2) of [fd] is over; [closing] is what fd_watch_end_life returned when it
 * was called with FD_CLOSING before. */
void fd_life_closed(int fd, uint64_t closing);

static inline uint64_t fd_life_state(struct fd_life *life)
{
    return atomic_load_explicit(&life->state, memory_order_acquire);
}

static inline uint64_t fd_life_generation(struct fd_life *life)
{
    return fd_life_state(life) / FD_GENERATION;
}

#endif
