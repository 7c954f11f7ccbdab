/* SPDX-License-Identifier: MIT */
#ifndef SCHED_RUNTIME_H
#define SCHED_RUNTIME_H

/*
 * The runtime as a whole. Everything here is written while it starts or stops, under
 * the runtime's lock and with no worker running, and constant in between; but
 *   runtime_stop   set by grove_shutdown with seq_cst, read by the workers
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "sched/config.h"
#include "sched/timers.h"
#include "sched/topology.h"
#include "sched/worker.h"

extern nanoseconds runtime_switch_interval;
extern struct topology runtime_topology;
extern struct config runtime_config;
extern _Atomic(bool) runtime_stop;

/* Starts it if it isn't running. The main thread becomes worker 0; any other thread
 * stays what it is. 0 or -1 with errno. */
int runtime_start(const grove_config_t *config);

bool runtime_running(void);

/* The name of what the hubs wait with, as hub_new takes it. */
const char *runtime_backend(void);

/* For a thread that isn't a worker, around what it begins: starts the runtime if need
 * be, after a shutdown under way if there is one, and keeps it from being shut down
 * until runtime_let_go. False with errno if it can't start. Short: a lock is held. */
bool runtime_hold(void);
void runtime_let_go(void);

/* True when a worker's thread has to end: it has nothing left to run. */
static inline bool runtime_stopping(const struct worker *worker)
{
    return __builtin_expect(
               atomic_load_explicit(&runtime_stop, memory_order_acquire), 0) &&
           worker->thread && worker->active == 0;
}

#endif
