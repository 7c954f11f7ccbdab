/* SPDX-License-Identifier: MIT */
#ifndef IO_SIGNAL_SOURCE_H
#define IO_SIGNAL_SOURCE_H

/*
 * Where signals come from: for each number one source, with a list of waiters that a
 * delivery makes ready. Sources are static: a pointer to one is always valid.
 *
 *   list         see waiter.h
 *   listening    written under the lock of signal_source.c and inside the section of
 *                list; read under either
 *   deliveries   written inside the section of list; read anywhere
 *   caught       set by the signal handler on any thread, cleared by the signal thread
 *   holds, previous   under the lock
 */

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sched/waiter.h"

struct signal_source {
    struct wait_list list;
    _Atomic(uint64_t) deliveries;
    _Atomic(bool) caught; /* and not delivered yet */
    bool listening;       /* our handler is installed; false after a shutdown */
    int holds;
    struct sigaction previous; /* while listening */
};

/* 0, EINVAL or EBUSY. */
int signal_source_check(int number);

/*
 * The source of that signal, which is caught until signal_source_release. *seen is for
 * signal_source_publish: what is delivered from now on won't be missed. Starts the
 * runtime on first use. NULL with errno: of signal_source_check, EAGAIN, ENOMEM. Never
 * switches; not inside a section.
 */
struct signal_source *signal_source_hold(int number, uint64_t *seen);

void signal_source_release(struct signal_source *source);

/*
 * Links the waiter: the next delivery takes it out and wakes it with 0, a shutdown of
 * the runtime with ECANCELED. False: it isn't linked, as there was a delivery since
 * *seen (which is set to now), or, with *error = ECANCELED, a shutdown.
 */
bool signal_source_publish(
    struct signal_source *source, uint64_t *seen, struct waiter *waiter, int *error);

/* As if the signal had come once more. Any thread. */
void signal_source_repeat(struct signal_source *source);

/* Whether deliveries are being ended. For what runs on the signal thread. */
bool signal_source_closing(void);

#endif
