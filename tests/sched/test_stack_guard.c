/* SPDX-License-Identifier: MIT */
/* Stacks on kernels that refuse, lack or pretend what stacks ask of them. */
#include "tests/sched/stack_fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define ADVICE_GUARD 102

/* Mappings that fail. */

static size_t map_most = SIZE_MAX; /* bytes that one mapping may have */
static long mapped;                /* mappings not yet unmapped */

static void *limited_map(
    void *at, size_t size, int protection, int flags, int file, off_t offset)
{
    if (size > map_most) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    mapped++;
    return real.map(at, size, protection, flags, file, offset);
}

static int counted_unmap(void *at, size_t size)
{
    mapped--;
    return real.unmap(at, size);
}

static void limit_map(size_t most)
{
    map_most = most;
    mapped = 0;
    stack_system.map = limited_map;
    stack_system.unmap = counted_unmap;
}

static void no_memory_for_a_region(void)
{
    limit_map(4 * 4096);
    start();
    errno = 0;
    CHECK(stack_acquire(&cache) == NULL);
    CHECK_EQUAL(errno, ENOMEM);
    errno = 0;
    CHECK(stack_acquire_sized(&cache, 1 << 20) == NULL);
    CHECK_EQUAL(errno, ENOMEM);
    CHECK_EQUAL(mapped, 0);
    map_most = SIZE_MAX;
    acquire_all(lent, 10);
    release_all(lent, 10);
    stop();
    CHECK_EQUAL(mapped, 0);
}

static void short_address_space_gets_smaller_regions(void)
{
    limit_map(3 * STACK_SIZE_DEFAULT);
    start();
    acquire_all(lent, 100);
    CHECK_EQUAL(counts().regions, 50);
    release_all(lent, 100);
    stop();
    CHECK_EQUAL(mapped, 0);
}

static void no_memory_even_for_a_probe(void)
{
    limit_map(0);
    start();
    CHECK(stack_acquire(&cache) == NULL);
    map_most = SIZE_MAX;
    acquire_all(lent, 1);
    CHECK(guarded(lent[0]));
    release_all(lent, 1);
    stop();
}

static bool guards_fail;

static int failing_advise(void *at, size_t size, int advice)
{
    if (advice == ADVICE_GUARD && guards_fail) {
        errno = ENOMEM;
        return -1;
    }
    return real.advise(at, size, advice);
}

static ssize_t failing_advise_many(const struct iovec *ranges, size_t count, int advice)
{
    if (advice == ADVICE_GUARD && guards_fail) {
        errno = ENOMEM;
        return -1;
    }
    return real.advise_many(ranges, count, advice);
}

static void no_memory_for_guards(void)
{
    guards_fail = false;
    stack_system.advise = failing_advise;
    stack_system.advise_many = failing_advise_many;
    start();
    if (!guard_is_light()) {
        stop();
        return; /* the other kind cannot fail: its end is said and gone on without */
    }
    guards_fail = true;
    CHECK(stack_acquire(&cache) == NULL);
    CHECK_EQUAL(errno, ENOMEM);
    CHECK(stack_acquire(&cache) == NULL);
    /* The same slices are tried again. */
    CHECK_EQUAL(counts().carved, STACK_COLD_BATCH);
    CHECK_EQUAL(counts().cold, STACK_COLD_BATCH);
    guards_fail = false;
    acquire_all(lent, STACK_COLD_BATCH);
    CHECK_EQUAL(counts().carved, STACK_COLD_BATCH);
    for (size_t i = 0; i < STACK_COLD_BATCH; i++)
        CHECK(guarded(lent[i]));
    release_all(lent, STACK_COLD_BATCH);
    stop();
}

static ssize_t absent_advise_many(const struct iovec *ranges, size_t count, int advice)
{
    (void)ranges, (void)count, (void)advice;
    errno = ENOSYS;
    return -1;
}

static ssize_t partial_advise_many(const struct iovec *ranges, size_t count, int advice)
{
    return real.advise_many(ranges, (count + 1) / 2, advice);
}

static int absent_guard(void *at, size_t size, int advice)
{
    if (advice == ADVICE_GUARD) {
        errno = EINVAL;
        return -1;
    }
    return real.advise(at, size, advice);
}

static int pretended_guard(void *at, size_t size, int advice)
{
    return advice == ADVICE_GUARD ? 0 : real.advise(at, size, advice);
}

static void check_all_guarded(void)
{
    start();
    acquire_all(lent, MANY);
    for (size_t i = 0; i < MANY; i++)
        CHECK(guarded(lent[i]));
    CHECK_EQUAL(counts().unguarded, 0);
    release_all(lent, MANY);
    while (stack_trim(&cache))
        ;
    acquire_all(lent, MANY);
    for (size_t i = 0; i < MANY; i++)
        CHECK(guarded(lent[i]));
    release_all(lent, MANY);
    stop();
}

static void guards_one_by_one(void)
{
    stack_system.advise_many = absent_advise_many;
    check_all_guarded();
}

static void guards_half_done_are_completed(void)
{
    stack_system.advise_many = partial_advise_many;
    check_all_guarded();
}

static void guards_of_older_kernels(void)
{
    stack_system.advise = absent_guard;
    stack_system.advise_many = absent_advise_many;
    check_all_guarded();
}

static void guards_that_emulators_pretend(void)
{
    stack_system.advise = pretended_guard;
    stack_system.advise_many = absent_advise_many;
    check_all_guarded();
}

static long protect_left;

static int bounded_protect(void *at, size_t size, int protection)
{
    if (protect_left-- <= 0) {
        errno = ENOMEM;
        return -1;
    }
    return real.protect(at, size, protection);
}

/* Runs with stderr in a file; what was written there is in `text` afterwards. */
static void capture(void (*run)(void), char *text, size_t size)
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);

    text[0] = '\0';
    if (!CHECK(file != NULL && saved != -1))
        return;
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    run();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void exhaust_guards(void)
{
    size_t with = 0;

    stack_system.advise = absent_guard;
    stack_system.advise_many = absent_advise_many;
    stack_system.protect = bounded_protect;
    protect_left = 100;
    start();
    acquire_all(lent, MANY);
    CHECK(counts().unguarded >= MANY - 100);
    for (size_t i = 0; i < MANY; i++) {
        with += guarded(lent[i]);
        *(char *)lent[i]->limit = 1;
    }
    CHECK(with > 0 && with <= 100);
    release_all(lent, MANY);
    stop();
}

static void end_of_guards_is_said_once(void)
{
    char text[4096];
    char *said;

    capture(exhaust_guards, text, sizeof text);
    said = strstr(text, "grove: no room for more guard pages");
    if (CHECK(said != NULL))
        CHECK(strstr(said + 1, "grove:") == NULL);
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"no memory for a region", no_memory_for_a_region},
        {"smaller regions when space is short",
            short_address_space_gets_smaller_regions},
        {"no memory even for a probe", no_memory_even_for_a_probe},
        {"no memory for guards", no_memory_for_guards},
        {"guards one by one", guards_one_by_one},
        {"guards half done are completed", guards_half_done_are_completed},
        {"guards of older kernels", guards_of_older_kernels},
        {"guards that emulators pretend", guards_that_emulators_pretend},
        {"the end of guards is said once", end_of_guards_is_said_once},
    };

    real = stack_system;
    return harness_main("stack_guard", tests, sizeof tests / sizeof *tests);
}
