/* SPDX-License-Identifier: MIT */
#include "sched/timers.h"

#include <errno.h>
#include <stdlib.h>

#include <grove/base.h>

#define ARITY 4
#define FIRST_CAPACITY 64

nanoseconds timers_deadline(double seconds)
{
    /* A hundred years: beyond it the sum could overflow. */
    if (seconds > 3.2e9)
        return TIMERS_NEVER;
    double exact = seconds * 1e9;
    nanoseconds delay = (nanoseconds)exact;
    /* Never early: a fraction of a nanosecond counts as one. */
    if ((double)delay < exact)
        delay++;
    return timers_clock() + delay;
}

double timers_left(nanoseconds deadline)
{
    if (deadline == TIMERS_NEVER)
        return GROVE_FOREVER;
    nanoseconds left = deadline - timers_clock();
    return left > 0 ? (double)left / 1e9 : 0;
}

static int before(const struct timer_entry *a, const struct timer_entry *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return (int32_t)(a->order - b->order) < 0;
}

static void put(struct timers *timers, uint32_t index, struct timer_entry entry)
{
    timers->heap[index] = entry;
    timers->place[entry.id] = index;
}

static void sift_up(struct timers *timers, uint32_t index, struct timer_entry entry)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / ARITY;
        if (!before(&entry, &timers->heap[parent]))
            break;
        put(timers, index, timers->heap[parent]);
        index = parent;
    }
    put(timers, index, entry);
}

static void sift_down(struct timers *timers, uint32_t index, struct timer_entry entry)
{
    for (;;) {
        uint64_t first = (uint64_t)index * ARITY + 1;
        if (first >= timers->count)
            break;
        uint32_t least = (uint32_t)first;
        uint32_t end = first + ARITY < timers->count ? least + ARITY : timers->count;
        for (uint32_t child = least + 1; child < end; child++)
            if (before(&timers->heap[child], &timers->heap[least]))
                least = child;
        if (!before(&timers->heap[least], &entry))
            break;
        put(timers, index, timers->heap[least]);
        index = least;
    }
    put(timers, index, entry);
}

/* Each array is replaced as soon as it could be grown: a failure later on leaves some
 * larger than [capacity] says, which is harmless. */
static int grow(struct timers *timers)
{
    uint32_t capacity = timers->capacity ? timers->capacity * 2 : FIRST_CAPACITY;
    if (capacity <= timers->capacity)
        goto fail;
    void *heap = realloc(timers->heap, capacity * sizeof *timers->heap);
    if (!heap)
        goto fail;
    timers->heap = heap;
    void *place = realloc(timers->place, capacity * sizeof *timers->place);
    if (!place)
        goto fail;
    timers->place = place;
    void *address = realloc(timers->address, capacity * sizeof *timers->address);
    if (!address)
        goto fail;
    timers->address = address;
    /* Id 0 means "not running" and is never given out. */
    for (uint32_t id = capacity - 1; id >= timers->capacity && id > 0; id--) {
        timers->place[id] = timers->free_id;
        timers->free_id = id;
    }
    timers->capacity = capacity;
    return 0;
fail:
    errno = ENOMEM;
    return -1;
}

int timers_add(struct timers *timers, struct timer *timer, nanoseconds deadline)
{
    if (timers->free_id == 0 && grow(timers) < 0)
        return -1;
    uint32_t id = timers->free_id;
    timers->free_id = timers->place[id];
    timers->address[id] = timer;
    timer->id = id;
    struct timer_entry entry = {deadline, timers->order++, id};
    sift_up(timers, timers->count++, entry);
    return 0;
}

static void take_out(struct timers *timers, uint32_t index)
{
    uint32_t id = timers->heap[index].id;
    struct timer_entry last = timers->heap[--timers->count];

    timers->address[id]->id = 0;
    timers->place[id] = timers->free_id;
    timers->free_id = id;
    if (index == timers->count)
        return;
    if (index > 0 && before(&last, &timers->heap[(index - 1) / ARITY]))
        sift_up(timers, index, last);
    else
        sift_down(timers, index, last);
}

void timers_remove(struct timers *timers, struct timer *timer)
{
    if (timer->id != 0)
        take_out(timers, timers->place[timer->id]);
}

uint32_t timers_expire(struct timers *timers, nanoseconds now)
{
    uint32_t most = timers->count; /* whoever adds timers due at once gets its turn */
    uint32_t fired = 0;

    while (fired < most && timers->count && timers->heap[0].deadline <= now) {
        struct timer *timer = timers->address[timers->heap[0].id];
        take_out(timers, 0);
        timer->fire(timer);
        fired++;
    }
    return fired;
}

void timers_free(struct timers *timers)
{
    free(timers->heap);
    free(timers->place);
    free(timers->address);
    *timers = (struct timers){0};
}
