/* SPDX-License-Identifier: MIT */
/* Ends other than a return: exit, fail; and the cleanup that all ends share. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/defer.h"
#include "sched/extra.h"
#include "sched/finish.h"
#include "sched/locals.h"
#include "sched/report.h"
#include "sched/scheduler.h"
#include "sched/timeouts.h"

void (*locals_end)(void **locals);
int (*locals_inherit)(void **locals);

void greenlet_clean_up(struct grove *greenlet)
{
    struct activation *activation = greenlet->activation;

    /* A defer may give further ones, and set locals. */
    while (activation->defers || activation->locals) {
        struct defer *defer = activation->defers;
        if (defer) {
            activation->defers = defer->next;
            void (*function)(void *) = defer->function;
            void *arg = defer->arg;
            if (!defer->borrowed)
                free(defer);
            function(arg);
            continue;
        }
        locals_end(&activation->locals);
    }
    timeouts_stop_all(greenlet);
}

static void push(struct defer *defer)
{
    struct activation *activation = worker_self->current->activation;

    defer->next = activation->defers;
    activation->defers = defer;
}

void defer_push(struct defer *defer, void (*function)(void *arg), void *arg)
{
    *defer = (struct defer){.function = function, .arg = arg, .borrowed = true};
    push(defer);
}

void defer_remove(struct defer *defer)
{
    struct defer **link = &worker_self->current->activation->defers;

    while (*link != defer)
        link = &(*link)->next;
    *link = defer->next;
}

int grove_defer(void (*fn)(void *arg), void *arg)
{
    struct worker *worker = worker_self;

    if (!fn) {
        errno = EINVAL;
        return -1;
    }
    if (!worker || !worker->current || worker->current == worker->main) {
        errno = EPERM;
        return -1;
    }
    struct defer *defer = malloc(sizeof *defer);
    if (!defer)
        return -1;
    *defer = (struct defer){.function = fn, .arg = arg};
    push(defer);
    return 0;
}

/* NULL on a plain thread and on a main greenlet. */
static struct grove *current_greenlet(const char *call)
{
    struct worker *worker = worker_self;

    if (worker && !worker->current) {
        /* There is no greenlet to end, and no way on without returning. */
        report_misuse(call, "called in a hub callback, where no greenlet runs");
        abort();
    }
    return worker && worker->current != worker->main ? worker->current : NULL;
}

void grove_exit(void *value)
{
    if (!current_greenlet("grove_exit"))
        pthread_exit(value);
    greenlet_finish(value);
}

/* Without memory for the text the greenlet fails all the same, with none. */
static void keep_text(struct grove *greenlet, const char *text)
{
    struct extra *extra = extra_demand(greenlet);

    if (extra) {
        free(extra->error_text);
        extra->error_text = strdup(text);
    }
}

void grove_fail(int error, const char *format, ...)
{
    struct grove *greenlet = current_greenlet("grove_fail");
    char text[512];
    va_list arguments;

    if (error <= 0)
        error = EINVAL;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format ? format : "", arguments) < 0)
        text[0] = '\0';
    va_end(arguments);
    report_failure(greenlet, error, text);
    if (!greenlet)
        pthread_exit(NULL);
    stats_add(worker_self->stats, failures, 1);
    keep_text(greenlet, text);
    greenlet->error = error;
    greenlet_finish(NULL);
}
