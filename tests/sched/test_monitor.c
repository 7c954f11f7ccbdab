/* SPDX-License-Identifier: MIT */
/* Greenlets that keep their worker for too long are reported. */
#define _GNU_SOURCE
#include "tests/sched/runtimes.h"

#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include <grove/event.h>

#include "sched/sanitize.h"
#include "sched/spawn.h"
#include "tests/sched/capture.h"

/* Without a call of the library: this thread's main greenlet goes on running. */
static void until_said(const char *what, int times)
{
    while (times_said(what) < times)
        usleep(1000);
}

static void with_monitor(int workers, double seconds, void (*test)(void))
{
    grove_config_t config = {.workers = workers, .max_blocking_time = seconds};

    capture();
    if (CHECK_EQUAL(grove_init(&config), 0)) {
        test();
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
    }
    release();
}

#define MONITORED(name, workers, seconds) \
    static void name##_test(void) \
    { \
        with_monitor(workers, seconds, name); \
    }

/* A greenlet that blocks its worker natively until something comes through the pipe. */
struct blocker {
    int pipe[2];
    int turns;
    const char *name;
    bool deaf;
    grove_t *greenlet;
};

/* ThreadSanitizer keeps signals back during some calls that block, read among them. */
static void await_byte(struct blocker *blocker)
{
    struct pollfd ready = {.fd = blocker->pipe[0], .events = POLLIN};
    char byte;

    while (SANITIZE_THREAD && poll(&ready, 1, -1) != 1)
        ;
    CHECK_EQUAL(read(blocker->pipe[0], &byte, 1), 1); /* not EINTR */
}

static void *block(void *arg)
{
    struct blocker *blocker = arg;
    sigset_t all, mask;

    sigfillset(&all);
    for (int i = 0; i < blocker->turns; i++) {
        if (blocker->deaf)
            pthread_sigmask(SIG_BLOCK, &all, &mask);
        await_byte(blocker);
        if (blocker->deaf)
            pthread_sigmask(SIG_SETMASK, &mask, NULL);
        grove_sleep(0.0001);
    }
    return NULL;
}

static void *start_named(void *arg)
{
    struct blocker *blocker = arg;

    return grove_spawn_with(&(grove_attr_t){.name = blocker->name}, block, blocker);
}

static void start_blocker(struct blocker *blocker, int worker)
{
    CHECK_EQUAL(pipe(blocker->pipe), 0);
    blocker->greenlet = grove_await(
        must(greenlet_spawn_on(workers[worker], start_named, blocker, NULL)));
}

static void let_go_on(struct blocker *blocker)
{
    CHECK_EQUAL(write(blocker->pipe[1], "", 1), 1);
}

static void end_blocker(struct blocker *blocker)
{
    let_go_on(blocker);
    grove_await(blocker->greenlet);
    close(blocker->pipe[0]);
    close(blocker->pipe[1]);
}

static void names_and_backtrace(void)
{
    struct blocker blocker = {.turns = 1, .name = "slow-coach"};
    char line[128];

    start_blocker(&blocker, 1);
    until_said("slow-coach", 1);
    snprintf(line, sizeof line,
        "grove: greenlet slow-coach (id %llu) has kept worker 1 ",
        (unsigned long long)grove_id(blocker.greenlet));
    CHECK(strstr(said(), line) == text);
    CHECK(strstr(text, " s without a switch\n") != NULL);
    /* The interrupted function first, and not the handler. */
    const char *frames = strchr(text, '\n') + 1;
    CHECK(strncmp(frames, "  ", 2) == 0);
    CHECK(strstr(frames, "test_monitor") != NULL);
    if (!SANITIZE_SWITCHES) {
        const char *function = strstr(frames, "read+0x");
        CHECK(function != NULL && function < strchr(frames, '\n'));
    }
    end_blocker(&blocker);
}
MONITORED(names_and_backtrace, 2, 0.03)

static void unnamed(void)
{
    struct blocker blocker = {.turns = 1};
    char line[128];

    start_blocker(&blocker, 1);
    snprintf(line, sizeof line, "greenlet %s (id %llu)", grove_name(blocker.greenlet),
        (unsigned long long)grove_id(blocker.greenlet));
    until_said(line, 1);
    end_blocker(&blocker);
}
MONITORED(unnamed, 2, 0.03)

/* Once for each stretch: when a second blocker was reported, another whole stretch of
 * the first has passed. */
static void once_a_stretch(void)
{
    struct blocker first = {.turns = 2, .name = "first"};
    struct blocker second = {.turns = 1, .name = "second"};

    start_blocker(&first, 1);
    until_said("greenlet first ", 1);
    start_blocker(&second, 2);
    until_said("greenlet second ", 1);
    CHECK_EQUAL(times_said("greenlet first "), 1);
    let_go_on(&first);
    until_said("greenlet first ", 2);
    end_blocker(&second);
    end_blocker(&first);
}
MONITORED(once_a_stretch, 3, 0.03)

static void thread_that_blocks_signals(void)
{
    struct blocker deaf = {.turns = 1, .name = "deaf", .deaf = true};
    struct blocker other = {.turns = 1, .name = "other"};
    char line[64];

    start_blocker(&deaf, 1);
    snprintf(line, sizeof line, "greenlet with id %llu has kept worker 1",
        (unsigned long long)grove_id(deaf.greenlet));
    until_said(line, 1);
    CHECK(strstr(text, "no backtrace") != NULL);
    CHECK(strstr(text, "syscall ") != NULL);
    /* Its late answer isn't taken for that of another. */
    start_blocker(&other, 2);
    end_blocker(&deaf);
    until_said("greenlet other ", 1);
    CHECK_EQUAL(times_said("greenlet deaf"), 0);
    end_blocker(&other);
}
MONITORED(thread_that_blocks_signals, 3, 0.03)

/* It may compute as long as it likes: it isn't reported though it runs as long as
 * somebody who is. */
static void main_greenlet(void)
{
    struct blocker blocker = {.turns = 1, .name = "reported"};

    start_blocker(&blocker, 1);
    until_said("reported", 1);
    CHECK_EQUAL(times_said("worker 0"), 0);
    end_blocker(&blocker);
}
MONITORED(main_greenlet, 2, 0.03)

static _Atomic(int) enough;

static void *yield_alone(void *arg)
{
    while (!atomic_load_explicit(&enough, memory_order_acquire))
        grove_yield();
    return arg;
}

static void *sleep_alone(void *arg)
{
    while (!atomic_load_explicit(&enough, memory_order_acquire))
        grove_sleep(0.001);
    return arg;
}

/* One greenlet alone doesn't switch when it yields or waits, but keeps nobody waiting.
 */
static void lone_greenlets(void)
{
    struct blocker blocker = {.turns = 1, .name = "reported"};

    enough = 0;
    grove_t *yields = must(greenlet_spawn_on(workers[1], yield_alone, NULL, NULL));
    grove_t *sleeps = must(greenlet_spawn_on(workers[2], sleep_alone, NULL, NULL));
    start_blocker(&blocker, 3);
    until_said("reported", 1);
    CHECK_EQUAL(times_said("without a switch"), 1);
    raise_flag(&enough);
    grove_await(yields);
    grove_await(sleeps);
    end_blocker(&blocker);
}
MONITORED(lone_greenlets, 4, 1)

static _Atomic(int) unblock;

static void *do_nothing(void *arg)
{
    return arg;
}

static void blocking_link(grove_t *g, void *arg)
{
    (void)g;
    (void)arg;
    while (!atomic_load_explicit(&unblock, memory_order_acquire))
        usleep(1000);
}

static void *link_and_end(void *arg)
{
    grove_t *g = must(grove_spawn(do_nothing, NULL));

    CHECK_EQUAL(grove_link(g, blocking_link, NULL), 0);
    grove_await(g);
    return arg;
}

static void hub_callback(void)
{
    unblock = 0;
    grove_t *g = must(greenlet_spawn_on(workers[1], link_and_end, NULL, NULL));
    until_said("grove: a hub callback has kept worker 1 ", 1);
    raise_flag(&unblock);
    grove_await(g);
}
MONITORED(hub_callback, 2, 0.03)

static int threads(void)
{
    int entries = 0;
    DIR *dir = opendir("/proc/self/task");

    while (readdir(dir))
        entries++;
    closedir(dir);
    return entries;
}

static void a_thread_only_when_wanted(void)
{
    int before = threads();

    for (int round = 0; round < 3; round++) {
        grove_config_t config = {.workers = 2,
            .max_blocking_time = round == 0 ? 0 : 1,
            .report = round == 1 ? GROVE_REPORT_OFF : GROVE_REPORT_ON};
        CHECK_EQUAL(grove_init(&config), 0);
        CHECK_EQUAL(threads(), before + (round == 2 ? 2 : 1));
        CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
        /* The kernel may list a thread for a moment after it was joined. */
        while (threads() > before)
            sched_yield();
    }
}
BARE(a_thread_only_when_wanted)

/* The monitor is nobody who could wake a greenlet. In a child, as the harness has a
 * thread of its own. */
static void deadlocks_are_still_found(void)
{
    grove_event_t event = GROVE_EVENT_INIT;
    int status;

    /* ThreadSanitizer has a thread of its own, too. */
    if (SANITIZE_THREAD)
        return;
    pid_t child = fork();
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        alarm(20);
        grove_init(&(grove_config_t){.workers = 2, .max_blocking_time = 0.05});
        _exit(grove_event_wait(&event, GROVE_FOREVER) == -1 && errno == EDEADLK &&
                      grove_shutdown(1) == 0
                  ? 0
                  : 1);
    }
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
}
BARE(deadlocks_are_still_found)

static void not_mine(int number)
{
    (void)number;
}

/* A program that uses the signal itself keeps it. */
static void signal_in_use(void)
{
    struct sigaction action = {.sa_handler = not_mine}, now;

    sigaction(SIGRTMAX - 2, &action, NULL);
    CHECK_EQUAL(grove_init(&(grove_config_t){.workers = 1, .max_blocking_time = 1}), 0);
    sigaction(SIGRTMAX - 2, NULL, &now);
    CHECK(now.sa_handler == not_mine);
    CHECK_EQUAL(grove_shutdown(GROVE_FOREVER), 0);
}
APART(signal_in_use, "a signal in use")

int main(void)
{
    static const struct harness_test tests[] = {
        TEST("a signal in use", signal_in_use),
        TEST("a thread only when wanted", a_thread_only_when_wanted),
        TEST("deadlocks are still found", deadlocks_are_still_found),
        TEST("name, number, worker and backtrace", names_and_backtrace),
        TEST("a greenlet without a name", unnamed),
        TEST("once a stretch", once_a_stretch),
        TEST("a thread that blocks signals", thread_that_blocks_signals),
        TEST("main greenlets may compute", main_greenlet),
        TEST("lone greenlets that yield or sleep", lone_greenlets),
        TEST("a hub callback", hub_callback),
    };
    return harness_main("monitor", tests, sizeof tests / sizeof *tests);
}
