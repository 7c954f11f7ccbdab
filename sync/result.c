/* SPDX-License-Identifier: MIT */
#include <grove/result.h>

#include <stdlib.h>
#include <string.h>

#include "sync/blocking.h"

/*
 * The layout behind grove_result_t.
 *   list    see waiter.h
 *   ready   written inside the section of list, after the rest; read anywhere
 *   error   written inside the section; read anywhere once ready
 *   value, text   under the section
 */
struct result {
    struct wait_list list;
    _Atomic(uint32_t) ready;
    _Atomic(int) error;
    void *value;
    char *text;
};

_Static_assert(sizeof(struct result) == sizeof(grove_result_t), "same object");

static bool result_ready(const struct result *result)
{
    return atomic_load_explicit(&result->ready, memory_order_acquire);
}

/* Takes over [text]. */
static void result_complete(struct result *result, void *value, int error, char *text)
{
    section_enter(&result->list.section);
    char *replaced = result->text;
    result->value = value;
    result->text = text;
    atomic_store_explicit(&result->error, error, memory_order_relaxed);
    atomic_store_explicit(&result->ready, 1, memory_order_release);
    struct waiter *woken = waiter_pop_all(&result->list);
    section_leave(&result->list.section);
    /* The result is not touched any more: who found it ready may have freed it. */
    free(replaced);
    if (woken)
        waiter_wake_chain(woken, 0);
}

int grove_result_set(grove_result_t *opaque, void *value)
{
    result_complete((struct result *)opaque, value, 0, NULL);
    return 0;
}

int grove_result_fail(grove_result_t *opaque, int error, const char *text)
{
    if (error <= 0)
        return answer(EINVAL);
    char *copy = text && *text ? strdup(text) : NULL;
    result_complete((struct result *)opaque, NULL, error, copy);
    return 0;
}

/* What a result was completed with. */
struct outcome {
    void *value;
    int error;
};

/* Whether it is ready; if so, with what. Through the section as grove_event_wait. */
static bool result_look(struct result *result, struct outcome *outcome)
{
    section_enter(&result->list.section);
    bool ready = result_ready(result);
    outcome->value = result->value;
    outcome->error = atomic_load_explicit(&result->error, memory_order_relaxed);
    section_leave(&result->list.section);
    return ready;
}

static int result_block(struct result *result, double timeout)
{
    struct waiter waiter;

    if (timeout == 0)
        return ETIMEDOUT;
    if (waiter_init(&waiter) != 0)
        return errno;
    section_enter(&result->list.section);
    bool ready = result_ready(result);
    if (!ready)
        waiter_link(&result->list, &waiter);
    section_leave(&result->list.section);
    return ready ? 0 : waiter_park(&waiter, timeout);
}

static int result_wait(struct result *result, double timeout, struct outcome *outcome)
{
    int error = blocking_begin(timeout);

    if (error || result_look(result, outcome))
        return error;
    error = result_block(result, timeout);
    if (!error)
        result_look(result, outcome); /* never becomes unready again */
    return error;
}

int grove_result_get(grove_result_t *opaque, double timeout, void **value)
{
    struct outcome outcome;
    int error = result_wait((struct result *)opaque, timeout, &outcome);

    if (error || outcome.error)
        return answer(error ? error : outcome.error);
    if (value)
        *value = outcome.value;
    return 0;
}

int grove_result_wait(grove_result_t *opaque, double timeout)
{
    struct outcome outcome;

    return answer(result_wait((struct result *)opaque, timeout, &outcome));
}

bool grove_result_ready(const grove_result_t *opaque)
{
    return result_ready((const struct result *)opaque);
}

int grove_result_error(const grove_result_t *opaque)
{
    const struct result *result = (const struct result *)opaque;

    if (!result_ready(result))
        return 0;
    return atomic_load_explicit(&result->error, memory_order_relaxed);
}

bool grove_result_successful(const grove_result_t *opaque)
{
    return grove_result_ready(opaque) && grove_result_error(opaque) == 0;
}

const char *grove_result_error_text(const grove_result_t *opaque)
{
    const struct result *result = (const struct result *)opaque;

    /* Outside the section, as the text is only valid while nobody sets it again. */
    return result_ready(result) && result->text ? result->text : "";
}

void grove_result_destroy(grove_result_t *opaque)
{
    struct result *result = (struct result *)opaque;

    free(result->text);
    result->text = NULL;
    result->value = NULL;
    atomic_store_explicit(&result->error, 0, memory_order_relaxed);
    atomic_store_explicit(&result->ready, 0, memory_order_relaxed);
}
