/* SPDX-License-Identifier: MIT */
/*
 * Locals of a greenlet lie in one table, made by its first set. A variable gets its
 * number by its first set anywhere, so that one that takes the place of another in
 * memory doesn't inherit its values. Tables are searched from one end to the other:
 * programs have a few locals, and a few numbers fill one cache line.
 *
 *   table          its greenlet, or thread, alone
 *   id of a local  set once by compare-and-swap; 0 before
 */
#include <grove/local.h>

#include <pthread.h>
#include <stdlib.h>

#include "sched/locals.h"
#include "sync/blocking.h"

struct entry {
    uint64_t id;
    void *value;
    void (*destructor)(void *value);
    void *(*copy)(void *value); /* NULL: isn't inherited */
};

struct table {
    uint32_t count, capacity;
    struct entry entries[];
};

enum { FIRST_CAPACITY = 4 };

/* Of a thread outside greenlets. Not in the activation of its main greenlet, which
 * comes into being while the thread may have set some already. */
static __thread void *thread_locals __attribute__((tls_model("initial-exec")));
static pthread_key_t thread_end;
static bool thread_end_exists;

/* A value is out of the table before it is destroyed, so that a destructor may end the
 * greenlet anew: the next call goes on with the rest. It may also set some. */
static void table_end(void **locals)
{
    struct table *table;

    while ((table = *locals) && table->count > 0) {
        struct entry last = table->entries[--table->count];
        if (last.value && last.destructor)
            last.destructor(last.value);
    }
    *locals = NULL;
    free(table);
}

static void thread_table_end(void *unused)
{
    (void)unused;
    table_end(&thread_locals);
}

static void **table_of_caller(void)
{
    const struct worker *worker = worker_self;

    if (worker && worker->current && worker->current != worker->main)
        return &worker->current->activation->locals;
    return &thread_locals;
}

static struct entry *find(struct table *table, uint64_t id)
{
    for (uint32_t i = 0; table && i < table->count; i++)
        if (table->entries[i].id == id)
            return &table->entries[i];
    return NULL;
}

static uint64_t id_of(grove_local_t *local)
{
    static uint64_t ids;
    uint64_t id = __atomic_load_n(&local->id_, __ATOMIC_RELAXED);

    if (id == 0) {
        uint64_t fresh = __atomic_add_fetch(&ids, 1, __ATOMIC_RELAXED);
        if (__atomic_compare_exchange_n(
                &local->id_, &id, fresh, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            id = fresh;
    }
    return id;
}

/* A new entry at the end, NULL if there is no memory. */
static struct entry *append(void **locals)
{
    struct table *table = *locals;

    if (!table || table->count == table->capacity) {
        uint32_t capacity = table ? 2 * table->capacity : FIRST_CAPACITY;
        struct table *grown =
            realloc(table, sizeof *table + capacity * sizeof *table->entries);
        if (!grown)
            return NULL;
        if (!table)
            grown->count = 0;
        grown->capacity = capacity;
        *locals = table = grown;
        /* Any value that isn't NULL calls for thread_table_end. */
        if (locals == &thread_locals && thread_end_exists)
            pthread_setspecific(thread_end, &thread_locals);
    }
    return &table->entries[table->count++];
}

/* What the copy of [from] is, in the table [locals]. 0 or an errno value. */
static int inherit(void **locals, struct entry from)
{
    int saved_errno = errno;

    errno = 0;
    void *value = from.copy(from.value);
    int error = value ? 0 : errno;
    errno = saved_errno;
    if (!value)
        return error;
    struct entry *entry = append(locals);
    if (!entry) {
        if (from.destructor)
            from.destructor(value);
        return ENOMEM;
    }
    *entry = from;
    entry->value = value;
    return 0;
}

static int table_inherit(void **locals)
{
    void **mine = table_of_caller();
    void *made = NULL;

    /* A copy may set locals, and thereby move the table. */
    for (uint32_t i = 0; *mine && i < ((struct table *)*mine)->count; i++) {
        struct entry from = ((struct table *)*mine)->entries[i];
        int error = from.copy && from.value ? inherit(&made, from) : 0;
        if (error) {
            if (made)
                table_end(&made);
            return answer(error);
        }
    }
    *locals = made;
    return 0;
}

__attribute__((constructor)) static void install(void)
{
    locals_end = table_end;
    locals_inherit = table_inherit;
    thread_end_exists = pthread_key_create(&thread_end, thread_table_end) == 0;
}

void *grove_local_get(const grove_local_t *local)
{
    uint64_t id = __atomic_load_n(&local->id_, __ATOMIC_RELAXED);
    const struct entry *entry = id ? find(*table_of_caller(), id) : NULL;

    return entry ? entry->value : NULL;
}

int grove_local_set(grove_local_t *local, void *value)
{
    void **locals = table_of_caller();
    uint64_t id = id_of(local);
    struct entry *entry = find(*locals, id);

    if (!entry) {
        if (!(entry = append(locals)))
            return answer(ENOMEM);
        entry->id = id;
        entry->destructor = local->destructor_;
        entry->copy = local->copy_;
    }
    entry->value = value;
    return 0;
}
