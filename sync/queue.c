/* SPDX-License-Identifier: MIT */
#include "sync/queue.h"

#include <stdlib.h>

#include "sync/queue_items.h"

enum { FIRST_CAPACITY = 16 };

/* What an attempt comes to besides 0 and EPIPE. No errno values, as those may be what a
 * greenlet is killed with. */
enum { MUST_WAIT = -1, MUST_GROW = -2 };

static grove_queue_t *queue_create(
    grove_queue_kind kind, size_t maxsize, int (*compare)(const void *, const void *))
{
    void *memory;
    int error = posix_memalign(&memory, 64, sizeof(struct grove_queue));

    if (error) {
        errno = error;
        return NULL;
    }
    struct grove_queue *queue = memory;
    *queue = (struct grove_queue){.kind = kind, .compare = compare};
    queue->limit =
        maxsize == 0 || maxsize > QUEUE_LIMIT_MAX ? QUEUE_LIMIT_MAX : (uint32_t)maxsize;
    if (kind == GROVE_CHANNEL) {
        queue->limit = 0;
        return queue;
    }
    queue->capacity = FIRST_CAPACITY;
    queue->items = malloc(FIRST_CAPACITY * sizeof *queue->items);
    if (!queue->items) {
        free(queue);
        return NULL;
    }
    return queue;
}

grove_queue_t *grove_queue_new(grove_queue_kind kind, size_t maxsize)
{
    if (kind != GROVE_FIFO && kind != GROVE_LIFO && kind != GROVE_CHANNEL) {
        errno = EINVAL;
        return NULL;
    }
    return queue_create(kind, maxsize, NULL);
}

grove_queue_t *grove_priority_queue_new(
    size_t maxsize, int (*compare)(const void *a, const void *b))
{
    if (!compare) {
        errno = EINVAL;
        return NULL;
    }
    return queue_create(GROVE_FIFO, maxsize, compare);
}

void grove_queue_free(grove_queue_t *queue)
{
    if (!queue)
        return;
    free(queue->items);
    free(queue);
}

/* waiter_detach_list, but under the section of the queue. */
static bool queue_detach(struct waiter *waiter)
{
    struct queue_waiter *self = (struct queue_waiter *)waiter;

    /* Taken out already: then the queue is not touched, its wake may come late. */
    if (atomic_load_explicit(&waiter->list, memory_order_relaxed) == NULL)
        return false;
    queue_enter(self->queue);
    bool linked = atomic_load_explicit(&waiter->list, memory_order_relaxed) != NULL;
    if (linked)
        waiter_unlink(self->list, waiter);
    queue_leave(self->queue);
    return linked;
}

int queue_waiter_init(
    struct queue_waiter *self, struct grove_queue *queue, struct wait_list *list)
{
    if (waiter_init(&self->waiter) != 0)
        return errno;
    self->waiter.detach = queue_detach;
    self->queue = queue;
    self->list = list;
    self->peeks = false;
    return 0;
}

/*
 * Gives the item to the blocked peekers in front, and then to a getter if there is one.
 * Appends all whom the caller has to wake to *woken. Inside the section.
 */
static bool hand_to_getter(struct grove_queue *queue, void *item, struct waiter **woken)
{
    struct waiter *getter;
    bool peeks;

    do {
        if (!(getter = waiter_pop(&queue->getters)))
            return false;
        peeks = ((struct queue_waiter *)getter)->peeks;
        getter->item = item;
        getter->next = NULL;
        *woken = getter;
        woken = &getter->next;
    } while (peeks);
    return true;
}

/* Puts the item without waiting: 0, EPIPE, MUST_WAIT or MUST_GROW. Inside the
 * section; the caller leaves it and wakes. */
static inline int offer(struct grove_queue *queue, void *item, struct waiter **woken)
{
    uint32_t count = queue_count(queue);

    if (UNLIKELY(queue->closed))
        return EPIPE;
    if (queue->getters.first && hand_to_getter(queue, item, woken)) {
        queue->unfinished++;
        return 0;
    }
    if (UNLIKELY(count >= queue->limit))
        return MUST_WAIT;
    if (UNLIKELY(count == queue->capacity))
        return MUST_GROW;
    queue_push(queue, item);
    queue->unfinished++;
    return 0;
}

/* Takes an item without waiting: 0, EPIPE or MUST_WAIT. As offer. */
static inline int take(struct grove_queue *queue, void **item, struct waiter **woken)
{
    struct waiter *putter = queue->putters.first;

    if (LIKELY(queue_count(queue) > 0))
        *item = queue_pop(queue);
    else if (!putter)
        return queue->closed ? EPIPE : MUST_WAIT;
    else
        *item = putter->item;
    if (putter) {
        waiter_unlink(&queue->putters, putter);
        if (queue->limit > 0)
            queue_push(queue, putter->item);
        queue->unfinished++;
        putter->next = NULL;
        *woken = putter;
    }
    return 0;
}

static inline int look(struct grove_queue *queue, void **item)
{
    if (queue_count(queue) == 0)
        return queue->closed ? EPIPE : MUST_WAIT;
    *item = queue_front(queue);
    return 0;
}

static inline void wake(struct waiter *woken)
{
    if (woken)
        waiter_wake_chain(woken, 0);
}

static inline int put_now(struct grove_queue *queue, void *item)
{
    struct waiter *woken = NULL;

    queue_enter(queue);
    int result = offer(queue, item, &woken);
    queue_leave(queue);
    wake(woken);
    return result;
}

static int put_waiting(struct grove_queue *queue, void *item, double timeout)
{
    struct queue_waiter self;
    struct waiter *woken = NULL;
    int result = queue_waiter_init(&self, queue, &queue->putters);

    if (result)
        return result;
    self.waiter.item = item;
    queue_enter(queue);
    result = offer(queue, item, &woken);
    if (result == MUST_WAIT)
        waiter_link(&queue->putters, &self.waiter);
    queue_leave(queue);
    wake(woken);
    return result == MUST_WAIT ? waiter_park(&self.waiter, timeout) : result;
}

/* The rest of a put whose first attempt came to [result]. */
static int put_slow(struct grove_queue *queue, void *item, double timeout, int result)
{
    for (;;) {
        if (result == MUST_GROW) {
            int error = queue_grow(queue);
            if (error)
                return error;
            result = put_now(queue, item);
        } else if (result == MUST_WAIT && timeout != 0) {
            result = put_waiting(queue, item, timeout);
        } else {
            return result == MUST_WAIT ? EAGAIN : result;
        }
    }
}

int grove_queue_put(grove_queue_t *queue, void *item, double timeout)
{
    int error = blocking_begin(timeout);

    if (LIKELY(!error) && UNLIKELY((error = put_now(queue, item)) != 0))
        error = put_slow(queue, item, timeout, error);
    return answer(error);
}

static int get_waiting(
    struct grove_queue *queue, double timeout, void **item, bool peeks)
{
    struct queue_waiter self;
    struct waiter *woken = NULL;
    int result = queue_waiter_init(&self, queue, &queue->getters);

    if (result)
        return result;
    self.peeks = peeks;
    queue_enter(queue);
    result = peeks ? look(queue, item) : take(queue, item, &woken);
    if (result == MUST_WAIT)
        waiter_link(&queue->getters, &self.waiter);
    queue_leave(queue);
    wake(woken);
    if (result != MUST_WAIT)
        return result;
    result = waiter_park(&self.waiter, timeout);
    if (!result)
        *item = self.waiter.item;
    return result;
}

/* The rest of a get or peek whose first attempt came to [result]. */
static int get_slow(
    struct grove_queue *queue, double timeout, void **item, bool peeks, int result)
{
    if (result != MUST_WAIT)
        return result;
    return timeout == 0 ? EAGAIN : get_waiting(queue, timeout, item, peeks);
}

int grove_queue_get(grove_queue_t *queue, double timeout, void **item)
{
    void *taken;
    struct waiter *woken = NULL;
    int error = blocking_begin(timeout);

    if (UNLIKELY(error))
        return answer(error);
    queue_enter(queue);
    error = take(queue, &taken, &woken);
    queue_leave(queue);
    wake(woken);
    if (UNLIKELY(error) &&
        (error = get_slow(queue, timeout, &taken, false, error)) != 0)
        return answer(error);
    if (item)
        *item = taken;
    return 0;
}

int grove_queue_peek(grove_queue_t *queue, double timeout, void **item)
{
    void *front;
    int error = queue->limit == 0 ? ENOTSUP : blocking_begin(timeout);

    if (error)
        return answer(error);
    queue_enter(queue);
    error = look(queue, &front);
    queue_leave(queue);
    if (error && (error = get_slow(queue, timeout, &front, true, error)) != 0)
        return answer(error);
    if (item)
        *item = front;
    return 0;
}
