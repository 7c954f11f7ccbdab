/* SPDX-License-Identifier: MIT */
#include "sched/chance.h"

#include <stdatomic.h>

#include <grove/greenlet.h>

#include "sched/scheduler.h"

/* How many of the run queue, and how many of the deque, take part in a draw: finding
 * the drawn one means walking there. */
enum { WINDOW = 32 };

/* Of four greenlets that begin to run so many are marked: the others show what happens
 * without a switch too many, on ways that a mark closes (await_here). */
enum { MARKED_OF_FOUR = 3 };

_Atomic(bool) chance_on;
static uint64_t state;
static uint64_t first_state; /* the seed */
static _Atomic(bool) reported;

void chance_start(uint64_t seed)
{
    atomic_store_explicit(&chance_on, seed != 0, memory_order_relaxed);
    first_state = state = seed;
    atomic_store_explicit(&reported, false, memory_order_relaxed);
}

uint64_t chance_to_report(void)
{
    if (!atomic_load_explicit(&chance_on, memory_order_relaxed) ||
        atomic_exchange_explicit(&reported, true, memory_order_relaxed))
        return 0;
    return first_state;
}

/* SplitMix64 (Steele, Lea, Flood 2014): seeds in a row give unlike sequences. */
static uint64_t next_number(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t chance_draw(uint32_t n)
{
    return (uint32_t)((next_number() >> 32) * n >> 32);
}

static void move_to_front(struct runqueue *queue, uint32_t index)
{
    struct grove *before = NULL, *drawn = queue->first;

    while (index-- > 0) {
        before = drawn;
        drawn = drawn->next;
    }
    if (!before)
        return;
    before->next = drawn->next;
    if (queue->last == drawn)
        queue->last = before;
    drawn->next = queue->first;
    queue->first = drawn;
}

/* Takes the one that is [index] after the newest. There is no thief. */
static struct grove *take_unstarted(struct deque *deque, uint32_t index)
{
    struct grove *newer[WINDOW];

    for (uint32_t i = 0; i < index; i++)
        newer[i] = deque_pop(deque);
    struct grove *drawn = deque_pop(deque);
    /* Where it just lay there is room: this doesn't fail. */
    while (index-- > 0)
        (void)deque_push(deque, newer[index]);
    return drawn;
}

static uint32_t in_window(size_t length)
{
    return length < WINDOW ? (uint32_t)length : WINDOW;
}

void chance_turn(struct worker *worker)
{
    uint32_t ready = in_window(worker->ready.length);
    uint32_t unstarted = in_window(deque_length(&worker->deque));

    worker->budget = 1;
    if (ready + unstarted == 0)
        return;
    uint32_t drawn = chance_draw(ready + unstarted);
    if (drawn < ready)
        move_to_front(&worker->ready, drawn);
    else
        runqueue_push_first(
            &worker->ready, take_unstarted(&worker->deque, drawn - ready));
    if (chance_draw(4) < MARKED_OF_FOUR)
        worker->ready.first->attention |= ATTENTION_CHANCE;
}

void chance_at_wait(struct grove *me)
{
    /* Otherwise the mark stays, for the call after this one. */
    if (chance_draw(2))
        return;
    me->attention &= ~ATTENTION_CHANCE;
    grove_yield();
}
