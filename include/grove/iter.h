/* SPDX-License-Identifier: MIT */
/*
 * One function over many items, in the members of a group or pool.
 *
 * Each item is a task: a call of the function that may block and that at most as many
 * others as the pool has slots run beside. It behaves as if it were a member greenlet
 * of its own: what it leaves behind (defers, locals, timeouts, links and references to
 * its greenlet, a kill) ends with it, and grove_exit and grove_fail end it alone. But
 * to save a spawn for each, a member goes on with the next item when a task has left
 * nothing behind, so several tasks may see the same grove_current(). Tasks that don't
 * block run back to back, for a part of GROVE_SWITCH_INTERVAL at most.
 *
 * A task fails by grove_fail. A killed one counts as successful if it had begun, with
 * what it returned; one that was killed before fails with ECANCELED. If there is no
 * memory for a member, the items that have not begun fail with ENOMEM.
 *
 * grove_group_spread says on which threads the tasks run. All calls may be made from
 * any thread; from no signal handler.
 */
#ifndef GROVE_ITER_H
#define GROVE_ITER_H

#include <grove/base.h>
#include <grove/group.h>

GROVE_BEGIN

/* The results of tasks, to be read one by one: opaque. */
typedef struct grove_iter grove_iter_t;

/*
 * Runs fn(in[i]) for each of the [n] items and waits until all have ended. The values
 * are in out[i] (unless out is NULL), that of a failed one is NULL; -1 with the error
 * of the first failed item if there is one. If the caller is killed or a grove_timeout
 * fires, items that have not begun don't any more, those that run are killed, and the
 * call fails with that error when all have ended. A member of a pool that maps over its
 * own pool needs a further slot. Errors: also EDEADLK, ENOMEM, EINVAL. Switches.
 */
GROVE_API int grove_group_map(
    grove_group_t *group, grove_fn fn, void **in, void **out, size_t n);

/*
 * grove_group_map in a greenlet that is no member: its value is [out], or it fails with
 * what the map fails with. [in] and [out] stay valid until it has ended; killing it is
 * killing the map. Errors: ENOMEM, EINVAL. Never switches.
 */
GROVE_API grove_t *grove_group_map_async(
    grove_group_t *group, grove_fn fn, void **in, void **out, size_t n);

/*
 * Runs fn(in[i]) for each of the [n] items while the results are read, in the order of
 * the items. [in] stays valid until the last item was read or the iterator is freed.
 * Errors: ENOMEM, EINVAL. Never switches.
 */
GROVE_API grove_iter_t *grove_group_imap(
    grove_group_t *group, grove_fn fn, void **in, size_t n);

/* The same, but the results come in the order of the tasks' ends. */
GROVE_API grove_iter_t *grove_group_imap_unordered(
    grove_group_t *group, grove_fn fn, void **in, size_t n);

/* grove_group_imap, but at most [ahead] items (0: any number) have begun and not been
 * read. */
GROVE_API grove_iter_t *grove_group_imap_bounded(
    grove_group_t *group, grove_fn fn, void **in, size_t n, size_t ahead);

/* grove_group_imap_unordered with that bound. */
GROVE_API grove_iter_t *grove_group_imap_unordered_bounded(
    grove_group_t *group, grove_fn fn, void **in, size_t n, size_t ahead);

/*
 * The next result: 1 with the value in *value (unless value is NULL), 0 when all have
 * been read, -1 with the error of a failed task: the next call goes on with the next
 * item. Also -1 for ETIMEDOUT, ECANCELED, EDEADLK or EINVAL of the wait itself, with
 * which no result is lost: grove_iter_failed tells them apart. Several readers may
 * share an iterator; each result goes to one. May switch unless timeout is 0.
 */
GROVE_API int grove_iter_next(grove_iter_t *iter, double timeout, void **value);

/* Whether the last grove_iter_next gave the error of a task. With several readers: the
 * last of any of them. Never switches. */
GROVE_API bool grove_iter_failed(const grove_iter_t *iter);

/* Which item the last result was of; SIZE_MAX before the first. With several readers:
 * the last of any of them. Never switches. */
GROVE_API size_t grove_iter_index(const grove_iter_t *iter);

/* Frees the iterator, which nobody reads any more. Items that have not begun don't any
 * more, tasks that run are killed and end by themselves: it doesn't wait for them. NULL
 * is allowed. Never switches. */
GROVE_API void grove_iter_free(grove_iter_t *iter);

GROVE_END

#endif
