/* SPDX-License-Identifier: MIT */
/*
 * Greenlets: functions that run as if each had a thread of its own, at the price
 * of a function call or two. The meaning of each call follows gevent.Greenlet.
 *
 * Work moves before it starts; a greenlet never moves after. grove_spawn keeps the
 * new greenlet on the calling thread, where it takes turns with the others in the
 * order in which they became ready. grove_go lets any worker start it.
 *
 * References: a spawn gives the caller one. It ends with grove_await or
 * grove_release. A thread that uses a greenlet while another thread may drop its
 * last reference needs a reference of its own (grove_retain).
 *
 * Unless said otherwise a call may be made from any thread and from hub callbacks
 * as long as it doesn't block, and from no signal handler.
 */
#ifndef GROVE_GREENLET_H
#define GROVE_GREENLET_H

#include <grove/base.h>

GROVE_BEGIN

/* Where a greenlet may run (grove_attr_t.affinity). */
typedef enum {
    GROVE_LOCAL = 0, /* on the calling thread, as grove_spawn */
    GROVE_ANY,       /* on any worker, as grove_go */
    GROVE_CPU        /* in the compute lane: see below */
} grove_affinity_t;

/*
 * GROVE_CPU is for work that computes for long, which on a worker would delay all else
 * there. It runs on threads of low priority (SCHED_BATCH, nice 19), at most one beside
 * each worker and made when first needed, of which the kernel takes the core as soon as
 * a worker has something to do. Oldest first. All calls work there; what such a
 * greenlet makes with grove_spawn stays on its thread, and grove_go gives more work to
 * the lane. grove_worker_self() is -1 there. Without a lane thread to be had it is
 * GROVE_ANY. On a busy machine it may wait for long: hold no lock there that greenlets
 * on workers wait for. Threads and processes made there inherit the priority.
 */

/* How grove_spawn_with makes a greenlet. Zeroed fields mean the default. */
typedef struct {
    const char *name;          /* copied; default "greenlet-ID" */
    size_t stack_size;         /* bytes; default GROVE_STACK_SIZE */
    grove_affinity_t affinity; /* default GROVE_LOCAL */
    double delay;              /* seconds before it becomes ready; default none */
    bool deferred;             /* created, not started: see grove_start */
    bool inherit_locals;       /* copies of the caller's: see <grove/local.h> */
} grove_attr_t;

/* Value of a greenlet that was killed before its function was entered. */
extern GROVE_API const char grove_killed_[];
#define GROVE_KILLED ((void *)grove_killed_)

/*
 * Makes a greenlet that runs fn(arg) on the calling thread, after everything that
 * is ready there now. Never switches. Errors: ENOMEM, EINVAL no function. A plain
 * thread gets a hub of its own by its first call, which runs while the thread is in
 * a blocking call of the library.
 */
GROVE_API grove_t *grove_spawn(grove_fn fn, void *arg);

/*
 * Makes a greenlet that any worker may start, in parallel to the caller. The
 * newest is started first by its own worker, the oldest by the others. Once
 * started it stays where it is. Never switches. Errors: as grove_spawn.
 */
GROVE_API grove_t *grove_go(grove_fn fn, void *arg);

/*
 * grove_spawn, made ready after [seconds]. Killed before, it never runs.
 * Errors: as grove_spawn; EINVAL negative or not a number.
 */
GROVE_API grove_t *grove_spawn_later(double seconds, grove_fn fn, void *arg);

/* A spawn with attributes; NULL attr is grove_spawn. Errors: as grove_spawn_later;
 * EINVAL for an unknown affinity or a stack size out of GROVE_STACK_SIZE's range; with
 * inherit_locals whatever a copy fails with. */
GROVE_API grove_t *grove_spawn_with(const grove_attr_t *attr, grove_fn fn, void *arg);

/* Starts a deferred greenlet, from any thread; its thread is the one that made it.
 * A second start is a no-op. Errors: ENOMEM. Never switches. */
GROVE_API int grove_start(grove_t *g);

/*
 * The usual end of a spawn: waits for the end, returns the value and drops the
 * caller's reference. NULL with the error in errno when the greenlet failed (errno
 * is 0 when NULL is its value). If the wait itself is cut short (ETIMEDOUT by a
 * grove_timeout, ECANCELED by a kill, EDEADLK) the reference is dropped all the
 * same and the greenlet goes on. May switch.
 */
GROVE_API void *grove_await(grove_t *g);

/* Waits for the end, however it was; keeps the reference. Any number of joiners,
 * woken in the order of their calls. Errors: ETIMEDOUT, ECANCELED, EDEADLK (also a
 * greenlet that joins itself). May switch. */
GROVE_API int grove_join(grove_t *g, double timeout);

/* grove_join, then the value in *value (unless value is NULL); -1 with the
 * greenlet's own error in errno if it failed. May switch. */
GROVE_API int grove_get(grove_t *g, double timeout, void **value);

/* Waits until all [n] have ended. Errors: as grove_join. May switch. */
GROVE_API int grove_joinall(grove_t **gs, size_t n, double timeout);

/*
 * Waits until [count] of the [n] have ended (all if count is 0 or more than n), and
 * puts them into done[0..], which has room for [n], in the order in which they
 * ended. Returns how many: fewer than count when the time ran out. -1 with
 * ECANCELED, EDEADLK or ENOMEM. May switch.
 */
GROVE_API ssize_t grove_wait(
    grove_t **gs, size_t n, size_t count, double timeout, grove_t **done);

/*
 * Ends a greenlet. Never started: it never runs, and its value is GROVE_KILLED.
 * Blocked: its blocking call fails with ECANCELED, and so does every later one,
 * until it returns or calls grove_kill_clear(). Running or ready: the same from its
 * next blocking call on. Waits up to [timeout] for its end; 0 just asks. Its end
 * counts as successful. A greenlet that has ended is left alone (0).
 *
 * Errors: ETIMEDOUT it still runs; ECANCELED, EDEADLK of the caller's own wait. May
 * switch unless timeout is 0.
 */
GROVE_API int grove_kill(grove_t *g, double timeout);

/* grove_kill with another [error] (> 0) than ECANCELED: the target's blocking calls
 * fail with it, and one that never started ends as failed with it. EINVAL: error <= 0.
 */
GROVE_API int grove_kill_with(grove_t *g, int error, double timeout);

/* Kills all, those not yet started first; then waits for all up to [timeout]. */
GROVE_API int grove_killall(grove_t **gs, size_t n, double timeout);

/* Forgets the kill of the current greenlet, which goes on as before. Returns the
 * error it was being killed with, 0 if it wasn't. Never switches. */
GROVE_API int grove_kill_clear(void);

/* True from the first run (or, on its own thread, from being made ready) to the end. */
GROVE_API bool grove_started(const grove_t *g);

/* True when it has ended. */
GROVE_API bool grove_ready(const grove_t *g);

/* True when it has ended without failing; a killed one counts as successful. */
GROVE_API bool grove_successful(const grove_t *g);

/* The value after a successful end, else NULL. */
GROVE_API void *grove_value(const grove_t *g);

/* The error it failed with, 0 if it didn't (yet). */
GROVE_API int grove_error(const grove_t *g);

/* The text given to grove_fail, "" if none; valid as long as the reference. */
GROVE_API const char *grove_error_text(const grove_t *g);

/*
 * Calls fn(g, arg) once when [g] ends: in link order, on the thread on which it
 * ended, from the hub: it must not block. At once, on the calling thread, if it has
 * ended already. Errors: ENOMEM. Never switches.
 */
GROVE_API int grove_link(grove_t *g, void (*fn)(grove_t *g, void *arg), void *arg);

/* Removes the oldest link of that function and argument. ENOENT: there is none. */
GROVE_API int grove_unlink(grove_t *g, void (*fn)(grove_t *g, void *arg), void *arg);

/* The running greenlet. On a thread with a hub but outside any greenlet, that
 * thread's main greenlet, which ends with the thread or the runtime; NULL on other
 * threads and in hub callbacks. No new reference. */
GROVE_API grove_t *grove_current(void);

/* Its name; valid as long as the reference. */
GROVE_API const char *grove_name(const grove_t *g);

/* Its number, unique in the process. */
GROVE_API uint64_t grove_id(const grove_t *g);

/* One more reference; returns g. */
GROVE_API grove_t *grove_retain(grove_t *g);

/* Drops a reference. NULL is allowed. grove_release(grove_spawn(f, a)) is fire and
 * forget. */
GROVE_API void grove_release(grove_t *g);

/* Ends the current greenlet from any depth, with that value. On the main greenlet of
 * a thread it is pthread_exit. */
GROVE_API GROVE_NORETURN void grove_exit(void *value);

/*
 * Ends the current greenlet as failed: prints "greenlet NAME failed with ERROR:
 * TEXT" and a backtrace to stderr (GROVE_REPORT says where). Never ends the process.
 * [error] > 0, an errno value.
 */
GROVE_API GROVE_NORETURN void grove_fail(int error, const char *format, ...)
    GROVE_PRINTF(2, 3);

/* Calls fn(arg) however the current greenlet ends, last given first. It may block,
 * after a kill only once it has called grove_kill_clear(). Errors: ENOMEM; EPERM
 * outside a greenlet. Never switches. */
GROVE_API int grove_defer(void (*fn)(void *arg), void *arg);

/* Sleeps at least [seconds]; 0 or less is a turn of everything ready on this thread.
 * Errors: ECANCELED; ETIMEDOUT by a grove_timeout; EDEADLK; EINVAL not a number.
 * Switches. */
GROVE_API int grove_sleep(double seconds);

/* Lets everything that is ready on this thread run once. Never fails. Switches. */
GROVE_API void grove_yield(void);

/* Waits until nothing else is ready on this thread. Errors: ECANCELED, ETIMEDOUT by
 * a grove_timeout. Switches. */
GROVE_API int grove_idle(void);

GROVE_END

#endif
