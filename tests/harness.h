/* SPDX-License-Identifier: MIT */
/*
 * What every test program shares: running its tests through CUnit, a watchdog that
 * names the test that hangs, a seed that replays a run, and checks that any thread may
 * make.
 *
 *     static void steal_takes_oldest(void) { CHECK_EQUAL(deque_steal(&d), 1); }
 *
 *     int main(void)
 *     {
 *         static const struct harness_test tests[] = {
 *             {"steal takes the oldest", steal_takes_oldest},
 *         };
 *         return harness_main("deque", tests, sizeof tests / sizeof *tests);
 *     }
 *
 * Environment: GROVE_TEST_TIMEOUT (seconds a test may take), GROVE_TEST_SEED.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __has_include(<CUnit/CUnit.h>) /* not where tests/cross builds */
#include <CUnit/CUnit.h>
#endif

struct harness_test {
    const char *name;
    void (*run)(void);
};

/*
 * Runs the tests named by the program's arguments, or all of them, and prints one line
 * each: "ok N - suite: name" or "not ok N - suite: name" after what failed in it.
 * Returns the exit status: 0 when at least one test ran and none failed, 2 for an
 * unknown name.
 */
int harness_main(const char *suite, const struct harness_test *tests, size_t n);

/* Seed of this run: GROVE_TEST_SEED, else the time; printed before the first test. */
uint64_t harness_seed(void);

/* A test that counts seeds up from harness_seed() says which of them failed, so that
 * the replay printed for it begins with that one. Until the test ends. */
void harness_failed_with(uint64_t seed);

/* Checks that have failed so far. */
unsigned harness_failures(void);

/* How often to repeat something: n, or a tenth of it (at least 1) under a sanitizer. */
size_t harness_rounds(size_t n);

/*
 * CUnit's own assertions count without a lock and its _FATAL ones longjmp, so from a
 * greenlet or a second thread only these are safe. They never end the test: one that
 * cannot go on after a failure does `if (!CHECK(p != NULL)) return;`.
 */
#define CHECK(condition) harness_check((condition), #condition, __FILE__, __LINE__)

/* Integers or pointers; a failure prints both values. */
#define CHECK_EQUAL(actual, expected) \
    harness_check_equal((intmax_t)(actual), (intmax_t)(expected), \
        #actual " == " #expected, __FILE__, __LINE__)

#define CHECK_STRING(actual, expected) \
    harness_check_string((actual), (expected), #actual, __FILE__, __LINE__)

/* Behind the macros; all three return whether the check held. */
bool harness_check(bool held, const char *text, const char *file, unsigned line);
bool harness_check_equal(intmax_t actual, intmax_t expected, const char *text,
    const char *file, unsigned line);
bool harness_check_string(const char *actual, const char *expected, const char *text,
    const char *file, unsigned line);

#endif
