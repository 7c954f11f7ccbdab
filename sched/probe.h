/* SPDX-License-Identifier: MIT */
#ifndef SCHED_PROBE_H
#define SCHED_PROBE_H

/* Asking a worker's thread where it is, by a signal to it. For the monitor alone. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sched/report.h"
#include "sched/worker.h"

/* glibc gives no fixed number. 0 and 1 below the highest are those that others like. */
#define PROBE_SIGNAL (SIGRTMAX - 2)

#define PROBE_NAME_LENGTH 128

/* All that moves when a worker comes by its scheduler: a lone greenlet that yields or
 * waits does so without a switch. */
struct sample {
    uint64_t switches;
    uint64_t parks;
    uint32_t ticks;
    int budget;
};

struct probe_answer {
    struct worker *worker; /* NULL: not a worker's thread */
    struct sample sample;
    bool callback; /* no greenlet */
    uint64_t id;
    char name[PROBE_NAME_LENGTH]; /* "": it has none yet */
    void *frames[REPORT_FRAMES];
    int count;
};

/* What moves, as it is now. Also of other threads' workers. */
struct sample sample_of(const struct worker *worker);

bool sample_same(const struct sample *a, const struct sample *b);

/* Gets ready to ask. Does nothing where the program uses that signal itself: no thread
 * answers then. */
void probe_install(void);

/* The answer of that thread, constant until the next question; NULL: it gives none in
 * time. */
const struct probe_answer *probe_ask(pid_t thread);

/* In the child of a fork. */
void probe_forget(void);

#endif
