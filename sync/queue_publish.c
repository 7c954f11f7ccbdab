/* SPDX-License-Identifier: MIT */
/* Waiting for a queue and for other things at once. */
#include "sync/publish.h"

/* Whether somebody waits in the list who may still win, and isn't the caller himself.
 * Inside the section. */
static bool somebody_waits(const struct wait_list *list, const struct choice *own)
{
    for (const struct waiter *waiter = list->first; waiter; waiter = waiter->next) {
        struct choice *choice = waiter->choice;
        if (!choice || (choice != own && atomic_load_explicit(&choice->winner,
                                             memory_order_relaxed) == NULL))
            return true;
    }
    return false;
}

bool queue_publish_get(struct grove_queue *queue, struct queue_waiter *self)
{
    self->peeks = false;
    queue_enter(queue);
    bool ready = queue_count(queue) > 0 || queue->closed ||
                 somebody_waits(&queue->putters, self->waiter.choice);
    if (!ready)
        queue_link(queue, &queue->getters, self);
    queue_leave(queue);
    return !ready;
}

/* Getters wait only while there is room, but in a channel. */
bool queue_publish_put(struct grove_queue *queue, struct queue_waiter *self)
{
    queue_enter(queue);
    bool ready = queue_count(queue) < queue->limit || queue->closed ||
                 somebody_waits(&queue->getters, self->waiter.choice);
    if (!ready)
        queue_link(queue, &queue->putters, self);
    queue_leave(queue);
    return !ready;
}
