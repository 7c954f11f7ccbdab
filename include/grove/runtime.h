/* SPDX-License-Identifier: MIT */
/* The runtime as a whole: explicit start, shutdown, workers, version. */
#ifndef GROVE_RUNTIME_H
#define GROVE_RUNTIME_H

#include <grove/base.h>
#include <grove/config.h>

/*
 * fork: the child has one thread, and of the library nothing: what it inherits of
 * greenlets, servers and waits belongs to the parent and must not be used. Its first
 * call starts a runtime of its own. If a greenlet forked, the child ends when its
 * function returns.
 *
 * A process ends when main returns or exit is called, whatever greenlets do. After a
 * pthread_exit of the main thread the workers go on for ever.
 */

GROVE_BEGIN

/*
 * Starts the runtime now instead of at the first use. [config] overrides the
 * environment field by field; NULL takes the environment alone. A running
 * runtime is left as it is (0). A bad value prints one line to stderr that names
 * the variable, its value and what is allowed.
 *
 * Errors: EINVAL bad value; ENOMEM; EAGAIN no thread to be had; EMFILE, ENFILE.
 * Never switches. Any thread. The main thread becomes worker 0 by starting the runtime;
 * if another thread is first, all workers are threads of the library.
 */
GROVE_API int grove_init(const grove_config_t *config);

/*
 * Ends the runtime: kills every greenlet that still lives, waits up to [timeout]
 * seconds for them to end, joins the workers and frees everything but the records
 * of greenlets that the caller still holds references to. The next use starts
 * afresh. 0 when nothing runs.
 *
 * Errors: ETIMEDOUT greenlets still ran when the time was over: the runtime goes
 * on, and the call may be made again; EPERM not called by the main greenlet of worker
 * 0 (if that is a thread of the library: by a plain thread), or another thread still
 * has a hub of its own. May switch.
 */
GROVE_API int grove_shutdown(double timeout);

/* Workers of the running runtime (it is started if need be); -1 if it can't start. */
GROVE_API int grove_worker_count(void);

/* Index of the calling worker, from 0; -1 on a thread that is none, also on one of the
 * compute lane (GROVE_CPU). Never switches. */
GROVE_API int grove_worker_self(void);

/*
 * Seconds of the clock that timeouts and sleeps of the caller take place in, for
 * measuring how long something took: the monotonic clock of the system, but on workers
 * with GROVE_CLOCK=virtual the virtual one, which begins with 0 when the runtime
 * starts. It starts nothing itself: a program that measures from its first line calls
 * grove_init() before. Never switches. Any context.
 */
GROVE_API double grove_now(void);

/* "MAJOR.MINOR.PATCH" of the linked library. Any context. */
GROVE_API const char *grove_version(void);

GROVE_END

#endif
