/* SPDX-License-Identifier: MIT */
#ifndef SYNC_PUBLISH_H
#define SYNC_PUBLISH_H

/*
 * Waiting for an object with a waiter of one's own, as those need who wait for several
 * at once (select.c, wait_cases.c). Each links the waiter, prepared by waiter_init or
 * waiter_init_call, unless what is waited for is there already: then it returns false.
 * The waiter's detach takes it out again.
 */

#include <grove/event.h>
#include <grove/result.h>

#include "sync/permits.h"
#include "sync/queue.h"

bool event_publish(grove_event_t *event, struct waiter *waiter);

bool result_publish(grove_result_t *result, struct waiter *waiter);

/* The permit is handed over, and never offered to anybody who might be too late. */
bool permits_publish(struct permits *permits, struct permit_waiter *self);

/* Of the caller's own waiters in the other list, told by their choice, nothing can
 * come.
 */
bool queue_publish_get(struct grove_queue *queue, struct queue_waiter *self);
bool queue_publish_put(struct grove_queue *queue, struct queue_waiter *self);

#endif
