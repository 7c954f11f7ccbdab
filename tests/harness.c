/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOWDOWN 3
#endif
#endif
#ifndef SLOWDOWN
#define SLOWDOWN 1
#endif

/* glibc hands main's arguments to constructors too, so that a test's main needs none.
 */
static int argument_count;
static char **arguments;

__attribute__((constructor)) static void keep_arguments(int argc, char **argv)
{
    argument_count = argc;
    arguments = argv;
}

static unsigned long long number_from_environment(
    const char *name, unsigned long long fallback)
{
    const char *text = getenv(name);
    char *end;

    if (!text)
        return fallback;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-') {
        fprintf(stderr, "%s=%s: a non-negative decimal number is needed\n", name, text);
        exit(2);
    }
    return value;
}

uint64_t harness_seed(void)
{
    static uint64_t seed;
    static bool known;

    /* harness_main calls first, before any other thread exists. */
    if (!known) {
        seed = number_from_environment("GROVE_TEST_SEED", (uint64_t)time(NULL));
        known = true;
    }
    return seed;
}

size_t harness_rounds(size_t n)
{
    if (SLOWDOWN == 1)
        return n;
    return n < 10 ? 1 : n / 10;
}

/*
 * The watchdog is a thread, not an alarm: a signal would land on a greenlet's stack and
 * interrupt system calls of the code under test.
 *
 * watchdog.lock guards every field below it.
 */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *test;         /* running now; NULL between tests */
    struct timespec deadline; /* CLOCK_MONOTONIC; meaningful while test is set */
} watchdog = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *suite_name;
static unsigned tests_ended;

static bool past(const struct timespec *deadline)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > deadline->tv_sec ||
           (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

static void *watch(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&watchdog.lock);
    for (;;) {
        if (!watchdog.test)
            pthread_cond_wait(&watchdog.changed, &watchdog.lock);
        else if (!past(&watchdog.deadline))
            pthread_cond_timedwait(
                &watchdog.changed, &watchdog.lock, &watchdog.deadline);
        else
            break;
    }
    printf("not ok %u - %s: %s\n# hung: seed %llu\n", tests_ended + 1, suite_name,
        watchdog.test, (unsigned long long)harness_seed());
    fflush(stdout);
    abort();
}

static void watchdog_set(const char *test)
{
    pthread_mutex_lock(&watchdog.lock);
    watchdog.test = test;
    if (test) {
        clock_gettime(CLOCK_MONOTONIC, &watchdog.deadline);
        watchdog.deadline.tv_sec +=
            (time_t)number_from_environment("GROVE_TEST_TIMEOUT", 60) * SLOWDOWN;
    }
    pthread_cond_signal(&watchdog.changed);
    pthread_mutex_unlock(&watchdog.lock);
}

static int watchdog_start(void)
{
    pthread_condattr_t monotonic;
    sigset_t all, before;
    pthread_t thread;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        pthread_detach(thread);
    return error;
}

static void test_started(const CU_pTest test, const CU_pSuite suite)
{
    (void)suite;
    /* So that the output of one that crashes names it. */
    printf("# %s\n", test->pName);
    fflush(stdout);
    watchdog_set(test->pName);
}

static uint64_t failed_seed;
static bool has_failed_seed;

void harness_failed_with(uint64_t seed)
{
    failed_seed = seed;
    has_failed_seed = true;
}

/* As a command to paste into a shell. */
static void print_replay(const char *test)
{
    const char *seed = getenv("GROVE_SEED"), *clock = getenv("GROVE_CLOCK");

    printf("# replay: GROVE_TEST_SEED=%llu",
        (unsigned long long)(has_failed_seed ? failed_seed : harness_seed()));
    has_failed_seed = false;
    if (seed)
        printf(" GROVE_SEED=%s", seed);
    if (clock)
        printf(" GROVE_CLOCK=%s", clock);
    printf(" %s '%s'\n", arguments[0], test);
}

static void test_ended(
    const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failures)
{
    watchdog_set(NULL);
    for (CU_pFailureRecord f = failures; f; f = f->pNext)
        printf("# %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);
    if (failures)
        print_replay(test->pName);
    printf("%s %u - %s: %s\n", failures ? "not ok" : "ok", ++tests_ended, suite->pName,
        test->pName);
    fflush(stdout);
}

static pthread_mutex_t check_lock = PTHREAD_MUTEX_INITIALIZER;

bool harness_check(bool held, const char *text, const char *file, unsigned line)
{
    /* No lock is held across a switch: nothing below this line can switch. */
    pthread_mutex_lock(&check_lock);
    CU_assertImplementation(held, line, text, file, "", CU_FALSE);
    pthread_mutex_unlock(&check_lock);
    return held;
}

unsigned harness_failures(void)
{
    pthread_mutex_lock(&check_lock);
    unsigned failures = CU_get_number_of_failures();
    pthread_mutex_unlock(&check_lock);
    return failures;
}

bool harness_check_equal(intmax_t actual, intmax_t expected, const char *text,
    const char *file, unsigned line)
{
    char message[512];

    snprintf(message, sizeof message, "%s: got %jd (0x%jx), expected %jd (0x%jx)", text,
        actual, (uintmax_t)actual, expected, (uintmax_t)expected);
    return harness_check(actual == expected, message, file, line);
}

bool harness_check_string(const char *actual, const char *expected, const char *text,
    const char *file, unsigned line)
{
    char message[512];

    snprintf(message, sizeof message, "%s: got \"%s\", expected \"%s\"", text,
        actual ? actual : "(null)", expected);
    return harness_check(actual && !strcmp(actual, expected), message, file, line);
}

static bool wanted(const char *name)
{
    if (argument_count < 2)
        return true;
    for (int i = 1; i < argument_count; i++)
        if (!strcmp(arguments[i], name))
            return true;
    return false;
}

static bool arguments_known(const struct harness_test *tests, size_t n)
{
    for (int i = 1; i < argument_count; i++) {
        size_t t = 0;
        while (t < n && strcmp(arguments[i], tests[t].name))
            t++;
        if (t == n) {
            fprintf(stderr, "%s: no such test; the tests are:\n", arguments[i]);
            for (t = 0; t < n; t++)
                fprintf(stderr, "    %s\n", tests[t].name);
            return false;
        }
    }
    return true;
}

static bool register_tests(const struct harness_test *tests, size_t n)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return false;
    CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
    if (!suite)
        return false;
    for (size_t i = 0; i < n; i++)
        if (wanted(tests[i].name) && !CU_add_test(suite, tests[i].name, tests[i].run))
            return false;
    return true;
}

int harness_main(const char *suite, const struct harness_test *tests, size_t n)
{
    if (!arguments_known(tests, n))
        return 2;
    suite_name = suite;
    printf("# %s: seed %llu\n", suite, (unsigned long long)harness_seed());
    int error = watchdog_start();
    if (error) {
        fprintf(stderr, "%s: watchdog: %s\n", suite, strerror(error));
        return 1;
    }
    if (!register_tests(tests, n)) {
        fprintf(stderr, "%s: CUnit: %s\n", suite, CU_get_error_msg());
        return 1;
    }
    CU_set_test_start_handler(test_started);
    CU_set_test_complete_handler(test_ended);
    CU_run_all_tests();
    CU_print_run_results(stdout);
    putchar('\n');

    /* A test that wrecks CUnit's own stack frame can end the run early and in silence.
     */
    unsigned registered = CU_get_registry()->uiNumberOfTests;
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    if (registered == 0 || tests_ended != registered) {
        printf("not ok - %s: %u of %u tests ran\n", suite, tests_ended, registered);
        return 1;
    }
    return failures != 0;
}
