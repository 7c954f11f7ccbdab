/* SPDX-License-Identifier: MIT */
#include "sched/record.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sched/fork.h"
#include "sched/spinlock.h"

/*
 * A slab holds SLAB_RECORDS records. The directory only grows, and an entry is written
 * before slab_count covers it, so readers need no lock.
 *
 *   depot, slabs' contents   under depot_lock
 *   slab_count, slab_used    written under depot_lock with release, read with acquire.
 *                            A new slab is counted before the records of the one
 *                            before it are forgotten: a reader may see too many, never
 *                            too few
 */
#define SLAB_RECORDS ((size_t)8192)
#define SLAB_MAX ((size_t)65536) /* half a billion greenlets at once */

static struct grove **slabs;
static _Atomic(size_t) slab_count;
static _Atomic(size_t) slab_used; /* records of the newest slab given out so far */
static struct grove *depot;
static struct spinlock depot_lock;

/* Of LeakSanitizer, if the program has it: what only records point to is not lost. */
extern void __lsan_register_root_region(const void *start, size_t size)
    __attribute__((weak));

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        errno = ENOMEM;
        return NULL;
    }
    return memory;
}

static bool slab_add(void)
{
    size_t count = atomic_load_explicit(&slab_count, memory_order_relaxed);

    if (!slabs && !(slabs = map(SLAB_MAX * sizeof *slabs)))
        return false;
    if (count == SLAB_MAX) {
        errno = ENOMEM;
        return false;
    }
    if (!(slabs[count] = map(SLAB_RECORDS * sizeof(struct grove))))
        return false;
    if (__lsan_register_root_region)
        __lsan_register_root_region(slabs[count], SLAB_RECORDS * sizeof(struct grove));
    atomic_store_explicit(&slab_count, count + 1, memory_order_release);
    atomic_store_explicit(&slab_used, 0, memory_order_release);
    return true;
}

/* Under the lock. */
static struct grove *take(void)
{
    struct grove *record = depot;

    if (record) {
        depot = record->next;
        return record;
    }
    size_t count = atomic_load_explicit(&slab_count, memory_order_relaxed);
    size_t used = atomic_load_explicit(&slab_used, memory_order_relaxed);
    if (count == 0 || used == SLAB_RECORDS) {
        if (!slab_add())
            return NULL;
        count++;
        used = 0;
    }
    atomic_store_explicit(&slab_used, used + 1, memory_order_release);
    return &slabs[count - 1][used];
}

bool record_refill(struct worker *worker)
{
    struct grove **tail = &worker->free_records;
    struct grove *record = NULL;

    spinlock_acquire(&depot_lock);
    while (worker->free_record_count < RECORD_BATCH && (record = take())) {
        *tail = record;
        tail = &record->next;
        *tail = NULL;
        worker->free_record_count++;
    }
    spinlock_release(&depot_lock);
    return worker->free_records != NULL;
}

void record_spill(struct worker *worker)
{
    struct grove *first = worker->free_records;
    struct grove *last = first;

    for (int i = 1; i < 32 * RECORD_BATCH; i++)
        last = last->next;
    worker->free_records = last->next;
    worker->free_record_count -= 32 * RECORD_BATCH;
    spinlock_acquire(&depot_lock);
    last->next = depot;
    depot = first;
    spinlock_release(&depot_lock);
}

void record_drain(struct worker *worker)
{
    spinlock_acquire(&depot_lock);
    while (worker->free_records) {
        struct grove *record = worker->free_records;
        worker->free_records = record->next;
        record->next = depot;
        depot = record;
    }
    worker->free_record_count = 0;
    spinlock_release(&depot_lock);
}

struct grove *record_new_plain(void)
{
    spinlock_acquire(&depot_lock);
    struct grove *record = take();
    spinlock_release(&depot_lock);
    return record;
}

void record_free_plain(struct grove *record)
{
    record->function = NULL;
    spinlock_acquire(&depot_lock);
    record->next = depot;
    depot = record;
    spinlock_release(&depot_lock);
}

struct grove *record_at(size_t index)
{
    size_t slab = index / SLAB_RECORDS;
    /* In this order: with the count of a newer slab, that many used is too many. */
    size_t used = atomic_load_explicit(&slab_used, memory_order_acquire);
    size_t count = atomic_load_explicit(&slab_count, memory_order_acquire);

    if (slab >= count || (slab == count - 1 && index % SLAB_RECORDS >= used))
        return NULL;
    return &slabs[slab][index % SLAB_RECORDS];
}

void record_forget(void)
{
    depot = NULL;
    depot_lock = (struct spinlock){0};
    /* The parent's greenlets are not to be found any more. */
    atomic_store_explicit(&slab_count, 0, memory_order_relaxed);
    atomic_store_explicit(&slab_used, 0, memory_order_relaxed);
}
