/* SPDX-License-Identifier: MIT */
/*
 * What every public header shares.
 *
 * Conventions of the whole library:
 * - int functions return 0, or -1 with errno set; pointer functions return NULL
 *   with errno set. Out-parameters are untouched on failure.
 * - errno belongs to the greenlet: it survives every switch. A greenlet never
 *   changes thread once it has run, so thread_local variables stay valid too.
 * - A `double timeout` is in seconds: GROVE_FOREVER waits without limit, 0 never
 *   blocks, any other value that runs out fails with ETIMEDOUT. A NaN fails with
 *   EINVAL.
 * - A blocking call of a greenlet that is being killed fails with ECANCELED; one
 *   that could never end, or that is made where nothing may block (a link or
 *   another callback of the hub), with EDEADLK.
 * - No call starts the library: the first use does, from the environment.
 */
#ifndef GROVE_BASE_H
#define GROVE_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GROVE_VERSION_MAJOR 0
#define GROVE_VERSION_MINOR 1
#define GROVE_VERSION_PATCH 0

#if defined(__GNUC__)
#define GROVE_API __attribute__((visibility("default")))
#define GROVE_NORETURN __attribute__((noreturn))
#define GROVE_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define GROVE_API
#define GROVE_NORETURN
#define GROVE_PRINTF(text, first)
#endif

#ifdef __cplusplus
#define GROVE_BEGIN extern "C" {
#define GROVE_END }
#else
#define GROVE_BEGIN
#define GROVE_END
#endif

/* A timeout without limit. */
#define GROVE_FOREVER (-1.0)

GROVE_BEGIN
/* A greenlet: opaque, reference counted. See <grove/greenlet.h>. */
typedef struct grove grove_t;

/* What a greenlet runs: takes the spawn's argument, returns the greenlet's value. */
typedef void *(*grove_fn)(void *arg);

/*
 * The greenlets that wait for an object, as the sync types embed it. Its fields
 * are private; all zero bytes is a list nobody waits on.
 */
typedef struct {
    uint32_t section_[2];
    void *first_;
    void *last_;
} grove_waiters_t;
GROVE_END

#endif
