/* SPDX-License-Identifier: MIT */
/*
 * Signals of the process, after gevent.signal_handler: greenlets wait for them, or are
 * made for each, so that no code has to be async-signal-safe.
 *
 *     static void stop(int number, void *server)
 *     {
 *         grove_server_stop(server, 10);
 *     }
 *
 *     grove_signal_t *on_term = grove_signal_handle(SIGTERM, stop, server);
 *
 * A signal is caught while somebody waits for it or handles it; then what sigaction(2)
 * had set before is put back, unless the program has changed it meanwhile. Deliveries
 * that come faster than they are seen merge, as the kernel merges pending ones.
 *
 * Which numbers: all that can be caught, SIGCHLD and SIGPIPE included. EINVAL for
 * others and for the signals of faults (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP,
 * SIGSYS), after which nothing can go on. EBUSY for SIGRTMAX-2, by which the library
 * asks its own threads where they are.
 *
 * While a signal is caught, nothing that blocks counts as a deadlock: the signal may be
 * what ends it. Neither does that keep a program from ending. grove_shutdown ends all
 * waits, with ECANCELED, and all handlers, before it kills the greenlets: from then on
 * the signals do again what they did before. The child of a fork begins without waits
 * and handlers.
 */
#ifndef GROVE_SIGNAL_H
#define GROVE_SIGNAL_H

#include <grove/base.h>

GROVE_BEGIN

/* A handler of a signal. Private. */
typedef struct grove_signal grove_signal_t;

/*
 * Waits for the next delivery of the signal, which makes all ready that wait for it.
 * One that was caught just before the call, for somebody else, may count. Between two
 * calls the signal is not caught: who wants all of them uses grove_signal_handle.
 *
 * Errors: ETIMEDOUT (always, with a timeout of 0), ECANCELED (also by grove_shutdown);
 * EDEADLK in a hub callback; EINVAL, EBUSY; EAGAIN, ENOMEM no thread to be had. May
 * switch. Any thread; no signal handler.
 */
GROVE_API int grove_signal_wait(int number, double timeout);

/*
 * Each delivery calls fn(number, arg) in a new greenlet: on the calling worker, or, if
 * the calling thread is none, on one that the library chooses. It may block, and may
 * cancel the handler. When there is no memory for the greenlet, the call comes later.
 * Several handlers of one signal are called in the order in which they were made.
 *
 * Errors: EINVAL, also no function; EBUSY; EAGAIN, ENOMEM; ECANCELED the runtime is
 * just being shut down. Never switches. Any thread, and hub callbacks; no signal
 * handler.
 */
GROVE_API grove_signal_t *grove_signal_handle(
    int number, void (*fn)(int number, void *arg), void *arg);

/*
 * Ends and frees a handler; also to be called for one that grove_shutdown has ended.
 * Calls that have begun go on; greenlets that haven't won't call. NULL is allowed.
 * Never switches. Any thread, and hub callbacks; no signal handler.
 */
GROVE_API void grove_signal_cancel(grove_signal_t *handler);

GROVE_END

#endif
