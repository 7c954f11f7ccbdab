/* SPDX-License-Identifier: MIT */
#include "sync/queue.h"

#include <stdlib.h>

#include "sched/switch.h"
#include "sync/queue_items.h"

enum { FIRST_CAPACITY = 16 };

static const struct wait_reason for_room = {
    .text = "room in a queue", .list_offset = offsetof(struct grove_queue, putters)};
static const struct wait_reason for_item = {
    .text = "an item of a queue", .list_offset = offsetof(struct grove_queue, getters)};

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
bool queue_detach(struct waiter *waiter)
{
    struct queue_waiter *self = (struct queue_waiter *)waiter;

    if (atomic_load_explicit(&waiter->list, memory_order_acquire) == NULL)
        return false;
    queue_enter(self->queue);
    bool linked = atomic_load_explicit(&waiter->list, memory_order_relaxed) != NULL;
    if (linked)
        waiter_unlink(self->list, waiter);
    queue_leave(self->queue);
    return linked;
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
    struct waiter *putter = waiter_pop(&queue->putters);

    if (LIKELY(queue_count(queue) > 0))
        *item = queue_pop(queue);
    else if (!putter)
        return queue->closed ? EPIPE : MUST_WAIT;
    else
        *item = putter->item;
    if (putter) {
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
    while (woken) {
        struct waiter *next = woken->next;
        waiter_wake(woken, 0);
        woken = next;
    }
}

/*
 * The ends of a put or get that has to wait, or to fail. They come inside the section
 * and leave it: kept out of the usual path, which then needs no waiter, but without
 * entering the section twice.
 */
static __attribute__((noinline)) SWITCH_RETURN int wait_for_room(
    struct grove_queue *queue, void *item, double timeout)
{
    struct queue_waiter self;

    (void)waiter_init(&self.waiter);
    self.waiter.reason = &for_room;
    queue_link(queue, &queue->putters, &self);
    self.waiter.item = item;
    queue_leave(queue);
    return answer(waiter_park(&self.waiter, timeout));
}

static __attribute__((noinline)) SWITCH_RETURN int wait_for_item(
    struct grove_queue *queue, double timeout, void **item, bool peeks)
{
    struct queue_waiter self;

    (void)waiter_init(&self.waiter);
    self.waiter.reason = &for_item;
    queue_link(queue, &queue->getters, &self);
    self.peeks = peeks;
    queue_leave(queue);
    int error = waiter_park(&self.waiter, timeout);
    if (error == 0 && item)
        *item = self.waiter.item;
    return answer(error);
}

static __attribute__((noinline)) int put_not_yet(
    struct grove_queue *queue, void *item, double timeout, int result)
{
    if (result == MUST_WAIT && timeout != 0)
        return wait_for_room(queue, item, timeout);
    queue_leave(queue);
    if (result == MUST_WAIT)
        return answer(EAGAIN);
    if (result == MUST_GROW && (result = queue_grow(queue)) == 0)
        return grove_queue_put(queue, item, timeout);
    return answer(result);
}

static inline int get_not_yet(
    struct grove_queue *queue, double timeout, void **item, bool peeks, int result)
{
    if (result == MUST_WAIT && timeout != 0)
        return wait_for_item(queue, timeout, item, peeks);
    queue_leave(queue);
    return answer(result == MUST_WAIT ? EAGAIN : result);
}

int grove_queue_put(grove_queue_t *queue, void *item, double timeout)
{
    struct waiter *woken = NULL;
    int error = blocking_begin(timeout);

    if (UNLIKELY(error))
        return answer(error);
    queue_enter(queue);
    int result = offer(queue, item, &woken);
    if (UNLIKELY(result))
        return put_not_yet(queue, item, timeout, result);
    queue_leave(queue);
    wake(woken);
    return 0;
}

int grove_queue_get(grove_queue_t *queue, double timeout, void **item)
{
    struct waiter *woken = NULL;
    void *got;
    int error = blocking_begin(timeout);

    if (UNLIKELY(error))
        return answer(error);
    queue_enter(queue);
    int result = take(queue, &got, &woken);
    if (UNLIKELY(result))
        return get_not_yet(queue, timeout, item, false, result);
    queue_leave(queue);
    wake(woken);
    if (item)
        *item = got;
    return 0;
}

int grove_queue_peek(grove_queue_t *queue, double timeout, void **item)
{
    void *front;
    int error = queue->limit == 0 ? ENOTSUP : blocking_begin(timeout);

    if (error)
        return answer(error);
    queue_enter(queue);
    int result = look(queue, &front);
    if (result)
        return get_not_yet(queue, timeout, item, true, result);
    queue_leave(queue);
    if (item)
        *item = front;
    return 0;
}
