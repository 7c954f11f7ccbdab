/* SPDX-License-Identifier: MIT */
/* Making greenlets and making them ready. */
#include "sched/spawn.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/container.h"
#include "sched/extra.h"
#include "sched/idle.h"
#include "sched/inject.h"
#include "sched/lane.h"
#include "sched/locals.h"
#include "sched/numbers.h"
#include "sched/record.h"
#include "sched/reference.h"
#include "sched/runtime.h"
#include "sched/scheduler.h"
#include "sched/waiter.h"

/* extra is NULL in every free record. */
static inline void fill(
    struct grove *greenlet, grove_fn fn, void *arg, uint64_t id, void *site)
{
    greenlet->stack_pointer = NULL;
    greenlet->function = fn;
    greenlet->value = arg;
    greenlet->joiner = NULL;
    greenlet->activation = NULL;
    greenlet->error = 0;
    greenlet->id = id;
    greenlet->attention = 0;
    greenlet->spawned_at = site;
    atomic_store_explicit(&greenlet->owner, NULL, memory_order_relaxed);
    atomic_store_explicit(&greenlet->kill_error, 0, memory_order_relaxed);
    /* One reference for the caller, one for the runtime. */
    atomic_store_explicit(
        &greenlet->state, 2 * GREENLET_REFERENCE, memory_order_relaxed);
}

static inline struct grove *make(
    struct worker *worker, grove_fn fn, void *arg, void *site)
{
    if (__builtin_expect(fn == NULL, 0)) {
        errno = EINVAL;
        return NULL;
    }
    struct grove *greenlet = record_new(worker);
    if (__builtin_expect(greenlet != NULL, 1))
        fill(greenlet, fn, arg, numbers_next(worker), site);
    return greenlet;
}

static struct grove *make_plain(grove_fn fn, void *arg, void *site)
{
    if (!fn) {
        errno = EINVAL;
        return NULL;
    }
    struct grove *greenlet = record_new_plain();
    if (greenlet)
        fill(greenlet, fn, arg, numbers_take_block() + 1, site);
    return greenlet;
}

static void inject(struct grove *greenlet)
{
    inject_push(greenlet);
    idle_submitted(NULL);
}

/* Takes back a greenlet that nobody has seen yet. */
static void unmake(struct worker *worker, struct grove *greenlet)
{
    atomic_store_explicit(&greenlet->state, 0, memory_order_relaxed);
    record_free(worker, greenlet);
}

static inline __attribute__((always_inline)) grove_t *spawn(
    grove_fn fn, void *arg, void *site)
{
    struct worker *worker = worker_self;

    if (__builtin_expect(!worker, 0) && !(worker = worker_enter()))
        return NULL;
    struct grove *greenlet = make(worker, fn, arg, site);
    if (__builtin_expect(!greenlet, 0))
        return NULL;
    atomic_store_explicit(&greenlet->owner, worker, memory_order_relaxed);
    scheduler_ready(worker, greenlet);
    return greenlet;
}

grove_t *grove_spawn(grove_fn fn, void *arg)
{
    return spawn(fn, arg, CALL_SITE);
}

/* Makes an unstarted greenlet available to all workers, or, on a lane thread, to all of
 * these. 0 or -1 with errno ENOMEM. */
static inline __attribute__((always_inline)) int offer(
    struct worker *worker, struct grove *greenlet)
{
    if (worker->index < 0) {
        if (!worker->lane || !lane_push(greenlet))
            inject(greenlet);
        return 0;
    }
    if (__builtin_expect(deque_push(&worker->deque, greenlet) < 0, 0))
        return -1;
    idle_submitted(worker);
    return 0;
}

bool spawn_all_taken(void)
{
    const struct worker *worker = worker_self;

    if (worker && worker->index >= 0)
        return deque_length(&worker->deque) == 0;
    return worker && worker->lane ? lane_empty() : inject_empty();
}

static inline __attribute__((always_inline)) grove_t *go(
    struct worker *worker, grove_fn fn, void *arg, void *site)
{
    struct grove *greenlet = make(worker, fn, arg, site);

    if (__builtin_expect(!greenlet, 0))
        return NULL;
    if (__builtin_expect(offer(worker, greenlet) < 0, 0)) {
        unmake(worker, greenlet);
        return NULL;
    }
    return greenlet;
}

static __attribute__((noinline)) grove_t *go_from_plain_thread(
    grove_fn fn, void *arg, void *site)
{
    struct worker *worker = worker_attend();

    if (worker)
        return go(worker, fn, arg, site);
    if (errno)
        return NULL;
    if (!runtime_hold())
        return NULL;
    struct grove *greenlet = make_plain(fn, arg, site);
    if (greenlet)
        inject(greenlet);
    runtime_let_go();
    return greenlet;
}

static inline __attribute__((always_inline)) grove_t *go_from_anywhere(
    grove_fn fn, void *arg, void *site)
{
    struct worker *worker = worker_self;

    if (__builtin_expect(!worker, 0))
        return go_from_plain_thread(fn, arg, site);
    return go(worker, fn, arg, site);
}

grove_t *grove_go(grove_fn fn, void *arg)
{
    return go_from_anywhere(fn, arg, CALL_SITE);
}

grove_t *spawn_go_for(grove_fn fn, void *arg, void *site)
{
    return go_from_anywhere(fn, arg, site);
}

struct grove *spawn_prepare(grove_fn fn, void *arg, void *site, struct waiter *watcher)
{
    struct worker *worker = worker_self;

    if (__builtin_expect(!worker, 0) && !(worker = worker_enter()))
        return NULL;
    struct grove *greenlet = make(worker, fn, arg, site);
    if (__builtin_expect(!greenlet, 0))
        return NULL;
    /* Nobody knows of it: no lock. */
    watcher->next = watcher->prev = NULL;
    greenlet->first = greenlet->last = watcher;
    atomic_store_explicit(&greenlet->state, 3 * GREENLET_REFERENCE | GREENLET_WATCHED,
        memory_order_relaxed);
    return greenlet;
}

void spawn_launch(struct grove *greenlet, grove_affinity_t affinity)
{
    struct worker *worker = worker_self;
    int saved_errno = errno;

    if (affinity == GROVE_CPU && lane_push(greenlet))
        return;
    if (affinity != GROVE_LOCAL && offer(worker, greenlet) == 0)
        return;
    errno = saved_errno;
    atomic_store_explicit(&greenlet->owner, worker, memory_order_relaxed);
    scheduler_ready(worker, greenlet);
}

/* On its home worker, as all that touches the list of held ones. */
static void hold(struct extra *extra)
{
    struct worker *worker = extra->home;

    extra->next_held = worker->held;
    extra->held_link = &worker->held;
    if (worker->held)
        worker->held->held_link = &extra->next_held;
    worker->held = extra;
}

static void let_go(struct extra *extra)
{
    if (!extra->held_link)
        return;
    *extra->held_link = extra->next_held;
    if (extra->next_held)
        extra->next_held->held_link = extra->held_link;
    extra->held_link = NULL;
}

/* Makes one available to those whom its affinity names. 0 or -1 with errno ENOMEM. */
static int offer_as_asked(struct worker *worker, struct grove *greenlet)
{
    if (extra_of(greenlet)->affinity == GROVE_CPU && lane_push(greenlet))
        return 0;
    return offer(worker, greenlet);
}

/* On its home worker: what was held back becomes ready. Its reference is the runtime's,
 * so a killed one (already ended) only has to be let go. */
static void unhold(struct grove *greenlet)
{
    struct extra *extra = extra_of(greenlet);
    struct worker *worker = extra->home;

    let_go(extra);
    if (atomic_load_explicit(&greenlet->kill_error, memory_order_acquire) == 0 &&
        extra->affinity != GROVE_LOCAL && offer_as_asked(worker, greenlet) == 0)
        return;
    atomic_store_explicit(&greenlet->owner, worker, memory_order_relaxed);
    scheduler_ready(worker, greenlet);
}

static void delay_over(struct timer *timer)
{
    unhold(CONTAINER(timer, struct extra, delay)->greenlet);
}

/* On its home worker: starts one that was held back, or its delay. 0 or -1 with errno
 * ENOMEM. */
static int begin(struct grove *greenlet)
{
    struct extra *extra = extra_of(greenlet);

    if (extra->seconds > 0 &&
        atomic_load_explicit(&greenlet->kill_error, memory_order_acquire) == 0) {
        extra->delay.fire = delay_over;
        return timers_add(
            &extra->home->timers, &extra->delay, timers_deadline(extra->seconds));
    }
    unhold(greenlet);
    return 0;
}

static void deliver_start(struct message *message)
{
    struct grove *greenlet = CONTAINER(message, struct extra, start_message)->greenlet;

    if (begin(greenlet) == 0)
        return;
    /* The caller of grove_start is gone: the greenlet itself fails. */
    grove_kill_with(greenlet, ENOMEM, 0);
    unhold(greenlet);
}

int grove_start(grove_t *g)
{
    if (!g) {
        errno = EINVAL;
        return -1;
    }
    struct extra *extra = extra_of(g);
    if (!extra || !atomic_exchange_explicit(&extra->held, false, memory_order_acq_rel))
        return 0;
    if (extra->home == worker_self) {
        if (begin(g) == 0)
            return 0;
        atomic_store_explicit(&extra->held, true, memory_order_relaxed);
        return -1;
    }
    extra->start_message.deliver = deliver_start;
    worker_send(extra->home, &extra->start_message);
    return 0;
}

void spawn_let_go(struct grove *greenlet)
{
    struct extra *extra = extra_of(greenlet);

    if (!extra)
        return;
    if (atomic_load_explicit(&extra->held, memory_order_relaxed)) {
        grove_start(greenlet);
        return;
    }
    /* On another thread's the delay runs out first. */
    if (extra->home == worker_self && extra->delay.id != 0) {
        timers_remove(&extra->home->timers, &extra->delay);
        unhold(greenlet);
    }
}

void spawn_kill_held(struct worker *worker)
{
    struct extra *next;

    for (struct extra *extra = worker->held; extra; extra = next) {
        struct grove *greenlet = extra->greenlet;
        int none = 0;
        next = extra->next_held;
        atomic_compare_exchange_strong_explicit(&greenlet->kill_error, &none, ECANCELED,
            memory_order_seq_cst, memory_order_relaxed);
        if (extra->delay.id != 0)
            timers_remove(&worker->timers, &extra->delay);
        else if (!atomic_exchange_explicit(&extra->held, false, memory_order_acq_rel))
            continue; /* its start message is under way */
        unhold(greenlet);
    }
}

static struct extra *extra_new(const grove_attr_t *attr)
{
    struct extra *extra = calloc(1, sizeof *extra);

    if (extra) {
        extra->affinity = attr->affinity;
        extra->stack_size = attr->stack_size;
        extra->seconds = attr->delay;
        atomic_init(&extra->held, attr->deferred);
    }
    return extra;
}

static bool attributes_valid(const grove_attr_t *attr)
{
    return (unsigned)attr->affinity <= GROVE_CPU && attr->delay >= 0 &&
           (attr->stack_size == 0 || (attr->stack_size >= STACK_SIZE_MIN &&
                                         attr->stack_size <= STACK_SIZE_MAX));
}

/* Makes ready, holds back or delays a greenlet made with attributes. */
static int launch(struct worker *worker, struct grove *greenlet)
{
    struct extra *extra = extra_of(greenlet);

    if (atomic_load_explicit(&extra->held, memory_order_relaxed)) {
        hold(extra);
        return 0;
    }
    if (extra->seconds > 0) {
        hold(extra); /* before it begins: a shutdown may let it go at once */
        if (begin(greenlet) == 0)
            return 0;
        let_go(extra);
        return -1;
    }
    if (extra->affinity != GROVE_LOCAL)
        return offer_as_asked(worker, greenlet);
    unhold(greenlet);
    return 0;
}

/* Of a spawn that fails: errno is that failure's, whatever the destructors do. */
static void end_inherited(void *locals)
{
    int error = errno;

    locals_end(&locals);
    errno = error;
}

static grove_t *spawn_with(const grove_attr_t *attr, grove_fn fn, void *arg, void *site)
{
    struct worker *worker;
    char *name = NULL;

    if (!attributes_valid(attr)) {
        errno = EINVAL;
        return NULL;
    }
    if (!(worker = worker_enter()))
        return NULL;
    struct extra *extra = extra_new(attr);
    if (!extra)
        return NULL;
    if (attr->inherit_locals && locals_inherit(&extra->locals) < 0)
        goto free_extra;
    if (attr->name && !(name = strdup(attr->name)))
        goto end_locals;
    struct grove *greenlet = make(worker, fn, arg, site);
    if (!greenlet)
        goto free_name;
    extra->greenlet = greenlet;
    extra->home = worker;
    atomic_init(&extra->name, name);
    atomic_store_explicit(&greenlet->extra, extra, memory_order_relaxed);
    if (launch(worker, greenlet) == 0)
        return greenlet;
    atomic_store_explicit(&greenlet->extra, NULL, memory_order_relaxed);
    unmake(worker, greenlet);
free_name:
    free(name);
end_locals:
    if (extra->locals)
        end_inherited(extra->locals);
free_extra:
    free(extra);
    return NULL;
}

grove_t *spawn_for(const grove_attr_t *attr, grove_fn fn, void *arg, void *site)
{
    return attr ? spawn_with(attr, fn, arg, site) : spawn(fn, arg, site);
}

grove_t *grove_spawn_with(const grove_attr_t *attr, grove_fn fn, void *arg)
{
    return spawn_for(attr, fn, arg, CALL_SITE);
}

grove_t *grove_spawn_later(double seconds, grove_fn fn, void *arg)
{
    grove_attr_t attr = {.delay = seconds};

    return spawn_with(&attr, fn, arg, CALL_SITE);
}

struct placement {
    struct message message;
    struct grove *greenlet;
};

static void deliver_placement(struct message *message)
{
    struct placement *placement = CONTAINER(message, struct placement, message);

    scheduler_ready(worker_self, placement->greenlet);
    free(placement);
}

struct grove *greenlet_spawn_on(
    struct worker *worker, grove_fn fn, void *arg, void *site)
{
    struct worker *self = worker_self;

    if (self == worker)
        return spawn(fn, arg, site);
    struct placement *placement = malloc(sizeof *placement);
    if (!placement)
        return NULL;
    struct grove *greenlet =
        self ? make(self, fn, arg, site) : make_plain(fn, arg, site);
    if (!greenlet) {
        free(placement);
        return NULL;
    }
    /* Release: the worker may find it in a walk over all records (kill_all.c) before
     * the message comes. */
    atomic_store_explicit(&greenlet->owner, worker, memory_order_release);
    placement->greenlet = greenlet;
    placement->message.deliver = deliver_placement;
    worker_send(worker, &placement->message);
    return greenlet;
}
