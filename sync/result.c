/* SPDX-License-Identifier: MIT */
#include <grove/result.h>

#include <stdlib.h>
#include <string.h>

#include "sync/blocking.h"
#include "sync/publish.h"

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

static const struct wait_reason reason = {.text = "a result"};

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

/* What it has. Inside the section. */
static struct outcome result_outcome(const struct result *result)
{
    return (struct outcome){
        .value = result->value,
        .error = atomic_load_explicit(&result->error, memory_order_relaxed),
    };
}

/* Waits, and takes the outcome inside the section, as it may be set anew at any time
 * and as the setter must be out of the section when the caller frees the result. */
static int result_wait(struct result *result, double timeout, struct outcome *outcome)
{
    struct waiter self;
    int error = blocking_begin(timeout);

    if (error)
        return error;
    section_enter(&result->list.section);
    bool ready = result_ready(result);
    *outcome = result_outcome(result);
    if (!ready && timeout != 0) {
        (void)waiter_init(&self);
        self.reason = &reason;
        waiter_link(&result->list, &self);
    }
    section_leave(&result->list.section);
    if (ready)
        return 0;
    error = timeout == 0 ? ETIMEDOUT : waiter_park(&self, timeout);
    if (error)
        return error;
    section_enter(&result->list.section);
    *outcome = result_outcome(result);
    section_leave(&result->list.section);
    return 0;
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

bool result_publish(grove_result_t *opaque, struct waiter *waiter)
{
    struct result *result = (struct result *)opaque;

    section_enter(&result->list.section);
    bool ready = result_ready(result);
    if (!ready)
        waiter_link(&result->list, waiter);
    section_leave(&result->list.section);
    return !ready;
}
