/* SPDX-License-Identifier: MIT */
#include "sched/deque.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t top_word(uint64_t index, uint64_t claim)
{
    return (index + claim) << DEQUE_CLAIM_BITS | claim;
}

static uint64_t top_claim(uint64_t top)
{
    return top & DEQUE_STEAL_MAX;
}

static uint64_t top_index(uint64_t top)
{
    return deque_top_limit(top) - top_claim(top);
}

/* How many items lie between; a bottom that the owner has just lowered below top in an
 * empty deque counts as none. */
static uint64_t distance(uint64_t top_index, uint64_t bottom)
{
    int64_t length = (int64_t)(bottom - top_index);
    return length > 0 ? (uint64_t)length : 0;
}

static void *slot_read(const struct deque_array *array, uint64_t index)
{
    return atomic_load_ptr_relaxed(&array->slots[index & array->mask]);
}

static struct deque_array *array_new(size_t capacity, struct deque_array *older)
{
    if (capacity > (SIZE_MAX - sizeof(struct deque_array)) / sizeof(void *)) {
        errno = ENOMEM;
        return NULL;
    }
    /* Zeroed, because deque_pop_if() may look at a slot that was never filled. */
    struct deque_array *array =
        calloc(1, sizeof(struct deque_array) + capacity * sizeof(void *));
    if (array == NULL)
        return NULL;
    array->mask = capacity - 1;
    array->older = older;
    return array;
}

int deque_init(struct deque *deque, size_t capacity)
{
    if (capacity < 2 || (capacity & (capacity - 1)) != 0) {
        errno = EINVAL;
        return -1;
    }
    struct deque_array *array = array_new(capacity, NULL);
    if (array == NULL)
        return -1;
    *deque = (struct deque){.array = array};
    return 0;
}

void deque_free(struct deque *deque)
{
    struct deque_array *array = deque->array;
    while (array != NULL) {
        struct deque_array *older = array->older;
        free(array);
        array = older;
    }
    deque->array = NULL;
}

static int grow(struct deque *deque, uint64_t bottom)
{
    struct deque_array *old = deque_array_own(deque);
    struct deque_array *array = array_new((old->mask + 1) * 2, old);
    if (array == NULL)
        return -1;
    for (uint64_t i = deque->known_top; i != bottom; i++)
        array->slots[i & array->mask] = slot_read(old, i);
    /* The old array is never written again: whoever still reads it finds there what the
     * new one holds for every index that its compare-and-swap can succeed on. */
    atomic_store_ptr_release(&deque->array, array);
    return 0;
}

/* known_top is too old or the array is full. */
int deque_push_full(struct deque *deque, void *item)
{
    uint64_t bottom = atomic_load_u64_relaxed(&deque->bottom);

    /* Acquire: thieves have read the slots below top before these are used again. */
    deque->known_top = top_index(atomic_load_u64_acquire(&deque->top));
    if (bottom - deque->known_top > deque_array_own(deque)->mask &&
        grow(deque, bottom) != 0)
        return -1;
    return deque_push(deque, item);
}

void *deque_take_oldest(struct deque *deque)
{
    uint64_t bottom = atomic_load_u64_relaxed(&deque->bottom);
    struct deque_array *array = deque_array_own(deque);

    for (;;) {
        uint64_t top = atomic_load_u64_acquire(&deque->top);
        uint64_t index = top_index(top);
        if (distance(index, bottom) == 0)
            return NULL;
        void *item = slot_read(array, index);
        /* Voids the claim, if any. Failure means that a thief has made progress. */
        if (atomic_cas_u64_seq_cst(&deque->top, top, top_word(index + 1, 0)))
            return item;
    }
}

static void raise_again(struct deque *deque)
{
    uint64_t bottom = atomic_load_u64_relaxed(&deque->bottom);
    atomic_store_u64_release(&deque->bottom, bottom + 1);
}

/* The deque is empty or a thief has a claim on the newest item. */
void *deque_pop_limited(struct deque *deque)
{
    raise_again(deque);
    return deque_take_oldest(deque);
}

/* As above, for an item that may only be taken if it is the newest: then it must be the
 * oldest, too. */
void *deque_pop_if_limited(struct deque *deque)
{
    raise_again(deque);
    uint64_t newest = atomic_load_u64_relaxed(&deque->bottom) - 1;
    uint64_t index = top_index(atomic_load_u64_acquire(&deque->top));
    /* top only grows, so what deque_take_oldest() finds is this item or nothing. */
    return index == newest ? deque_take_oldest(deque) : NULL;
}

static uint64_t batch_size(uint64_t length, size_t max)
{
    uint64_t quarter = length / 4;
    if (quarter < 1)
        return 1;
    return quarter < max ? quarter : max;
}

size_t deque_steal_many(struct deque *deque, void **items, size_t max, bool *contended)
{
    *contended = false;
    uint64_t top = atomic_load_u64_acquire(&deque->top);
    uint64_t index = top_index(top);
    uint64_t length = distance(index, atomic_load_u64_acquire(&deque->bottom));
    if (length == 0)
        return 0;

    *contended = true;
    uint64_t claim = top_claim(top);
    if (claim == 0) {
        claim = batch_size(length, max);
        uint64_t claimed = top_word(index, claim);
        if (!atomic_cas_u64_seq_cst(&deque->top, top, claimed))
            return 0;
        top = claimed;
    }

    barrier_heavy(); /* barrier_light() in deque_lower() */

    /* bottom before array: an array that holds all slots below that bottom. */
    uint64_t count = distance(index, atomic_load_u64_acquire(&deque->bottom));
    if (count > claim)
        count = claim;
    if (count > max)
        count = max;
    if (count == 0)
        return 0;
    struct deque_array *array = atomic_load_ptr_acquire(&deque->array);
    for (uint64_t i = 0; i < count; i++)
        items[i] = slot_read(array, index + i);
    if (!atomic_cas_u64_seq_cst(&deque->top, top, top_word(index + count, 0)))
        return 0;
    *contended = false;
    return (size_t)count;
}

void *deque_steal(struct deque *deque, bool *contended)
{
    void *item;
    return deque_steal_many(deque, &item, 1, contended) == 1 ? item : NULL;
}

size_t deque_length(const struct deque *deque)
{
    /* top first: it only grows, so an item that stays is above this one, too. */
    uint64_t index = top_index(atomic_load_u64_acquire(&deque->top));
    return (size_t)distance(index, atomic_load_u64_acquire(&deque->bottom));
}
