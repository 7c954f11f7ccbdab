/* SPDX-License-Identifier: MIT */
/*
 * Scopes: greenlets that end before the block that spawned them.
 *
 *     grove_scope_t scope;
 *
 *     if (grove_scope_open(&scope, GROVE_CANCEL_ON_FAILURE) < 0)
 *         return -1;
 *     grove_scope_deadline(&scope, 2.0);
 *     grove_release(grove_scope_go(&scope, fetch, first));
 *     grove_release(grove_scope_go(&scope, fetch, second));
 *     return grove_scope_close(&scope);
 *
 * When the close returns, every greenlet of the scope has ended, whatever happened.
 *
 * A scope is cancelled by grove_scope_cancel, by its deadline, by a child's failure, or
 * by the end of its opener's patience. Then no more can be spawned into it; its
 * children are killed, which for those not started yet means that they never run; and
 * so are the blocking calls of its opener, until it has closed the scope. A greenlet
 * fails by grove_fail, or by a kill with another error than ECANCELED before it ran.
 *
 * Scopes nest: one that a child opens, or that is opened inside another one by the same
 * greenlet, lies inside. A cancel reaches at once all that lie inside, on whatever
 * worker, whoever in between computes; and their deadlines are at most the outer's.
 *
 * All calls fail with EINVAL when NULL stands in the place of a scope.
 */
#ifndef GROVE_SCOPE_H
#define GROVE_SCOPE_H

#include <grove/base.h>
#include <grove/greenlet.h>

GROVE_BEGIN

/* What a scope does when a child fails. */
typedef enum {
    GROVE_CANCEL_ON_FAILURE = 0, /* the first failure cancels the others */
    GROVE_COLLECT_ALL            /* the others go on */
} grove_scope_mode;

/* A scope; on the stack of who opens it. Private. */
typedef struct {
    uint32_t section_[2];
    void *scope_;
} grove_scope_t;

/*
 * Opens a scope for the calling greenlet, which has to close it. If it ends without, by
 * grove_exit, grove_fail or a return, the scope is cancelled and waited for then; a
 * thread that isn't a worker does that when it ends. From then on nobody may use the
 * grove_scope_t, not even a grove_defer from before the open. Before the main greenlet
 * calls grove_shutdown it has to close its scopes.
 *
 * Errors: the error of the scope around it, if that is cancelled; EINVAL unknown mode;
 * ENOMEM; EPERM in a hub callback. Never switches. Not from signal handlers.
 */
GROVE_API int grove_scope_open(grove_scope_t *scope, grove_scope_mode mode);

/*
 * grove_spawn of a child. The caller gets a reference, as of every spawn. Any thread,
 * the children too: also while the scope is being closed, until it is empty.
 *
 * Errors: ECANCELED: the scope is cancelled or closed; those of the spawns. Never
 * switches. Not from signal handlers.
 */
GROVE_API grove_t *grove_scope_spawn(grove_scope_t *scope, grove_fn fn, void *arg);

/* The same, but grove_go: any worker may start the child. */
GROVE_API grove_t *grove_scope_go(grove_scope_t *scope, grove_fn fn, void *arg);

/* The same, but grove_spawn_with. A deferred child is waited for, started or not. */
GROVE_API grove_t *grove_scope_spawn_with(
    grove_scope_t *scope, const grove_attr_t *attr, grove_fn fn, void *arg);

/* Cancels: blocking calls of the children, and of the opener until it has closed the
 * scope, fail with ECANCELED. Of a closed scope it does nothing. Always 0. Any thread;
 * never switches. Not from signal handlers. */
GROVE_API int grove_scope_cancel(grove_scope_t *scope);

/*
 * Cancels in [seconds] from now, with ETIMEDOUT in the place of ECANCELED. Replaces an
 * earlier one; GROVE_FOREVER takes it away; the outer scope's holds in any case.
 * Children on other workers that run already learn of it from the opener's thread,
 * those that start later have a timer of their own.
 *
 * Errors: EPERM not the opener, or closed; EINVAL not a number; ENOMEM. Never switches.
 */
GROVE_API int grove_scope_deadline(grove_scope_t *scope, double seconds);

/*
 * Waits until all children have ended. 0, or -1 with what came first: the error of the
 * first child that failed, ECANCELED or ETIMEDOUT of a cancel or a deadline, or the
 * error with which this wait was cut short. By that (a kill of the opener, a
 * grove_timeout, EDEADLK) the children are cancelled, and still waited for. Afterwards
 * nothing of a cancel is left: the opener's blocking calls work again, unless it is
 * itself killed.
 *
 * Errors that leave the scope open: EPERM not the opener, or closed; EBUSY: a scope
 * opened inside by the same greenlet is still open. Switches if it has to wait.
 */
GROVE_API int grove_scope_close(grove_scope_t *scope);

/* grove_scope_close, and in *failed the first child that failed, with a reference for
 * the caller (grove_error, grove_error_text, grove_name), or NULL when none did. With
 * EPERM and EBUSY *failed is untouched. */
GROVE_API int grove_scope_close_with(grove_scope_t *scope, grove_t **failed);

GROVE_END

#endif
