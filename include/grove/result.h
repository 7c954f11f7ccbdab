/* SPDX-License-Identifier: MIT */
/*
 * Results: one value or error that is to come, and that any number of greenlets and
 * threads can wait for, after gevent.event.AsyncResult.
 *
 * All calls may be made from any thread and, with a timeout of 0 where they have
 * one, from hub callbacks; from no signal handler.
 */
#ifndef GROVE_RESULT_H
#define GROVE_RESULT_H

#include <grove/base.h>

GROVE_BEGIN

/* A result. All zero bytes is one that is still to come. Private. */
typedef struct {
    grove_waiters_t waiters_;
    uint32_t ready_;
    int error_;
    void *value_;
    char *text_;
} grove_result_t;

/* clang-format off */
#define GROVE_RESULT_INIT {{{0, 0}, NULL, NULL}, 0, 0, NULL, NULL}
/* clang-format on */

/* Gives the value and makes all that wait ready, in the order of their calls. One
 * shot by convention: a second set or fail replaces the first for those who have
 * not looked yet. Always 0. Never switches. */
GROVE_API int grove_result_set(grove_result_t *result, void *value);

/*
 * Gives an error (> 0, an errno value) instead, with a [text] that is copied (NULL:
 * none; it is dropped when there is no memory for it). Otherwise as grove_result_set.
 * Errors: EINVAL error <= 0. Never switches.
 */
GROVE_API int grove_result_fail(grove_result_t *result, int error, const char *text);

/*
 * Waits until it is ready: 0 with the value in *value (unless value is NULL), or -1
 * with the error it was given in errno.
 * Errors: also ETIMEDOUT, ECANCELED, EDEADLK, EINVAL of the wait itself
 * (grove_result_ready tells them apart). May switch unless timeout is 0.
 */
GROVE_API int grove_result_get(grove_result_t *result, double timeout, void **value);

/* As grove_result_get, but 0 for a value and for an error alike. */
GROVE_API int grove_result_wait(grove_result_t *result, double timeout);

/* Whether it has a value or an error. Never switches. */
GROVE_API bool grove_result_ready(const grove_result_t *result);

/* Whether it has a value. Never switches. */
GROVE_API bool grove_result_successful(const grove_result_t *result);

/* The error it was given, 0 if none. Never switches. */
GROVE_API int grove_result_error(const grove_result_t *result);

/* The text of its error, "" if none. Valid until the next set, fail or destroy. */
GROVE_API const char *grove_result_error_text(const grove_result_t *result);

/* Frees the text of an error; only a result that has failed needs it. Nobody uses the
 * result during the call; afterwards it is as new. Never switches. */
GROVE_API void grove_result_destroy(grove_result_t *result);

GROVE_END

#endif
