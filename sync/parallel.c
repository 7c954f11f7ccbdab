/* SPDX-License-Identifier: MIT */
/*
 * Lazy halving: who runs a range does so piece by piece, and before each piece looks
 * whether what it offered last has been taken. If so it halves what is left and offers
 * the upper half with grove_go. So work is only cut up while somebody takes it: with
 * all others busy a range of any length is cut log2(pieces) times, and when one worker
 * is done early it finds the largest part of what is left in another's deque. (Halving
 * down to the grain at once costs a greenlet for each piece; a fixed number of parts
 * leaves workers idle when parts differ.)
 *
 * A half lies on the stack of who offered it, which therefore waits for it whatever
 * happens: after its own half; in a defer if a body ends the greenlet; through kills
 * and timeouts. The caller itself runs no body but has the whole range run as one more
 * half, so that all bodies run alike and a failing one never ends the caller.
 *
 *   loop      constant, but error: set once by compare-and-swap, read by all; and
 *             interrupt: set by any, read by all
 *   half      its offerer until grove_go and after the end, else who runs it
 */
#include <grove/parallel.h>

#include <stdlib.h>
#include <string.h>

#include <grove/greenlet.h>

#include "sched/defer.h"
#include "sched/spawn.h"
#include "sync/blocking.h"
#include "sync/wait_through.h"

enum { PIECES_PER_WORKER = 256, SMALL = 64 };

struct loop {
    size_t grain;
    bool alone; /* nobody to share with: never halved */
    void (*body)(size_t begin, size_t end, void *arg);
    void (*fold)(size_t begin, size_t end, void *accumulator, void *arg);
    void (*combine)(void *into, const void *from, void *arg);
    void *arg;
    size_t size; /* of an accumulator; 0: body, not fold */
    const void *neutral;
    _Atomic(int) error;     /* not 0: no further piece is begun */
    _Atomic(int) interrupt; /* not 0: of the caller; bodies are killed with it */
};

struct half {
    struct loop *loop;
    size_t begin, end;
    grove_t *greenlet;
    bool begun, ended;
    struct defer defer;
    void *accumulator; /* [space], or from malloc */
    /* Lines of its own: the offerer works on the same stack meanwhile. */
    unsigned char space[SMALL] __attribute__((aligned(SMALL)));
};

static void loop_stop(struct loop *loop, int error)
{
    int none = 0;

    atomic_compare_exchange_strong_explicit(
        &loop->error, &none, error, memory_order_relaxed, memory_order_relaxed);
}

static int loop_error(struct loop *loop)
{
    return atomic_load_explicit(&loop->error, memory_order_relaxed);
}

/* 0 or ENOMEM. */
static int half_init(struct half *half, struct loop *loop, size_t begin, size_t end)
{
    half->loop = loop;
    half->begin = begin;
    half->end = end;
    half->begun = half->ended = false;
    half->accumulator = loop->size <= SMALL ? half->space : malloc(loop->size);
    if (!half->accumulator)
        return ENOMEM;
    if (loop->size)
        memcpy(half->accumulator, loop->neutral, loop->size);
    return 0;
}

static void half_destroy(struct half *half)
{
    if (half->accumulator != half->space)
        free(half->accumulator);
}

/* A half that blocks ends no sooner than its bodies are killed; it then kills those
 * that it has offered in the same way. */
static int half_join(void *arg)
{
    struct half *half = arg;

    if (grove_join(half->greenlet, GROVE_FOREVER) == 0)
        return 0;
    int error = errno;
    loop_stop(half->loop, error);
    atomic_store_explicit(&half->loop->interrupt, error, memory_order_relaxed);
    grove_kill_with(half->greenlet, error, 0);
    errno = error;
    return -1;
}

/* A body of the offerer's may have cleared the kill that was to be passed on. */
static void half_wait(struct half *half)
{
    int error = atomic_load_explicit(&half->loop->interrupt, memory_order_relaxed);

    if (error)
        grove_kill_with(half->greenlet, error, 0);
    wait_through(half_join, half);
}

/* The defer of a half's offerer, for a body that ends the greenlet before its time. */
static void half_abandon(void *arg)
{
    struct half *half = arg;
    int error = worker_self->current->error;

    loop_stop(half->loop, error ? error : ECANCELED);
    half_wait(half);
    grove_release(half->greenlet);
    half_destroy(half);
}

static void run(struct half *half);

static void *run_half(void *arg)
{
    run(arg);
    return NULL;
}

/* They show as spawned where what they run begins. */
static void *half_site(const struct loop *loop)
{
    return loop->size ? (void *)loop->fold : (void *)loop->body;
}

static grove_t *half_go(struct half *half)
{
    return spawn_go_for(run_half, half, half_site(half->loop));
}

/* Waits for its end. False: there was no memory for its stack, and nothing is done. */
static bool half_finish(struct half *half)
{
    half_wait(half);
    int error = grove_error(half->greenlet);
    grove_release(half->greenlet);
    if (!half->begun && error == ENOMEM)
        return false;
    if (!half->ended)
        loop_stop(half->loop, error ? error : ECANCELED);
    return true;
}

static void run_range(struct loop *loop, size_t begin, size_t end, void *accumulator);

/* Offers the upper half and runs the lower. False: there is no memory for that. */
static __attribute__((noinline)) bool run_halves(
    struct loop *loop, size_t begin, size_t end, void *accumulator)
{
    size_t pieces = (end - begin - 1) / loop->grain + 1;
    size_t middle = begin + pieces / 2 * loop->grain;
    struct half upper;

    if (half_init(&upper, loop, middle, end) != 0)
        return false;
    upper.greenlet = half_go(&upper);
    if (!upper.greenlet) {
        half_destroy(&upper);
        return false;
    }
    defer_push(&upper.defer, half_abandon, &upper);
    run_range(loop, begin, middle, accumulator);
    defer_remove(&upper.defer);
    if (!half_finish(&upper))
        run(&upper);
    if (loop->size && loop_error(loop) == 0)
        loop->combine(accumulator, upper.accumulator, loop->arg);
    half_destroy(&upper);
    return true;
}

static void run_range(struct loop *loop, size_t begin, size_t end, void *accumulator)
{
    while (begin < end && loop_error(loop) == 0) {
        bool last = end - begin <= loop->grain;
        if (!last && !loop->alone && spawn_all_taken() &&
            run_halves(loop, begin, end, accumulator))
            return;
        size_t next = last ? end : begin + loop->grain;
        if (loop->size)
            loop->fold(begin, next, accumulator, loop->arg);
        else
            loop->body(begin, next, loop->arg);
        begin = next;
    }
}

static void run(struct half *half)
{
    half->begun = true;
    run_range(half->loop, half->begin, half->end, half->accumulator);
    half->ended = true;
}

static size_t choose_grain(size_t length, bool alone)
{
    size_t grain = alone ? length : length / ((size_t)worker_count * PIECES_PER_WORKER);

    return grain ? grain : 1;
}

/* The whole range, as a half of nothing. Where there is nobody to share with, a
 * greenlet of this thread; a plain thread has no greenlets, and may be the only one
 * that isn't waiting for somebody. */
static void run_whole(struct half *half)
{
    struct loop *loop = half->loop;
    struct worker *worker = worker_self;

    half->greenlet = NULL;
    if (!loop->alone)
        half->greenlet = half_go(half);
    else if (worker)
        half->greenlet = spawn_for(NULL, run_half, half, half_site(loop));
    if (half->greenlet && half_finish(half))
        return;
    /* In the caller nothing may be offered: no defer waits when a body ends it. */
    loop->alone = true;
    run(half);
}

/* Returns an error number; *result is replaced on success. */
static int loop_run(
    struct loop *loop, size_t begin, size_t end, size_t grain, void *result)
{
    struct half whole;
    int saved_errno = errno;

    if (begin >= end)
        return 0;
    int error = blocking_begin(GROVE_FOREVER);
    if (error)
        return error;
    loop->alone = worker_count == 1;
    loop->grain = grain ? grain : choose_grain(end - begin, loop->alone);
    error = half_init(&whole, loop, begin, end);
    if (error)
        return error;
    run_whole(&whole);
    error = loop_error(loop);
    if (!error && result)
        memcpy(result, whole.accumulator, loop->size);
    half_destroy(&whole);
    errno = saved_errno;
    return error;
}

int grove_parallel_for(size_t begin, size_t end, size_t grain,
    void (*body)(size_t begin, size_t end, void *arg), void *arg)
{
    struct loop loop = {.body = body, .arg = arg};

    if (!body)
        return answer(EINVAL);
    return answer(loop_run(&loop, begin, end, grain, NULL));
}

int grove_parallel_reduce(size_t begin, size_t end, size_t grain, size_t size,
    void *result, void (*body)(size_t begin, size_t end, void *accumulator, void *arg),
    void (*combine)(void *into, const void *from, void *arg), void *arg)
{
    struct loop loop = {
        .fold = body, .combine = combine, .size = size, .neutral = result, .arg = arg};

    if (!body || !combine || !result || size == 0)
        return answer(EINVAL);
    return answer(loop_run(&loop, begin, end, grain, result));
}
