/* SPDX-License-Identifier: MIT */
/*
 * Queues and channels of pointers, between any number of greenlets and plain threads,
 * after gevent.queue.
 *
 * Blocked getters are served in the order of their calls, and so are blocked putters.
 * An item lies in the queue or is with one getter: a getter that is killed or times
 * out has taken none, a putter that is has put none.
 *
 * All calls may be made from any thread and, with a timeout of 0 where they have
 * one, from hub callbacks; from no signal handler.
 */
#ifndef GROVE_QUEUE_H
#define GROVE_QUEUE_H

#include <grove/base.h>

GROVE_BEGIN

/* A queue: opaque. */
typedef struct grove_queue grove_queue_t;

/* Which item a get takes. */
typedef enum {
    GROVE_FIFO = 0, /* the oldest */
    GROVE_LIFO,     /* the newest */
    GROVE_CHANNEL   /* holds none: a put returns when a getter has taken the item */
} grove_queue_kind;

/*
 * A queue for up to [maxsize] items, 0 for any number; a channel ignores it. Memory
 * grows with use. Errors: ENOMEM; EINVAL unknown kind. Never switches.
 */
GROVE_API grove_queue_t *grove_queue_new(grove_queue_kind kind, size_t maxsize);

/*
 * A queue whose get takes the least item by compare(a, b) < 0; among equals any.
 * [compare] is called inside the queue's own spin lock: it must be short and call
 * nothing of this library. Errors: ENOMEM; EINVAL no compare. Never switches.
 */
GROVE_API grove_queue_t *grove_priority_queue_new(
    size_t maxsize, int (*compare)(const void *a, const void *b));

/* Frees the queue, not its items. Nobody uses it any more. NULL is allowed. */
GROVE_API void grove_queue_free(grove_queue_t *queue);

/*
 * Puts an item, waiting until there is room; into a channel, until a getter has
 * taken it. With a timeout of 0 it fails with EAGAIN instead of waiting.
 * Errors: EAGAIN, ETIMEDOUT, EPIPE closed (also while it waited), ENOMEM, ECANCELED,
 * EDEADLK, EINVAL. May switch unless timeout is 0.
 */
GROVE_API int grove_queue_put(grove_queue_t *queue, void *item, double timeout);

/*
 * Takes an item into *item (unless item is NULL), waiting until there is one. With a
 * timeout of 0 it fails with EAGAIN instead of waiting. Switches only to wait.
 * Errors: EAGAIN, ETIMEDOUT, EPIPE closed and empty, ECANCELED, EDEADLK, EINVAL.
 */
GROVE_API int grove_queue_get(grove_queue_t *queue, double timeout, void **item);

/* As grove_queue_get, but leaves the item in. ENOTSUP: a channel holds none. */
GROVE_API int grove_queue_peek(grove_queue_t *queue, double timeout, void **item);

/* Items in it now. Never switches. */
GROVE_API size_t grove_queue_size(const grove_queue_t *queue);

/* Whether it holds none now; of a channel always true. Never switches. */
GROVE_API bool grove_queue_empty(const grove_queue_t *queue);

/* Whether it holds maxsize items now; of a channel always true. Never switches. */
GROVE_API bool grove_queue_full(const grove_queue_t *queue);

/* Says that one item that was put has been dealt with. When all have been, the joins
 * return. Errors: EINVAL more often than items were put. Never switches. */
GROVE_API int grove_queue_task_done(grove_queue_t *queue);

/* Waits until every item that was put has been reported done.
 * Errors: ETIMEDOUT, ECANCELED, EDEADLK, EINVAL. May switch unless timeout is 0. */
GROVE_API int grove_queue_join(grove_queue_t *queue, double timeout);

/* Closes it: puts, also blocked ones, fail with EPIPE; gets take what is left, then
 * fail with EPIPE. Closing again changes nothing. Always 0. Never switches. */
GROVE_API int grove_queue_close(grove_queue_t *queue);

GROVE_END

#endif
