/* SPDX-License-Identifier: MIT */
/*
 * Locks that any number of readers or one writer can have, between greenlets, of one
 * thread or several, and plain threads.
 *
 * First come first served: while somebody waits, everybody who comes waits behind, so
 * that readers don't starve a writer, nor writers a reader; readers at the front are
 * let in together. So a greenlet that has it for reading must not ask for it again:
 * with a writer waiting in between that is a deadlock. Being handed over, it costs a
 * wake per use as soon as somebody always waits: for short sections of a heavily used
 * object a grove_lock_t is faster.
 *
 * Unless said otherwise a call may be made from any thread and, with a timeout of 0
 * where it has one, from hub callbacks; from no signal handler.
 */
#ifndef GROVE_RWLOCK_H
#define GROVE_RWLOCK_H

#include <grove/base.h>

GROVE_BEGIN

/* A readers-writer lock. All zero bytes is one that nobody has. Private. */
typedef struct {
    grove_waiters_t waiters_;
    int64_t holders_;
    void *writer_;
} grove_rwlock_t;

/* clang-format off */
#define GROVE_RWLOCK_INIT {{{0, 0}, NULL, NULL}, 0, NULL}
/* clang-format on */

/* Takes it for reading, together with other readers, waiting until no writer has it and
 * nobody waits in front. Errors: ETIMEDOUT, ECANCELED, EDEADLK, EINVAL, ENOMEM. May
 * switch unless timeout is 0. */
GROVE_API int grove_rwlock_acquire_read(grove_rwlock_t *lock, double timeout);

/* Takes it for writing, alone, waiting until nobody has it. Not re-entrant.
 * Errors: as grove_rwlock_acquire_read. May switch unless timeout is 0. */
GROVE_API int grove_rwlock_acquire_write(grove_rwlock_t *lock, double timeout);

/* Gives it back after reading. Any greenlet or thread may, not only the one that took
 * it. Errors: EPERM no reader has it. Never switches. */
GROVE_API int grove_rwlock_release_read(grove_rwlock_t *lock);

/* Gives it back after writing. Errors: EPERM no writer has it. Never switches. */
GROVE_API int grove_rwlock_release_write(grove_rwlock_t *lock);

/* Makes the writer a reader without letting another writer in between; readers at the
 * front of those who wait are let in. Errors: EPERM no writer has it. Never switches.
 */
GROVE_API int grove_rwlock_downgrade(grove_rwlock_t *lock);

GROVE_END

#endif
