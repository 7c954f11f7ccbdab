/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the first of several things, of which exactly one happens: after the
 * select of Go and the choice of Concurrent ML.
 *
 *     grove_case_t cases[] = {
 *         grove_case_get(requests),
 *         grove_case_event(&stop),
 *         grove_case_timer(1.5),
 *     };
 *     switch (grove_select(cases, 3, GROVE_FOREVER)) {
 *     case 0: serve(cases[0].item); break;
 *     case 1: return;
 *     case 2: report_idle(); break;
 *     default: perror("grove_select");
 *     }
 */
#ifndef GROVE_SELECT_H
#define GROVE_SELECT_H

#include <grove/base.h>
#include <grove/event.h>
#include <grove/lock.h>
#include <grove/queue.h>
#include <grove/result.h>
#include <grove/semaphore.h>

GROVE_BEGIN

/* What a case waits for, and what is done when it happens. */
typedef enum {
    GROVE_CASE_NEVER = 0, /* nothing: leaves a place in the array unused */
    GROVE_CASE_GET,       /* an item: takes it */
    GROVE_CASE_PUT,       /* room, or a getter: puts the item */
    GROVE_CASE_EVENT,     /* the event is set */
    GROVE_CASE_RESULT,    /* the result is ready */
    GROVE_CASE_END,       /* the greenlet has ended */
    GROVE_CASE_SEMAPHORE, /* a permit: takes it */
    GROVE_CASE_LOCK,      /* the lock is free: takes it */
    GROVE_CASE_READABLE,  /* a descriptor, as by grove_wait_fd */
    GROVE_CASE_WRITABLE,
    GROVE_CASE_TIMER, /* so many seconds after the call */
    GROVE_CASE_SIGNAL /* the process gets the signal while the call waits */
} grove_case_kind;

/*
 * One case. Made by the functions below; after the call only the one that happened has
 * been changed:
 *   error   0, or why its operation came to nothing: EPIPE for a queue that is closed,
 *           ENOMEM for one that can't grow, EBADF for a descriptor that is closed; the
 *           error of a greenlet or result that failed
 *   item    what was got; the value of a greenlet or result
 */
typedef struct {
    grove_case_kind kind;
    int error;
    union {
        void *object;
        double seconds;
        int number;
    } of;
    void *item;
} grove_case_t;

/*
 * Waits until one of the [n] cases can happen, does it, and returns its index. When
 * several can, the choice among them is by chance, so that none starves. The others
 * are as if they had not been asked for.
 *
 * -1 with errno: ETIMEDOUT none could within [timeout]; ECANCELED, EDEADLK; ENOMEM;
 * EINVAL an unknown kind, a NULL object, a timeout or timer that is not a number, a
 * signal that can't be caught. May switch unless timeout is 0. Any thread; with a
 * timeout of 0 also hub callbacks; no signal handler. On a plain thread a case of a
 * descriptor gives it a hub of its own.
 */
GROVE_API int grove_select(grove_case_t *cases, size_t n, double timeout);

/* Makes the case of getting an item: it is in [item] afterwards. The makers never
 * switch nor fail, and may be called from anywhere. */
static inline grove_case_t grove_case_get(grove_queue_t *queue)
{
    grove_case_t made = {GROVE_CASE_GET, 0, {NULL}, NULL};

    made.of.object = queue;
    return made;
}

/* Makes the case of putting [item]. */
static inline grove_case_t grove_case_put(grove_queue_t *queue, void *item)
{
    grove_case_t made = {GROVE_CASE_PUT, 0, {NULL}, NULL};

    made.of.object = queue;
    made.item = item;
    return made;
}

/* Makes the case of an event being set. */
static inline grove_case_t grove_case_event(grove_event_t *event)
{
    grove_case_t made = {GROVE_CASE_EVENT, 0, {NULL}, NULL};

    made.of.object = event;
    return made;
}

/* Makes the case of a result being ready. */
static inline grove_case_t grove_case_result(grove_result_t *result)
{
    grove_case_t made = {GROVE_CASE_RESULT, 0, {NULL}, NULL};

    made.of.object = result;
    return made;
}

/* Makes the case of a greenlet's end. */
static inline grove_case_t grove_case_end(grove_t *greenlet)
{
    grove_case_t made = {GROVE_CASE_END, 0, {NULL}, NULL};

    made.of.object = greenlet;
    return made;
}

/* Makes the case of acquiring a semaphore. */
static inline grove_case_t grove_case_semaphore(grove_semaphore_t *semaphore)
{
    grove_case_t made = {GROVE_CASE_SEMAPHORE, 0, {NULL}, NULL};

    made.of.object = semaphore;
    return made;
}

/* Makes the case of acquiring a lock. */
static inline grove_case_t grove_case_lock(grove_lock_t *lock)
{
    grove_case_t made = {GROVE_CASE_LOCK, 0, {NULL}, NULL};

    made.of.object = lock;
    return made;
}

/* Makes the case of a descriptor that can be read without blocking. */
static inline grove_case_t grove_case_readable(int fd)
{
    grove_case_t made = {GROVE_CASE_READABLE, 0, {NULL}, NULL};

    made.of.number = fd;
    return made;
}

/* Makes the case of a descriptor that can be written without blocking. */
static inline grove_case_t grove_case_writable(int fd)
{
    grove_case_t made = {GROVE_CASE_WRITABLE, 0, {NULL}, NULL};

    made.of.number = fd;
    return made;
}

/* Makes the case of [seconds] having passed since the call. */
static inline grove_case_t grove_case_timer(double seconds)
{
    grove_case_t made = {GROVE_CASE_TIMER, 0, {NULL}, NULL};

    made.of.seconds = seconds;
    return made;
}

/* Makes the case of a signal. */
static inline grove_case_t grove_case_signal(int number)
{
    grove_case_t made = {GROVE_CASE_SIGNAL, 0, {NULL}, NULL};

    made.of.number = number;
    return made;
}

GROVE_END

#endif
