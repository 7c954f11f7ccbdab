/* SPDX-License-Identifier: MIT */
/*
 * The harness for a foreign ISA under emulation: no library but libc is there, so no
 * CUnit, and no watchdog, as the whole program runs under `timeout`. Only what
 * single-threaded tests need; prints what tests/harness.c prints.
 */
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

static bool failed; /* the running test */

bool harness_check(bool held, const char *text, const char *file, unsigned line)
{
    if (!held) {
        printf("# %s:%u: %s\n", file, line, text);
        failed = true;
    }
    return held;
}

bool harness_check_equal(intmax_t actual, intmax_t expected, const char *text,
    const char *file, unsigned line)
{
    if (actual != expected)
        printf("# got %jd, expected %jd\n", actual, expected);
    return harness_check(actual == expected, text, file, line);
}

bool harness_check_string(const char *actual, const char *expected, const char *text,
    const char *file, unsigned line)
{
    return harness_check(actual && !strcmp(actual, expected), text, file, line);
}

uint64_t harness_seed(void)
{
    return 1;
}

size_t harness_rounds(size_t n)
{
    return n < 10 ? 1 : n / 10;
}

int harness_main(const char *suite, const struct harness_test *tests, size_t n)
{
    bool any_failed = false;

    for (size_t i = 0; i < n; i++) {
        failed = false;
        tests[i].run();
        printf(
            "%s %zu - %s: %s\n", failed ? "not ok" : "ok", i + 1, suite, tests[i].name);
        any_failed |= failed;
    }
    return n == 0 || any_failed;
}
