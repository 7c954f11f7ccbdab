/* SPDX-License-Identifier: MIT */
/* What the library says on stderr, for tests that look at it. With _GNU_SOURCE. */
#ifndef TESTS_SCHED_CAPTURE_H
#define TESTS_SCHED_CAPTURE_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What goes to stderr meanwhile. */
static int captured = -1, real_stderr = -1;
static char text[65536];

static inline void capture(void)
{
    captured = memfd_create("stderr", MFD_CLOEXEC);
    real_stderr = dup(STDERR_FILENO);
    dup2(captured, STDERR_FILENO);
}

static inline void release(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(captured);
}

static inline const char *said(void)
{
    ssize_t length = pread(captured, text, sizeof text - 1, 0);

    text[length > 0 ? length : 0] = '\0';
    return text;
}

static inline int times_said(const char *what)
{
    int times = 0;

    for (const char *at = said(); (at = strstr(at, what)); at++)
        times++;
    return times;
}

#endif
