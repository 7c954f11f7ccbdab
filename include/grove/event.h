/* SPDX-License-Identifier: MIT */
/*
 * Events: a flag that any number of greenlets and threads can wait for, after
 * gevent.event.Event.
 *
 * All calls may be made from any thread and, with a timeout of 0 where they have
 * one, from hub callbacks; from no signal handler. An event may lie anywhere, also
 * on a stack: the waiter that a set has woken may free it at once.
 */
#ifndef GROVE_EVENT_H
#define GROVE_EVENT_H

#include <grove/base.h>

GROVE_BEGIN

/* An event. All zero bytes is one that isn't set. Private. */
typedef struct {
    grove_waiters_t waiters_;
    uint32_t set_;
} grove_event_t;

/* clang-format off */
#define GROVE_EVENT_INIT {{{0, 0}, NULL, NULL}, 0}
/* clang-format on */

/* Sets it and makes all that wait ready, in the order of their calls. Always 0.
 * Never switches. */
GROVE_API int grove_event_set(grove_event_t *event);

/* Clears it; those that a set has woken stay woken. Always 0. Never switches. */
GROVE_API int grove_event_clear(grove_event_t *event);

/* Whether it is set now. Never switches. True is no promise that the call which set
 * it has returned: before freeing the event, wait for it. */
GROVE_API bool grove_event_is_set(const grove_event_t *event);

/*
 * Waits until it is set: 0 if it was set at the call or at any time during it, even
 * if it has been cleared since.
 * Errors: ETIMEDOUT, ECANCELED, EDEADLK, EINVAL. May switch unless timeout is 0.
 */
GROVE_API int grove_event_wait(grove_event_t *event, double timeout);

GROVE_END

#endif
