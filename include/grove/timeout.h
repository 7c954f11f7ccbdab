/* SPDX-License-Identifier: MIT */
/* Timeouts over any block of code, after gevent.Timeout. */
#ifndef GROVE_TIMEOUT_H
#define GROVE_TIMEOUT_H

#include <grove/base.h>

GROVE_BEGIN

/* A running timeout; lives on the stack of the greenlet that it is for. Private. */
typedef struct grove_timeout {
    struct {
        void (*fire)(void *timer);
        uint32_t id;
    } timer_;
    struct grove_timeout *next_;
    grove_t *greenlet_;
    bool fired_;
    bool pending_;
} grove_timeout_t;

/*
 * From [seconds] on, the current greenlet's blocking call (or its next one) fails
 * with ETIMEDOUT, once. GROVE_FOREVER never fires; 0 fires at the next blocking call.
 * Any number may run at once and nest; each must be stopped by its own greenlet
 * before its storage goes. Never switches.
 * Errors: ENOMEM; EINVAL not a number; EPERM outside a greenlet.
 */
GROVE_API int grove_timeout_start(grove_timeout_t *t, double seconds);

/* Stops it; true if it had fired. One that fired but whose ETIMEDOUT no call has
 * reported yet is taken back. Stopping twice is harmless. Never switches. */
GROVE_API bool grove_timeout_stop(grove_timeout_t *t);

/* True if it has fired: tells nested ones apart. */
GROVE_API bool grove_timeout_fired(const grove_timeout_t *t);

/*
 * Runs fn(arg) in the current greenlet under a timeout; *value (unless NULL) is what
 * it returned. -1 ETIMEDOUT when the timeout has ended a blocking call of it. May
 * switch.
 */
GROVE_API int grove_with_timeout(double seconds, grove_fn fn, void *arg, void **value);

GROVE_END

#endif
