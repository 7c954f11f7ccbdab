/* SPDX-License-Identifier: MIT */
#ifndef SCHED_DEQUE_H
#define SCHED_DEQUE_H

/*
 * Work-stealing deque: the owner pushes and pops the newest at the bottom, thieves take
 * the oldest at the top. After Chase and Lev (SPAA 2005; C11 form: Le, Pop, Cohen,
 * Zappa Nardelli, PPoPP 2013), with two changes.
 *
 * 1. No fence in pop. Lowering bottom and then reading top needs a store-load fence; it
 *    is the often side of an asymmetric barrier (sched/barrier.h) and the thief pays.
 *
 * 2. Claims, so that a thief that has paid may take many. A thief first announces the
 *    claim it makes on the oldest items, then does the heavy barrier, then reads
 * bottom. `top` holds the index of the oldest item and the length of the claim on it;
 * the sum is the limit, below which the owner may not pop without a compare-and-swap.
 *
 *      index top        limit              bottom
 *        | claimed       | the owner's own   | free
 *        [ 4 ][ 5 ][ 6 ] [ 7 ][ 8 ][ 9 ][10 ]
 *
 *    pop:    bottom--; barrier_light(); read top; at or above the limit? it is ours
 *    steal:  top (t,0) -> (t,k); barrier_heavy(); read bottom; read n <= k slots, none
 *            at or above bottom; top (t,k) -> (t+n,0)
 *
 *    The word only goes (t,0) -> (t,k) -> (t+n,0) with n > 0, so no value comes twice
 *    and a compare-and-swap that succeeds has seen no change since its read.
 *
 * Why each item is taken once. Let a thief's last swap succeed on (t,k). Since it read
 * (t,k) nobody else has changed top, so in conflict could only be a pop of the owner
 * without a swap, of an index below t+k. If that pop read top after the barrier's point
 * in the owner's instruction stream it saw (t,k) and did not happen. If before, its
 * store to bottom came before too, so the thief has read this bottom or a later one;
 * later and higher means the owner pushed another item there, and reading bottom
 * (acquire) makes the thief read that one. Once popped down to the limit, the owner
 * goes the thieves' way: it takes the oldest by compare-and-swap, which voids the
 * claim.
 *
 * The race that remains: a thief that finds bottom lowered takes fewer or nothing and
 * leaves its claim behind (withdrawing it would bring an old value back). It costs the
 * owner one swap, or the next thief is content with a claim of that length. No thread
 * ever waits for another: a claim can be completed or voided by anyone.
 *
 * Rejected:
 * - Chase-Lev as published: one heavy barrier for each item, so of 100,000 tiny tasks
 *   each is stolen at 1.3 us and an interrupt of the owner; 0.05 us here, with 63 for
 *   one barrier. The pop of a single item also needs a compare-and-swap, which claims
 *   make unnecessary.
 * - Several swaps, or one swap by several, after one barrier on Chase-Lev: the owner,
 *   having read top before the swaps, pops the same items (tests/models/deque.pml,
 *   -DNO_CLAIM, shows it).
 * - Owner moves a batch to a locked shared list when a thief asks: stealing then waits
 *   for the owner, which may run one task for seconds; a lock; one more place to look
 *   for work before a park. Split deques (Lace) share the first fault.
 * - Owner-published steal range (Hendler and Shavit, PODC 2002): a swap by the owner
 *   every few operations.
 *
 * Who may touch what:
 *
 *   field       owner                     thieves and others
 *   bottom      writes (release)          read (acquire)
 *   top         read, swap (seq_cst)      read, swap (seq_cst)
 *   array       writes (release)          read (acquire)
 *   slots       writes and reads          read; valid only if their swap succeeds
 *   known_top   only the owner: an index that top has reached or passed
 *
 * Orders: a release of bottom publishes the slots below it (and the items) to the
 * acquire in steal. A release of array publishes the copied slots. The compare-and-swap
 * of a thief, read by the owner with acquire in push, gives the taken slots back.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/atomic.h"
#include "sched/barrier.h"

enum {
    DEQUE_CACHE_LINE = 64,
    DEQUE_CLAIM_BITS = 6,
    /* The most one steal can take. */
    DEQUE_STEAL_MAX = (1 << DEQUE_CLAIM_BITS) - 1,
};

/* Indices run on for ever and are reduced by the mask. Replaced arrays stay readable (a
 * thief may be in the middle of one) until deque_free(); sizes double, so all of them
 * together are smaller than the one in use. */
struct deque_array {
    uint64_t mask;
    struct deque_array *older;
    void *slots[];
};

struct deque {
    uint64_t bottom __attribute__((aligned(DEQUE_CACHE_LINE)));
    void *array; /* struct deque_array */
    uint64_t known_top;
    /* limit << DEQUE_CLAIM_BITS | claim. In a line of its own: thieves write it. */
    uint64_t top __attribute__((aligned(DEQUE_CACHE_LINE)));
};

/* Makes an empty deque with room for `capacity` items (a power of two, 2 or more)
 * before it first grows. 0, or -1 with errno EINVAL or ENOMEM. */
int deque_init(struct deque *deque, size_t capacity);

/* No other thread may use the deque any more. Items still in it are the caller's. */
void deque_free(struct deque *deque);

/* Owner only. The oldest item, or NULL when empty. No barrier: the heavy one tells a
 * thief how far the owner has lowered bottom, and the owner knows that. */
void *deque_take_oldest(struct deque *deque);

/* Any thread. The oldest item, or NULL: then *contended says whether there was one that
 * somebody else got first (worth trying again) or the deque was seen empty. An empty
 * deque costs two loads, anything else a heavy barrier. */
void *deque_steal(struct deque *deque, bool *contended);

/* Any thread. As deque_steal(), but takes up to `max` (at most DEQUE_STEAL_MAX) of the
 * oldest for one heavy barrier, and no more than a quarter of a deque of four or more:
 * items[0] is the oldest. Returns how many. */
size_t deque_steal_many(struct deque *deque, void **items, size_t max, bool *contended);

/* Any thread. How many items there are: exact for the owner while nobody steals,
 * otherwise a moment old. An item that lies in the deque throughout the call, pushed
 * before the caller's last heavy barrier, is never overlooked. */
size_t deque_length(const struct deque *deque);

/* The out-of-line halves of the inline functions below. */
int deque_push_full(struct deque *deque, void *item);
void *deque_pop_limited(struct deque *deque);
void *deque_pop_if_limited(struct deque *deque);

static inline uint64_t deque_top_limit(uint64_t top)
{
    return top >> DEQUE_CLAIM_BITS;
}

static inline struct deque_array *deque_array_own(struct deque *deque)
{
    return atomic_load_ptr_relaxed(&deque->array);
}

/* Owner only. 0, or -1 with errno ENOMEM and the deque unchanged. `item` is not NULL.
 */
static inline int deque_push(struct deque *deque, void *item)
{
    uint64_t bottom = atomic_load_u64_relaxed(&deque->bottom);
    struct deque_array *array = deque_array_own(deque);

    if (__builtin_expect(bottom - deque->known_top > array->mask, 0))
        return deque_push_full(deque, item);
    atomic_store_ptr_relaxed(&array->slots[bottom & array->mask], item);
    atomic_store_u64_release(&deque->bottom, bottom + 1);
    return 0;
}

/* Lowers bottom by one. True when the item there is the owner's by that alone. */
static inline bool deque_lower(struct deque *deque, uint64_t lowered)
{
    atomic_store_u64_release(&deque->bottom, lowered);
    barrier_light(); /* barrier_heavy() in deque_steal_many() */
    uint64_t limit = deque_top_limit(atomic_load_u64_relaxed(&deque->top));
    return __builtin_expect((int64_t)(lowered - limit) >= 0, 1);
}

/* Owner only. The newest item, or NULL when empty. While a thief has a claim on what is
 * left it may be the oldest instead. */
static inline void *deque_pop(struct deque *deque)
{
    uint64_t lowered = atomic_load_u64_relaxed(&deque->bottom) - 1;
    struct deque_array *array = deque_array_own(deque);

    if (!deque_lower(deque, lowered))
        return deque_pop_limited(deque);
    return atomic_load_ptr_relaxed(&array->slots[lowered & array->mask]);
}

/* Owner only. Pops the newest if it is `item`; false leaves the deque as it was: `item`
 * is not the newest, or a thief has taken it or has a claim on it. */
static inline bool deque_pop_if(struct deque *deque, void *item)
{
    uint64_t lowered = atomic_load_u64_relaxed(&deque->bottom) - 1;
    struct deque_array *array = deque_array_own(deque);

    /* Only the owner writes slots, so what is seen here is what a pop would get; that
     * it is still there is for the pop to find out. */
    if (atomic_load_ptr_relaxed(&array->slots[lowered & array->mask]) != item)
        return false;
    if (!deque_lower(deque, lowered))
        return deque_pop_if_limited(deque) != NULL;
    return true;
}

#endif
