/* SPDX-License-Identifier: MIT */
#include <grove/actor.h>

#include <stdlib.h>

#include <grove/event.h>
#include <grove/queue.h>

#include "sched/spawn.h"
#include "sync/blocking.h"

/*
 * All but the inbox and the event is constant. The inbox is closed by a stop, a kill,
 * or the link on the greenlet, which is called in whatever way that ends. The link's
 * last access is the event, whose waiter may free the actor then (event.c).
 */
struct grove_actor {
    grove_queue_t *inbox;
    grove_event_t ended;
    grove_t *greenlet;
    grove_actor_fn handler;
    void *arg;
};

static void *serve(void *arg)
{
    grove_actor_t *actor = arg;
    void *message;

    for (;;) {
        if (grove_queue_get(actor->inbox, GROVE_FOREVER, &message) == 0)
            actor->handler(actor, message, actor->arg);
        else if (errno != ETIMEDOUT) /* a grove_timeout that the handler left running */
            return NULL;
    }
}

static void actor_ended(grove_t *greenlet, void *arg)
{
    grove_actor_t *actor = arg;

    (void)greenlet;
    grove_queue_close(actor->inbox);
    grove_event_set(&actor->ended);
}

/* Its greenlet, which waits for grove_start until the link is there. */
static grove_t *spawn(grove_actor_t *actor, const grove_attr_t *attr, void *site)
{
    grove_attr_t deferred = attr ? *attr : (grove_attr_t){.name = NULL};

    deferred.deferred = true;
    grove_t *greenlet = spawn_for(&deferred, serve, actor, site);
    if (!greenlet)
        return NULL;
    if (grove_link(greenlet, actor_ended, actor) == 0) {
        actor->greenlet = greenlet; /* before it can run */
        if (grove_start(greenlet) == 0)
            return greenlet;
        grove_unlink(greenlet, actor_ended, actor);
    }
    int error = errno;
    grove_kill(greenlet, 0);
    grove_release(greenlet);
    errno = error;
    return NULL;
}

static grove_actor_t *actor_new(const grove_attr_t *attr, size_t size,
    grove_actor_fn handler, void *arg, void *site)
{
    if (!handler) {
        errno = EINVAL;
        return NULL;
    }
    grove_actor_t *actor = calloc(1, sizeof *actor);
    if (!actor)
        return NULL;
    actor->handler = handler;
    actor->arg = arg;
    actor->ended = (grove_event_t)GROVE_EVENT_INIT;
    actor->inbox = grove_queue_new(GROVE_FIFO, size);
    if (!actor->inbox)
        goto free_actor;
    if (spawn(actor, attr, site))
        return actor;
    int error = errno;
    grove_queue_free(actor->inbox);
    errno = error;
free_actor:
    free(actor);
    return NULL;
}

grove_actor_t *grove_actor_new_with(
    const grove_attr_t *attr, size_t size, grove_actor_fn handler, void *arg)
{
    return actor_new(attr, size, handler, arg, CALL_SITE);
}

grove_actor_t *grove_actor_new(grove_actor_fn handler, void *arg)
{
    return actor_new(NULL, 0, handler, arg, CALL_SITE);
}

int grove_actor_send(grove_actor_t *actor, void *message, double timeout)
{
    if (timeout == 0 || grove_current() != actor->greenlet)
        return grove_queue_put(actor->inbox, message, timeout);
    /* Nobody else would make room. */
    int error = blocking_begin(timeout);
    if (error)
        return answer(error);
    if (grove_queue_put(actor->inbox, message, 0) == 0)
        return 0;
    return answer(errno == EAGAIN ? EDEADLK : errno);
}

int grove_actor_stop(grove_actor_t *actor)
{
    return grove_queue_close(actor->inbox);
}

int grove_actor_kill(grove_actor_t *actor)
{
    grove_queue_close(actor->inbox);
    return grove_kill(actor->greenlet, 0);
}

int grove_actor_join(grove_actor_t *actor, double timeout)
{
    if (grove_current() == actor->greenlet)
        return answer(EDEADLK);
    return grove_event_wait(&actor->ended, timeout);
}

int grove_actor_take(grove_actor_t *actor, void **message)
{
    if (grove_event_wait(&actor->ended, 0) < 0)
        return answer(EBUSY);
    return grove_queue_get(actor->inbox, 0, message) < 0 ? answer(ENOENT) : 0;
}

grove_t *grove_actor_greenlet(grove_actor_t *actor)
{
    return actor->greenlet;
}

int grove_actor_free(grove_actor_t *actor)
{
    if (!actor)
        return 0;
    /* The wait passes the event's section: the link is out of it. */
    if (grove_event_wait(&actor->ended, 0) < 0 || !grove_queue_empty(actor->inbox))
        return answer(EBUSY);
    grove_release(actor->greenlet);
    grove_queue_free(actor->inbox);
    free(actor);
    return 0;
}
