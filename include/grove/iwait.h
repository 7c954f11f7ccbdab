/* SPDX-License-Identifier: MIT */
/*
 * Going through many things in the order in which they become ready, after gevent's
 * iwait. For greenlets alone, grove_wait does it in one call.
 *
 *     grove_iwait_t *iwait = grove_iwait_new(cases, n);
 *     size_t i;
 *     while (grove_iwait_next(iwait, GROVE_FOREVER, &i) == 1)
 *         handle(&cases[i]);
 *     grove_iwait_free(iwait);
 */
#ifndef GROVE_IWAIT_H
#define GROVE_IWAIT_H

#include <grove/base.h>
#include <grove/select.h>

GROVE_BEGIN

/* Things that are being waited for: opaque. */
typedef struct grove_iwait grove_iwait_t;

/*
 * Begins to wait for all of the [n] cases, which are made as for grove_select and stay
 * where they are until grove_iwait_free: events, results and the ends of greenlets.
 * (Others take something when they happen: for those there is grove_select.) Cases of
 * kind GROVE_CASE_NEVER are left out. Errors: ENOMEM; EINVAL another kind, a NULL
 * object. Never switches. Any thread and hub callbacks, no signal handler.
 */
GROVE_API grove_iwait_t *grove_iwait_new(grove_case_t *cases, size_t n);

/*
 * The next that became ready: 1 with its index in *index (unless index is NULL), each
 * once, in the order in which they did; its item and error are filled in as by
 * grove_select. 0 when all have been given out.
 * -1 with errno: ETIMEDOUT none within [timeout]; ECANCELED, EDEADLK, EINVAL. Several
 * greenlets and threads may share it. May switch unless timeout is 0. Any thread; with
 * a timeout of 0 also hub callbacks; no signal handler.
 */
GROVE_API int grove_iwait_next(grove_iwait_t *iwait, double timeout, size_t *index);

/* Gives up what has not become ready. Nobody uses it any more. NULL is allowed. Never
 * switches. */
GROVE_API void grove_iwait_free(grove_iwait_t *iwait);

GROVE_END

#endif
