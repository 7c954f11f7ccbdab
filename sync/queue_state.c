/* SPDX-License-Identifier: MIT */
/* What one asks a queue besides its items: size, unfinished tasks, closing. */
#include "sync/queue.h"

size_t grove_queue_size(const grove_queue_t *queue)
{
    return queue_count(queue);
}

bool grove_queue_empty(const grove_queue_t *queue)
{
    return queue_count(queue) == 0;
}

bool grove_queue_full(const grove_queue_t *queue)
{
    return queue_count(queue) >= queue->limit;
}

int grove_queue_task_done(grove_queue_t *queue)
{
    struct waiter *woken = NULL;
    int error = 0;

    queue_enter(queue);
    if (queue->unfinished == 0)
        error = EINVAL;
    else if (--queue->unfinished == 0)
        woken = waiter_pop_all(&queue->joiners);
    queue_leave(queue);
    if (woken)
        waiter_wake_chain(woken, 0);
    return answer(error);
}

int grove_queue_join(grove_queue_t *queue, double timeout)
{
    static const struct wait_reason reason = {.text = "the tasks of a queue",
        .list_offset = offsetof(struct grove_queue, joiners)};
    struct queue_waiter self;
    int error = blocking_begin(timeout);

    if (error)
        return answer(error);
    queue_enter(queue);
    bool finished = queue->unfinished == 0;
    if (!finished && timeout != 0) {
        (void)waiter_init(&self.waiter);
        self.waiter.reason = &reason;
        queue_link(queue, &queue->joiners, &self);
    }
    queue_leave(queue);
    if (finished)
        return 0;
    return answer(timeout == 0 ? ETIMEDOUT : waiter_park(&self.waiter, timeout));
}

int grove_queue_close(grove_queue_t *queue)
{
    queue_enter(queue);
    queue->closed = true;
    /* Getters wait only while it is empty, so there is nothing left for them to take.
     */
    struct waiter *getters = waiter_pop_all(&queue->getters);
    struct waiter *putters = waiter_pop_all(&queue->putters);
    queue_leave(queue);
    waiter_wake_chain(getters, EPIPE);
    waiter_wake_chain(putters, EPIPE);
    return 0;
}
