/* SPDX-License-Identifier: MIT */
#include "sync/select.h"

#include <limits.h>
#include <stdlib.h>

#include "sched/chance.h"
#include "sched/container.h"
#include "sched/spin.h"

enum { SLOTS_ON_STACK = 8, NONE = -1, AGAIN = -2 };

struct selecting {
    grove_case_t *cases;
    size_t n;
    const struct select_kind *const *kinds;
    nanoseconds deadline; /* of the call, or of the earliest timer */
    int timer;            /* index of that timer, or NONE */
    size_t first;         /* where a round begins */
};

/* The waiter that the caller parks on: in no list, it stands for all in the slots. */
struct parked {
    struct waiter waiter;
    struct choice choice;
};

static const struct select_kind *kind_of(const struct selecting *selecting, size_t i)
{
    return selecting->kinds[selecting->cases[i].kind];
}

/* By chance, so that no case starves. */
static size_t draw(size_t n)
{
    static _Thread_local uint32_t of_thread = 1;
    struct worker *worker = worker_self;
    uint32_t *state = worker ? &worker->random : &of_thread;

    if (worker && chance_for(worker))
        return chance_draw((uint32_t)n);
    *state = *state * 1664525 + 1013904223;
    return ((*state >> 8) * (uint64_t)n) >> 24;
}

static size_t after(const struct selecting *selecting, size_t i)
{
    return i + 1 == selecting->n ? 0 : i + 1;
}

static int check_timer(struct selecting *selecting, int index)
{
    double seconds = selecting->cases[index].of.seconds;

    if (seconds != seconds)
        return EINVAL;
    nanoseconds deadline = timers_deadline(seconds > 0 ? seconds : 0);
    if (deadline < selecting->deadline) {
        selecting->deadline = deadline;
        selecting->timer = index;
    }
    return 0;
}

static int check(struct selecting *selecting, size_t kind_count)
{
    for (size_t i = 0; i < selecting->n; i++) {
        const grove_case_t *one = &selecting->cases[i];
        int error = 0;
        if ((size_t)one->kind >= kind_count)
            return EINVAL;
        if (one->kind == GROVE_CASE_TIMER)
            error = check_timer(selecting, (int)i);
        else if (kind_of(selecting, i))
            error = kind_of(selecting, i)->check(one);
        if (error)
            return error;
    }
    return 0;
}

/* The index of the case that could be done at once, or NONE. */
static int attempt(struct selecting *selecting)
{
    size_t i = selecting->first;

    for (size_t left = selecting->n; left > 0; left--, i = after(selecting, i)) {
        const struct select_kind *kind = kind_of(selecting, i);
        if (kind && kind->attempt(&selecting->cases[i]))
            return (int)i;
    }
    return NONE;
}

/* A timeout or a kill, on the caller's worker. */
static bool detach(struct waiter *waiter)
{
    struct parked *parked = CONTAINER(waiter, struct parked, waiter);

    return choice_decide(&parked->choice, waiter);
}

/* Publishes in order from selecting->first, until one isn't: *last says why. Returns
 * how many were. */
static size_t publish(struct selecting *selecting, struct select_slot *slots,
    struct parked *parked, enum select_outcome *last)
{
    size_t published = 0;

    *last = SELECT_PUBLISHED;
    for (size_t i = selecting->first; published < selecting->n;
         published++, i = after(selecting, i)) {
        const struct select_kind *kind = kind_of(selecting, i);
        if (!kind)
            continue;
        (void)waiter_init(&slots[i].waiter);
        slots[i].waiter.choice = &parked->choice;
        *last = kind->publish(&selecting->cases[i], &slots[i]);
        if (*last != SELECT_PUBLISHED)
            break;
    }
    return published;
}

static void withdraw(
    struct selecting *selecting, struct select_slot *slots, size_t published)
{
    for (size_t i = selecting->first; published > 0;
         published--, i = after(selecting, i))
        if (kind_of(selecting, i))
            kind_of(selecting, i)->withdraw(&selecting->cases[i], &slots[i]);
}

static const struct wait_reason reason = {
    .text = "the first of several", .list_offset = -1};

/* The time is over; a timer's, or the call's. */
static int out_of_time(struct selecting *selecting)
{
    if (selecting->timer == NONE)
        return answer(ETIMEDOUT);
    selecting->cases[selecting->timer].error = 0;
    return selecting->timer;
}

static int collect(struct selecting *selecting, struct select_slot *slots, size_t i)
{
    kind_of(selecting, i)->collect(&selecting->cases[i], &slots[i]);
    return (int)i;
}

/* What comes of a case that wasn't published after so many that were. */
static int not_published(struct selecting *selecting, struct select_slot *slots,
    size_t published, enum select_outcome outcome)
{
    size_t i = (selecting->first + published) % selecting->n;

    if (outcome == SELECT_HAPPENED)
        return collect(selecting, slots, i);
    return outcome == SELECT_FAILED ? NONE : AGAIN;
}

/* Publishes and parks. The index of the case that happened; NONE with errno; AGAIN. */
static int wait_published(struct selecting *selecting, struct select_slot *slots)
{
    struct parked parked = {.choice.parked = &parked.waiter};
    enum select_outcome last;

    if (waiter_init(&parked.waiter) < 0)
        return NONE;
    parked.waiter.reason = &reason;
    parked.waiter.detach = detach;
    size_t published = publish(selecting, slots, &parked, &last);
    if (last != SELECT_PUBLISHED && choice_decide(&parked.choice, &parked.waiter)) {
        int saved_errno = errno;
        withdraw(selecting, slots, published);
        errno = saved_errno;
        return not_published(selecting, slots, published, last);
    }
    int error = waiter_park(&parked.waiter, timers_left(selecting->deadline));
    withdraw(selecting, slots, published);
    struct waiter *winner =
        atomic_load_explicit(&parked.choice.winner, memory_order_acquire);
    if (winner == &parked.waiter)
        return parked.waiter.expired ? out_of_time(selecting) : answer(error);
    return collect(selecting, slots,
        (size_t)(CONTAINER(winner, struct select_slot, waiter) - slots));
}

static int wait_with(struct selecting *selecting, struct select_slot *slots)
{
    for (;;) {
        int index = wait_published(selecting, slots);
        if (index != AGAIN)
            return index;
        if ((index = attempt(selecting)) != NONE)
            return index;
        /* Out of step with another select that gave up for our sake. */
        for (size_t pauses = draw(64); pauses > 0; pauses--)
            cpu_relax();
    }
}

static void end_slots(
    struct selecting *selecting, struct select_slot *slots, size_t begun)
{
    int saved_errno = errno;

    while (begun-- > 0) {
        const struct select_kind *kind = kind_of(selecting, begun);
        if (kind && kind->end)
            kind->end(&slots[begun]);
    }
    errno = saved_errno;
}

static int wait_in(struct selecting *selecting, struct select_slot *slots)
{
    int index;
    size_t begun = 0;

    for (; begun < selecting->n; begun++) {
        const struct select_kind *kind = kind_of(selecting, begun);
        int error = kind && kind->begin
                        ? kind->begin(&selecting->cases[begun], &slots[begun])
                        : 0;
        if (error) {
            index = answer(error);
            goto end;
        }
    }
    index = wait_with(selecting, slots);
end:
    end_slots(selecting, slots, begun);
    return index;
}

static int wait_for_one(struct selecting *selecting)
{
    struct select_slot on_stack[SLOTS_ON_STACK];

    if (selecting->n <= SLOTS_ON_STACK)
        return wait_in(selecting, on_stack);
    struct select_slot *slots = malloc(selecting->n * sizeof *slots);
    if (!slots)
        return answer(ENOMEM);
    int index = wait_in(selecting, slots);
    int error = errno;
    free(slots);
    errno = error;
    return index;
}

int select_run(grove_case_t *cases, size_t n, double timeout,
    const struct select_kind *const *kinds, size_t kind_count)
{
    struct selecting selecting = {
        .cases = cases,
        .n = n,
        .kinds = kinds,
        .deadline = timeout > 0 ? timers_deadline(timeout) : TIMERS_NEVER,
        .timer = NONE,
    };
    int error = n > INT_MAX || (n && !cases) ? EINVAL : blocking_begin(timeout);

    if (!error)
        error = check(&selecting, kind_count);
    if (error)
        return answer(error);
    selecting.first = n > 1 ? draw(n) : 0;
    int index = attempt(&selecting);
    if (index != NONE)
        return index;
    if (selecting.timer != NONE && timers_left(selecting.deadline) == 0)
        return out_of_time(&selecting);
    return timeout == 0 ? answer(ETIMEDOUT) : wait_for_one(&selecting);
}
