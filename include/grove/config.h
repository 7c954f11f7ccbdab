/* SPDX-License-Identifier: MIT */
#ifndef GROVE_CONFIG_H
#define GROVE_CONFIG_H

#include <grove/base.h>

/* What a worker thread is pinned to. Pinning that fails is not an error. */
typedef enum grove_bind {
    GROVE_BIND_DEFAULT, /* as GROVE_BIND says in the environment, else auto */
    GROVE_BIND_AUTO,    /* core if there is a worker for every allowed CPU, else none */
    GROVE_BIND_CORE,    /* all allowed hardware threads of one core */
    GROVE_BIND_PU,      /* one hardware thread */
    GROVE_BIND_NONE,    /* nothing: the kernel places and moves workers */
} grove_bind_t;

/* The kernel interface the hubs wait with. */
typedef enum grove_backend {
    GROVE_BACKEND_DEFAULT, /* as GROVE_BACKEND says in the environment, else epoll */
    GROVE_BACKEND_EPOLL,
    GROVE_BACKEND_POLL,
    GROVE_BACKEND_SELECT,
    GROVE_BACKEND_IOURING, /* experimental in libev */
} grove_backend_t;

/* Whether failures, deadlocks and blocked workers are reported on standard error. */
typedef enum grove_report {
    GROVE_REPORT_DEFAULT, /* as GROVE_REPORT says in the environment, else on */
    GROVE_REPORT_ON,
    GROVE_REPORT_OFF,
} grove_report_t;

/* Which time timeouts and sleeps take. */
typedef enum grove_clock {
    GROVE_CLOCK_DEFAULT, /* as GROVE_CLOCK says in the environment, else real */
    GROVE_CLOCK_REAL,
    GROVE_CLOCK_VIRTUAL, /* jumps to the next timer when all greenlets wait */
} grove_clock_t;

/* stack_cache: keep no unused stacks, whatever the environment says. */
#define GROVE_STACK_CACHE_NONE SIZE_MAX

/* max_blocking_time: report no blocked workers, whatever the environment says. */
#define GROVE_MAX_BLOCKING_TIME_OFF (-1.0)

/* deadlock_check: report no cycles of locks, whatever the environment says. */
#define GROVE_DEADLOCK_CHECK_OFF (-1.0)

/*
 * Settings for grove_init(). A zeroed field means "as the environment says, else the
 * default"; any other value overrides the environment and is checked against the same
 * limits as the variable of that name (docs/tuning.md). Initialise the whole struct:
 *
 *     grove_init(&(grove_config_t){.workers = 4, .stack_size = 64 * 1024});
 *
 * The size of the struct is the same in every version: new fields are taken from
 * `reserved`, so a program built with an older header leaves them zero, and a library
 * older than the program's header refuses a field it does not know.
 */
typedef struct grove_config {
    int workers;              /* GROVE_WORKERS: threads that run greenlets, 1..256 */
    grove_bind_t bind;        /* GROVE_BIND: what each of them is pinned to */
    grove_backend_t backend;  /* GROVE_BACKEND: what their hubs wait with */
    grove_report_t report;    /* GROVE_REPORT: reports on standard error */
    size_t stack_size;        /* GROVE_STACK_SIZE: bytes, 16 KiB..1 GiB, rounded up to
                                 pages; for greenlets that ask for no size */
    size_t stack_cache;       /* GROVE_STACK_CACHE: bytes of unused stacks each worker
                                 keeps, up to 1 TiB, or GROVE_STACK_CACHE_NONE */
    double switch_interval;   /* GROVE_SWITCH_INTERVAL: seconds, 0.00001..1, between two
                                 looks at I/O and timers while greenlets run */
    double max_blocking_time; /* GROVE_MAX_BLOCKING_TIME: seconds without a switch until
                                 a worker is reported, up to 86400, or
                                 GROVE_MAX_BLOCKING_TIME_OFF */
    uint64_t seed;            /* GROVE_SEED: what runs next is drawn from it, by one
                                 worker */
    grove_clock_t clock;      /* GROVE_CLOCK: the time of timeouts and sleeps */
    int threads;              /* GROVE_THREADS: the most threads of the pool that
                                 grove_offload uses, 1..1024 */
    double threads_idle;      /* GROVE_THREADS_IDLE: seconds, 0.001..86400, a thread of
                                 a pool without work waits before it ends */
    double deadlock_check;    /* GROVE_DEADLOCK_CHECK: seconds until greenlets that wait
                                 for locks in a cycle are reported, up to 86400, or
                                 GROVE_DEADLOCK_CHECK_OFF */
    uint64_t reserved[6];     /* must be zero */
} grove_config_t;

#endif
