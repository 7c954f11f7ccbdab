/* SPDX-License-Identifier: MIT */
/* Ends other than a return: exit and fail; what is run at every end. */
#define _GNU_SOURCE
#include "tests/sched/runtimes.h"

#include <signal.h>
#include <sys/mman.h>

#include "sched/activation.h"
#include "sched/greenlet.h"
#include "sched/locals.h"
#include "sched/worker.h"

/* Calls leave(arg), which doesn't return, from deep down. */
static __attribute__((noinline)) void descend(
    int depth, void (*leave)(void *arg), void *arg)
{
    volatile char room[100];

    room[0] = (char)depth;
    if (depth > 0)
        descend(depth - 1, leave, arg);
    else
        leave(arg);
    room[1] = room[0]; /* not a tail call */
}

static void leave_by_exit(void *arg)
{
    grove_exit(arg);
}

static void leave_by_failure(void *arg)
{
    (void)arg;
    grove_fail(EDOM, "%s %d", "answer is not", 42);
}

static void *exit_deep(void *arg)
{
    grove_yield();
    descend(20, leave_by_exit, arg);
    return NULL;
}

static void exit_from_any_depth(void)
{
    int mark;

    CHECK(grove_await(must(grove_spawn(exit_deep, &mark))) == &mark);
    CHECK(grove_await(must(grove_go(exit_deep, &mark))) == &mark);
    grove_t *g = must(grove_spawn(exit_deep, NULL));
    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    CHECK(grove_successful(g));
    grove_release(g);
}
EVERYWHERE(exit_from_any_depth)

static void *fail_deep(void *arg)
{
    grove_yield();
    descend(20, leave_by_failure, NULL);
    return arg;
}

static void fail_from_any_depth(void)
{
    int mark;
    grove_t *g = must(grove_spawn(fail_deep, &mark));

    CHECK_EQUAL(grove_join(g, GROVE_FOREVER), 0);
    CHECK(!grove_successful(g));
    CHECK_EQUAL(grove_error(g), EDOM);
    CHECK_STRING(grove_error_text(g), "answer is not 42");
    errno = 0;
    CHECK(grove_await(g) == NULL);
    CHECK_EQUAL(errno, EDOM);
}
EVERYWHERE(fail_from_any_depth)

static void *fail_with(void *arg)
{
    grove_fail((int)(intptr_t)arg, arg ? NULL : "%s", "");
}

static void odd_failures(void)
{
    grove_t *none = must(grove_spawn(fail_with, NULL));
    grove_t *no_text = must(grove_spawn(fail_with, (void *)ENOENT));

    grove_join(none, GROVE_FOREVER);
    grove_join(no_text, GROVE_FOREVER);
    CHECK_EQUAL(grove_error(none), EINVAL); /* an end by failure has an error */
    CHECK_EQUAL(grove_error(no_text), ENOENT);
    CHECK_STRING(grove_error_text(no_text), "");
    grove_release(none);
    grove_release(no_text);
}
EVERYWHERE(odd_failures)

/* What run() writes to stderr. */
static char output[8192];

static void capture(void (*run)(void))
{
    int file = memfd_create("stderr", 0), saved = dup(2);

    dup2(file, 2);
    run();
    dup2(saved, 2);
    ssize_t length = pread(file, output, sizeof output - 1, 0);
    output[length > 0 ? length : 0] = '\0';
    close(saved);
    close(file);
}

static void fail_named(void)
{
    grove_attr_t attr = {.name = "night watch"};

    CHECK(grove_await(must(grove_spawn_with(&attr, fail_deep, NULL))) == NULL);
}

/* greenlet NAME failed with ERROR: TEXT, and a backtrace. The process goes on. */
static void the_report(void)
{
    grove_config_t config = {.workers = 2, .report = GROVE_REPORT_ON};
    static const char first[] =
        "greenlet night watch failed with EDOM: answer is not 42\n";

    CHECK_EQUAL(grove_init(&config), 0);
    capture(fail_named);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    CHECK(strncmp(output, first, sizeof first - 1) == 0);
    /* A frame for each level it failed from, at least, each indented. */
    int frames = 0;
    for (const char *line = strchr(output, '\n'); line && line[1];
         line = strchr(line + 1, '\n'))
        frames += line[1] == ' ';
    CHECK(frames >= 21);
}
BARE(the_report)

static void no_report_when_off(void)
{
    capture(fail_named);
    CHECK_STRING(output, "");
}
EVERYWHERE(no_report_when_off)

static int trace[32], traced;

static void note(void *arg)
{
    trace[traced++] = (int)(intptr_t)arg;
}

static void expect_trace(const int *expected, int n)
{
    if (CHECK_EQUAL(traced, n))
        for (int i = 0; i < n; i++)
            CHECK_EQUAL(trace[i], expected[i]);
    traced = 0;
}

enum ending { RETURN, EXIT, FAIL, KILLED };

static void *end_with_defers(void *arg)
{
    for (intptr_t i = 1; i <= 3; i++)
        CHECK_EQUAL(grove_defer(note, (void *)i), 0);
    switch ((enum ending)(intptr_t)arg) {
    case RETURN:
        break;
    case EXIT:
        descend(5, leave_by_exit, NULL);
        break;
    case FAIL:
        descend(5, leave_by_failure, NULL);
        break;
    case KILLED:
        CHECK_ERROR(grove_sleep(1e6), ECANCELED);
    }
    CHECK_EQUAL(traced, 0);
    return NULL;
}

static void defers_run_last_first_at_every_end(void)
{
    for (intptr_t how = RETURN; how <= KILLED; how++) {
        traced = 0;
        grove_t *g = must(grove_spawn(end_with_defers, (void *)how));
        grove_yield();
        if (how == KILLED)
            grove_kill(g, 0);
        grove_join(g, GROVE_FOREVER);
        expect_trace((int[]){3, 2, 1}, 3);
        CHECK_EQUAL(grove_successful(g), how != FAIL);
        grove_release(g);
    }
}
EVERYWHERE(defers_run_last_first_at_every_end)

static void blocking_defer(void *arg)
{
    note(arg);
    CHECK_EQUAL(grove_sleep(0.0001), 0);
    grove_await(must(grove_go(exit_deep, NULL)));
    note((void *)((intptr_t)arg + 10));
}

static void defer_more(void *arg)
{
    note(arg);
    CHECK_EQUAL(grove_defer(note, (void *)((intptr_t)arg + 1)), 0);
}

static void *end_with_busy_defers(void *arg)
{
    grove_defer(blocking_defer, (void *)1);
    grove_defer(defer_more, (void *)2);
    return arg;
}

static void a_defer_may_block_and_defer(void)
{
    int mark;

    traced = 0;
    CHECK(grove_await(must(grove_spawn(end_with_busy_defers, &mark))) == &mark);
    expect_trace((int[]){2, 3, 1, 11}, 4);
}
EVERYWHERE(a_defer_may_block_and_defer)

static void see_kill(void *arg)
{
    CHECK_ERROR(grove_sleep(1), ECANCELED);
    CHECK_EQUAL(grove_kill_clear(), ECANCELED);
    CHECK_EQUAL(grove_sleep(0.0001), 0);
    note(arg);
}

static void *killed_with_a_defer(void *arg)
{
    grove_defer(see_kill, (void *)1);
    grove_sleep(1e6);
    return arg;
}

static void a_defer_of_a_killed_one_sees_the_kill(void)
{
    grove_t *g = must(grove_spawn(killed_with_a_defer, NULL));

    traced = 0;
    grove_yield();
    CHECK_EQUAL(grove_kill(g, GROVE_FOREVER), 0);
    expect_trace((int[]){1}, 1);
    grove_release(g);
}
EVERYWHERE(a_defer_of_a_killed_one_sees_the_kill)

static void *defer_nothing(void *arg)
{
    CHECK_ERROR(grove_defer(NULL, NULL), EINVAL);
    return arg;
}

static void defer_in_thread(void *arg)
{
    CHECK_ERROR(grove_defer(note, arg), EPERM);
}

static void only_greenlets_defer(void)
{
    grove_await(must(grove_spawn(defer_nothing, NULL)));
    CHECK_ERROR(grove_defer(note, NULL), EPERM);
    in_thread(defer_in_thread, NULL);
}
EVERYWHERE(only_greenlets_defer)

static void end_of_locals(void **locals)
{
    void *ended = *locals;

    *locals = NULL;
    note(ended);
    if (ended == (void *)5) /* once more, as a destructor that sets another */
        worker_self->current->activation->locals = (void *)6;
    grove_yield();
}

static void *with_locals(void *arg)
{
    worker_self->current->activation->locals = arg;
    grove_defer(note, (void *)1);
    return NULL;
}

static void locals_end_after_the_defers(void)
{
    void (*before)(void **) = locals_end;

    locals_end = end_of_locals;
    traced = 0;
    grove_await(must(grove_spawn(with_locals, (void *)5)));
    expect_trace((int[]){1, 5, 6}, 3);
    locals_end = before;
}
ALONE(locals_end_after_the_defers)

static void *spin(void *arg)
{
    for (;;)
        grove_yield();
    return arg;
}

static void *doze(void *arg)
{
    for (;;)
        grove_sleep(0.0001);
    return arg;
}

static void exit_with_greenlets(void)
{
    for (int i = 0; i < 10; i++) {
        must(grove_go(spin, NULL));
        must(grove_spawn(doze, NULL));
        must(grove_go(doze, NULL));
    }
    grove_sleep(0.002);
    exit(0);
}

APART(exit_with_greenlets, "a program may end with greenlets running")

static void *exit_program(void *arg)
{
    exit(arg != NULL);
}

static void exit_in_greenlet(void)
{
    must(grove_go(doze, NULL));
    grove_await(must(grove_spawn(exit_program, NULL)));
}

APART(exit_in_greenlet, "a greenlet may end the program")

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a program may end with greenlets running", exit_with_greenlets),
        TEST("a greenlet may end the program", exit_in_greenlet),
        TEST("exit from any depth", exit_from_any_depth),
        TEST("fail from any depth", fail_from_any_depth),
        TEST("odd failures", odd_failures),
        TEST("the report", the_report),
        TEST("no report when off", no_report_when_off),
        TEST("defers run last first at every end", defers_run_last_first_at_every_end),
        TEST("a defer may block and defer", a_defer_may_block_and_defer),
        TEST("a defer of a killed one sees the kill",
            a_defer_of_a_killed_one_sees_the_kill),
        TEST("only greenlets defer", only_greenlets_defer),
        TEST("locals end after the defers", locals_end_after_the_defers),
    };
    return harness_main("end", tests, sizeof tests / sizeof *tests);
}
