/* SPDX-License-Identifier: MIT */
#include "sync/tasks.h"

#include <stdlib.h>

#include "sched/activation.h"
#include "sched/reference.h"

#define NO_ITEM SIZE_MAX

struct runner {
    struct member member;
    size_t item; /* being run; NO_ITEM: none */
    void *argument;
    bool started;
    bool replaced; /* its slot has gone to a successor */
};

void tasks_init(struct tasks *tasks, struct grove_group *group, grove_fn fn, void **in,
    size_t n,
    struct waiter *(*finish)(struct tasks *tasks, size_t item, void *value, int error))
{
    *tasks = (struct tasks){
        .group = group,
        .function = fn,
        .in = in,
        .n = n,
        .admitted = n,
        .target = 1,
        .affinity = atomic_load_explicit(&group->affinity, memory_order_relaxed),
        .feed.kills = atomic_load_explicit(&group->kills, memory_order_relaxed),
        .finish = finish,
    };
}

static bool killed(const struct tasks *tasks)
{
    return atomic_load_explicit(&tasks->group->kills, memory_order_relaxed) !=
           tasks->feed.kills;
}

/* Whether a runner could begin an item if it were not for the others. Inside. */
static bool any_left(const struct tasks *tasks)
{
    return tasks->next < tasks->admitted;
}

/* Whether there should be a further runner. Inside. */
static bool needs_runner(const struct tasks *tasks)
{
    return any_left(tasks) && tasks->unstarted < tasks->target &&
           tasks->admitted - tasks->next > tasks->unstarted;
}

/* The feeder, if it waits and there is something for it to do. Inside. */
static struct waiter *pop_feeder(struct tasks *tasks)
{
    if (LIKELY(!tasks->feeder.first))
        return NULL;
    if (tasks->next < tasks->n ? needs_runner(tasks) : tasks->runners == 0)
        return waiter_pop(&tasks->feeder);
    return NULL;
}

void tasks_leave(struct tasks *tasks, struct waiter *chain)
{
    struct waiter *feeder = pop_feeder(tasks);

    section_leave(&tasks->feeder.section);
    if (UNLIKELY(chain != NULL))
        waiter_wake_chain(chain, 0);
    if (UNLIKELY(feeder != NULL))
        waiter_wake(feeder, 0);
}

/* Whether a task left something on its greenlet that the next must not find. All of it
 * is the greenlet's own, or comes from who has a reference. */
static bool left_behind(const struct grove *me, const struct runner *runner)
{
    const struct activation *activation = me->activation;

    return activation->defers || activation->locals || activation->timeouts ||
           me->attention >= ATTENTION_TIMEOUT ||
           atomic_load_explicit(&me->kill_error, memory_order_relaxed) != 0 ||
           /* The references of the runtime and of the group, and no others. */
           atomic_load_explicit(&me->state, memory_order_acquire) !=
               (2 * GREENLET_REFERENCE | GREENLET_WATCHED) ||
           me->first != &runner->member.link.waiter || me->first != me->last;
}

static int start_runner(struct tasks *tasks);

/* A new runner gets the slot of this one. Without memory for it this one's is given
 * back, and the feeder tries again. */
static void start_successor(struct tasks *tasks, struct runner *runner)
{
    runner->replaced = start_runner(tasks) == 0;
}

/*
 * Ends the item that the runner has with [value], and gives it the next one. False: it
 * ends, with a successor if it only has to make room for others.
 */
static bool next_item(struct tasks *tasks, struct runner *runner, void *value)
{
    bool over = --worker_self->budget <= 0;
    bool give_way = group_contended(tasks->group, &tasks->feed) || killed(tasks);
    struct waiter *chain = NULL;

    tasks_enter(tasks);
    if (LIKELY(runner->item != NO_ITEM)) {
        chain = tasks->finish(tasks, runner->item, value, 0);
    } else {
        /* It has just started: its turn has come. */
        over = give_way = false;
        runner->started = true;
        tasks->unstarted--;
    }
    bool left = any_left(tasks), more = left && !over && !give_way;
    runner->item = NO_ITEM;
    if (LIKELY(more)) {
        /* Inside, as a reader that gives up may take [in] with it. */
        runner->argument = tasks->in[tasks->next];
        runner->item = tasks->next++;
    }
    tasks_leave(tasks, chain);
    if (left && over && !give_way)
        start_successor(tasks, runner);
    return more;
}

static void *run(void *arg)
{
    struct runner *runner = arg;
    struct tasks *tasks = runner->member.tasks;
    void *value = NULL;

    while (next_item(tasks, runner, value)) {
        errno = 0;
        value = tasks->function(runner->argument);
        if (UNLIKELY(left_behind(worker_self->current, runner)))
            return value;
    }
    return NULL;
}

/* The item that a runner ends with: the one it has, or the one it would have had if it
 * had been started. Inside the section. */
static struct waiter *finish_last(
    struct tasks *tasks, struct runner *runner, const struct grove *g)
{
    int error = g->error;

    if (!runner->started) {
        tasks->unstarted--;
        if (any_left(tasks))
            runner->item = tasks->next++;
        if (error == 0)
            error = ECANCELED;
    }
    if (runner->item == NO_ITEM)
        return NULL;
    return tasks->finish(tasks, runner->item, error ? NULL : g->value, error);
}

/* In the hub. The group first: who finds all items ended may free it, and a slot that
 * the feeder waits for may be this one's. */
static void runner_ended(struct grove *g, struct member *member)
{
    struct runner *runner = (struct runner *)member;
    struct tasks *tasks = member->tasks;

    tasks_enter(tasks);
    struct waiter *chain = finish_last(tasks, runner, g);
    bool sated = tasks->next == tasks->n;
    tasks_leave(tasks, chain);
    group_leave(member, !runner->replaced, sated ? &tasks->feed : NULL);
    tasks_enter(tasks);
    tasks->runners--;
    tasks_leave(tasks, NULL);
    free(runner);
    greenlet_release(g);
}

/* With a slot of the caller's, which is the caller's still when it fails. */
static int start_runner(struct tasks *tasks)
{
    struct runner *runner = member_new(sizeof *runner, runner_ended);

    if (!runner)
        return ENOMEM;
    runner->item = NO_ITEM;
    runner->member.tasks = tasks;
    tasks_enter(tasks);
    tasks->runners++;
    tasks->unstarted++;
    tasks_leave(tasks, NULL);
    int error = group_begin(tasks->group, &runner->member, tasks->affinity, run, runner,
        (void *)tasks->function, NULL);
    if (!error)
        return 0;
    free(runner);
    tasks_enter(tasks);
    tasks->runners--;
    tasks->unstarted--;
    tasks_leave(tasks, NULL);
    return error;
}

void tasks_fail_rest(struct tasks *tasks, int error)
{
    bool more;

    /* One at a time: there may be millions, and a section is short. */
    do {
        struct waiter *chain = NULL;
        tasks_enter(tasks);
        more = tasks->next < tasks->n;
        if (more)
            chain = tasks->finish(tasks, tasks->next++, NULL, error);
        tasks_leave(tasks, chain);
    } while (more);
}

/* Its list is none of the program's objects. */
static const struct wait_reason reason = {
    .text = "the rest of a loop", .list_offset = -1};

/* Waits until a further runner is needed, or no item is left. */
static int wait_for_need(struct tasks *tasks, bool *needed)
{
    struct waiter self;

    for (;;) {
        int error = blocking_begin(GROVE_FOREVER);
        if (error)
            return error;
        if (killed(tasks))
            tasks_fail_rest(tasks, ECANCELED);
        tasks_enter(tasks);
        *needed = needs_runner(tasks);
        if (*needed || tasks->next == tasks->n) {
            section_leave(&tasks->feeder.section);
            return 0;
        }
        (void)waiter_init(&self);
        self.reason = &reason;
        error = waiter_block(&tasks->feeder, &self, GROVE_FOREVER);
        if (error)
            return error;
    }
}

static int feed(struct tasks *tasks)
{
    bool needed;
    int error;

    while ((error = wait_for_need(tasks, &needed)) == 0 && needed) {
        error = group_take_slot(tasks->group, GROVE_FOREVER, &tasks->feed);
        if (error == SLOT_UNNEEDED)
            continue;
        if (error)
            break;
        bool too_late = killed(tasks);
        if (!too_late)
            error = start_runner(tasks);
        if (too_late || error)
            group_give_slot(tasks->group);
        if (error)
            break;
    }
    return error;
}

/* Waits for the last runner: true, or false when the wait was interrupted or has to be
 * begun anew. */
static bool wait_for_runners(struct tasks *tasks, int *error)
{
    struct waiter self;

    /* Once interrupted, it only waits: what the runners use is the caller's. */
    if (*error == 0 && (*error = blocking_begin(GROVE_FOREVER)))
        return false;
    tasks_enter(tasks);
    if (tasks->runners == 0) {
        section_leave(&tasks->feeder.section);
        return true;
    }
    (void)waiter_init(&self);
    self.reason = &reason;
    int cut_short = waiter_block(&tasks->feeder, &self, GROVE_FOREVER);
    if (*error == 0)
        *error = cut_short;
    return false;
}

static void give_up(struct tasks *tasks, int error)
{
    tasks_fail_rest(tasks, error);
    if (error != ENOMEM)
        group_kill_members(tasks->group, tasks);
}

int tasks_run(struct tasks *tasks)
{
    bool given_up = false;

    if (tasks->affinity != GROVE_LOCAL && worker_count > 1)
        tasks->target = (size_t)worker_count;
    int error = feed(tasks);
    do {
        if (error && !given_up)
            give_up(tasks, error);
        given_up = error != 0;
    } while (!wait_for_runners(tasks, &error));
    return error;
}
