/* SPDX-License-Identifier: MIT */
#ifndef SCHED_WORKER_H
#define SCHED_WORKER_H

/*
 * A worker: a thread that runs greenlets, with all that it needs to do so alone. Also a
 * guest, which is any other thread of the process that spawned greenlets: the same
 * struct, but no deque of its own, and it neither steals nor is stolen from. And a lane
 * thread (lane.h), which is like a guest but a thread of the library.
 *
 * A thread with a worker always runs one of that worker's greenlets. The one it was
 * born with is the main greenlet, on the thread's own stack. There is no scheduler loop
 * on a stack of its own: a greenlet that blocks picks the next one and switches
 * straight to it, and when there is none it is itself that drives the hub until there
 * is one (scheduler.c). So a lone greenlet that waits for I/O never switches at all.
 *
 * Who may touch what:
 *   inbox, sleeping       any thread (see inbox.h, idle.h)
 *   quiet, sleeps_until, looked   written by the owner, read by others (quiet.h)
 *   deque                 owner at the bottom, thieves at the top (deque.h)
 *   in_section            read by revokers (section.h)
 *   next_sleeper, listed  idle.c's lock; of a lane thread lane.c's
 *   kill_all_sent         set by who ends the runtime, taken back by the worker
 *   everything else       the worker's thread alone
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sched/activation.h"
#include "sched/deque.h"
#include "sched/inbox.h"
#include "sched/runqueue.h"
#include "sched/stack.h"
#include "sched/stats.h"
#include "sched/timers.h"

struct hub;
struct lock_wait;
struct section;
struct thread_exceptions;
struct fd_table;

struct worker {
    /* What a switch needs. */
    struct grove *current; /* NULL while hub callbacks run */
    struct runqueue ready;
    int budget; /* switches until worker_tick */
    uint32_t bias;
    int *errno_address;
    struct thread_exceptions *exceptions; /* NULL: no C++ in this process */
    struct stats_worker *stats;
    struct stack *spare; /* the stack of the greenlet that ended last: taken first, and
                            given to [stacks] only when nobody runs on it any more */
    struct grove *free_records;
    uint64_t next_id, ids_before; /* numbers.h */
    _Atomic(struct section *) in_section;

    struct deque deque;
    struct stack_cache stacks;
    uint32_t free_record_count;

    /* What a tick and a park need. */
    int tick_switches; /* budget of the present round */
    int to_oldest; /* switches until the oldest unstarted one is taken: one worker */
    nanoseconds last_tick;
    nanoseconds last_poll;
    nanoseconds next_trim; /* not before */
    uint32_t ticks;
    struct timers timers;
    struct hub *hub;
    struct fd_table *fds;   /* io/'s, NULL until the first wait on this worker */
    struct runqueue idlers; /* parked in grove_idle */

    /* The greenlet of the thread's own stack. */
    struct grove *main;
    struct activation main_activation;
#if SANITIZE_SWITCHES
    void *dead_fiber; /* of the greenlet that ended last; TSan */
#endif

    int index; /* 0.. for workers, -1 for guests and lane threads */
    int lane;  /* of a lane thread: 1 + the index of the worker beside it; else 0 */
    uint32_t random;
    uint32_t spin_limit; /* how long a search may last, adapted (idle.c) */
    void *thread;        /* pthread_t of a thread that the library made */
    struct worker *next_guest;
    uint32_t active;      /* started greenlets that have not ended */
    uint32_t awake_ticks; /* since it slept; virtual clock (clock.c) */
    bool acted;           /* has run something since it slept; virtual clock */
    uint64_t next_lock_wait;
    struct extra *held; /* of those deferred or delayed here; by next_held */

    /* Under idle.c's or lane.c's lock. */
    struct worker *next_sleeper;
    bool listed;

    struct message kill_all_message; /* of who set kill_all_sent, until delivered */

    /* Written by others. */
    struct inbox inbox __attribute__((aligned(64)));
    _Atomic(bool) sleeping;
    _Atomic(bool) kill_all_sent;
    /* Written by the worker, read by others. */
    _Atomic(struct lock_wait *) lock_waits; /* lock_wait.h */
    _Atomic(uint32_t) quiet; /* odd: asleep, and, with the real clock, nothing of its
                                own will wake it */
    _Atomic(nanoseconds) sleeps_until;
    _Atomic(uint64_t) looked;
};

/* The calling thread's worker; NULL on a plain thread. Initial-exec: one load. */
extern __thread struct worker *worker_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The most workers there can be: the range of GROVE_WORKERS. */
#define WORKER_MAX 256

/* Biases of sections: a worker's is its index + 1; what never matches is for guests,
 * for builds without asymmetric barriers. */
#define WORKER_UNBIASED (UINT32_MAX - 1)
struct worker *worker_of_bias(uint32_t bias);

/* All workers of the running runtime: constant between its start and its end. */
extern struct worker **workers;
extern int worker_count;

/* worker_self; starts the runtime, or makes the calling thread a guest, if it is NULL.
 * NULL with errno if that fails. */
struct worker *worker_enter(void);

/* As worker_enter, but a thread that is neither a worker nor has started the runtime
 * now stays a plain thread: NULL with errno 0. */
struct worker *worker_attend(void);

/* Sets up the worker of that index, or a guest (-1). NULL with errno. */
struct worker *worker_new(int index);

/* The calling thread becomes the worker's. */
void worker_adopt_thread(struct worker *worker);

/* Frees what it holds. No greenlet of it runs any more; by its own thread, or after
 * that has ended. */
void worker_free(struct worker *worker);

/* Frees what ended guests left to later ones: nobody may still send to one. */
void worker_free_retired(void);

/* Gives [message] to a worker and wakes it if it sleeps. Any thread. */
void worker_send(struct worker *worker, struct message *message);

#endif
