/* SPDX-License-Identifier: MIT */
/*
 * Actors: a greenlet that takes messages out of an inbox, one at a time, and gives each
 * to a handler. What the handler works on needs no lock.
 *
 * Messages are pointers, whose owner is the sender until a send has returned 0, then
 * the actor, which hands them to the handler in the order in which they were sent. What
 * the actor's end leaves in the inbox goes back to who frees the actor, by
 * grove_actor_take.
 *
 * All calls may be made from any thread, those that don't block also from hub
 * callbacks; from no signal handler.
 */
#ifndef GROVE_ACTOR_H
#define GROVE_ACTOR_H

#include <grove/base.h>
#include <grove/greenlet.h>

GROVE_BEGIN

/* An actor: opaque. */
typedef struct grove_actor grove_actor_t;

/*
 * Deals with one message, in the actor's greenlet: it may block, and send to any actor.
 * It may end the actor: by grove_fail when it fails, or grove_exit; by grove_actor_stop
 * after the messages that are there already.
 */
typedef void (*grove_actor_fn)(grove_actor_t *actor, void *message, void *arg);

/* Makes and starts an actor on the calling thread, as grove_spawn, with an inbox
 * without limit. Errors: ENOMEM; EINVAL no handler. Never switches. */
GROVE_API grove_actor_t *grove_actor_new(grove_actor_fn handler, void *arg);

/* The same with attributes for its greenlet (NULL: none), which also say where it runs
 * (a deferred one is started all the same), and an inbox for up to [size] messages, 0
 * for any number. Errors: as grove_actor_new, and of the attributes EINVAL. */
GROVE_API grove_actor_t *grove_actor_new_with(
    const grove_attr_t *attr, size_t size, grove_actor_fn handler, void *arg);

/*
 * Puts a message into the inbox, waiting while that is full. Errors: EPIPE the actor
 * has been stopped or has ended (also while this waited); EAGAIN full, with a timeout
 * of 0; EDEADLK (also full, and the actor itself sends with another timeout);
 * ETIMEDOUT, ECANCELED, EINVAL, ENOMEM. Whenever it fails, the message remains the
 * caller's. May switch unless timeout is 0.
 */
GROVE_API int grove_actor_send(grove_actor_t *actor, void *message, double timeout);

/* Ends the actor when it has dealt with the messages sent so far. Waits for nothing.
 * Always 0. Never switches. */
GROVE_API int grove_actor_stop(grove_actor_t *actor);

/* Ends the actor at once: its greenlet is killed, in the middle of a message, too; the
 * others stay in the inbox. Waits for nothing. Always 0. Never switches. */
GROVE_API int grove_actor_kill(grove_actor_t *actor);

/* Waits until the actor has ended, however that was. Errors: ETIMEDOUT, ECANCELED,
 * EDEADLK (also by the actor itself), EINVAL. May switch unless timeout is 0. */
GROVE_API int grove_actor_join(grove_actor_t *actor, double timeout);

/* Takes the oldest message that an actor that has ended has left over into *message.
 * Errors: ENOENT there is none; EBUSY the actor still runs. Never switches. */
GROVE_API int grove_actor_take(grove_actor_t *actor, void **message);

/* Its greenlet: for grove_error, grove_name and the like. Valid as long as the actor;
 * no new reference. */
GROVE_API grove_t *grove_actor_greenlet(grove_actor_t *actor);

/* Frees an actor that has ended and that nobody uses any more. NULL is allowed. Errors:
 * EBUSY, and nothing is freed: it still runs, or messages are left to be taken. Never
 * switches. */
GROVE_API int grove_actor_free(grove_actor_t *actor);

GROVE_END

#endif
