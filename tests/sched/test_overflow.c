/* SPDX-License-Identifier: MIT */
/* Each test lets a child process fault and looks at what it wrote and how it died. */
#include "sched/overflow.h"

#include "sched/sanitize.h"
#include "sched/stack.h"
#include "sched/switch.h"
#include "tests/harness.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_BY_HANDLER 42
#define SURVIVED 0

/* A child. */

static struct stack_cache cache;
static struct stack *current;
static void (*body_on_stack)(void);

struct outcome {
    int status;
    char text[16384];
};

static void prepare_child(int to)
{
    static const struct rlimit no_core;

    dup2(to, STDERR_FILENO);
    setrlimit(RLIMIT_CORE, &no_core);
    /* Sanitizers have handlers of their own, which would turn the death to an exit. */
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    stack_init(STACK_SIZE_DEFAULT, STACK_SIZE_DEFAULT);
    stack_cache_init(&cache);
}

static struct outcome run_child(void (*body)(void))
{
    struct outcome outcome = {.status = -1};
    size_t length = 0;
    ssize_t got;
    int ends[2];
    pid_t child;

    if (!CHECK_EQUAL(pipe(ends), 0))
        return outcome;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        prepare_child(ends[1]);
        body();
        _exit(SURVIVED);
    }
    close(ends[1]);
    while ((got = read(
                ends[0], outcome.text + length, sizeof outcome.text - 1 - length)) > 0)
        length += (size_t)got;
    close(ends[0]);
    CHECK_EQUAL(waitpid(child, &outcome.status, 0), child);
    return outcome;
}

static void enter(void)
{
    body_on_stack();
    _exit(SURVIVED);
}

static void run_on(struct stack *stack, void (*body)(void))
{
    void *left;

    current = stack;
    body_on_stack = body;
    switch_enter(&left, stack_top(stack), enter);
}

static const char *name_of(void *owner, uint64_t *id)
{
    *id = 4711;
    return owner;
}

static const struct stack *running(void)
{
    return current;
}

static void install(void)
{
    static const struct overflow_hooks hooks = {.name = name_of};

    if (overflow_install(&hooks) != 0 || overflow_thread_enter() != 0)
        _exit(1);
}

static struct stack *named_stack(size_t size)
{
    struct stack *stack = stack_acquire_sized(&cache, size);

    stack->owner = "resolver";
    return stack;
}

static bool killed_by(const struct outcome *outcome, int number)
{
    return CHECK(WIFSIGNALED(outcome->status)) &&
           CHECK_EQUAL(WTERMSIG(outcome->status), number);
}

/* Ways to fault. */

static volatile int depth_limit = 1 << 30;

__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[64];

    frame[0] = (char)depth;
    return depth < depth_limit ? recurse(depth + 1) + frame[0] : 0;
}

__attribute__((noinline)) static int ping(int depth);

__attribute__((noinline)) static int pong(int depth)
{
    volatile char frame[100];

    frame[0] = (char)depth;
    return depth < depth_limit ? ping(depth + 1) + frame[0] : 0;
}

__attribute__((noinline)) static int ping(int depth)
{
    volatile char frame[64];

    frame[0] = (char)depth;
    return depth < depth_limit ? pong(depth + 1) + frame[0] : 0;
}

/* What -fstack-clash-protection makes of a large frame: one touch a page, downwards. */
__attribute__((noinline)) static void grow_by_pages(void)
{
    for (int i = 0; i < depth_limit; i++) {
        volatile char *page = __builtin_alloca(4096);

        page[0] = 1;
    }
}

/* Its stack pointer is far below the guard when it touches it. */
__attribute__((noinline)) static int jump(int depth)
{
    volatile char frame[3 * 4096];

    for (size_t i = sizeof frame; i-- > 0;)
        frame[i] = 1;
    return depth < depth_limit ? jump(depth + 1) + frame[0] : 0;
}

static void run_recurse(void)
{
    recurse(0);
}

static void run_ping(void)
{
    ping(0);
}

static void run_jump(void)
{
    jump(0);
}

static void touch_page_zero(void)
{
    volatile char *volatile nothing = (char *)64;

    *nothing = 1;
}

static void touch_foreign_guard(void)
{
    struct stack *other = stack_acquire(&cache);

    ((volatile char *)other->limit)[-1] = 1;
}

/* Reports. */

static void overflow_by_recursion(void)
{
    install();
    run_on(named_stack(STACK_SIZE_DEFAULT), run_recurse);
}

static void overflow_is_reported(void)
{
    static const char expected[] =
        "grove: stack overflow in greenlet resolver (id 4711): 262144 bytes of stack "
        "used up; raise GROVE_STACK_SIZE or attr.stack_size\n";
    struct outcome outcome = run_child(overflow_by_recursion);

    killed_by(&outcome, SIGSEGV);
    outcome.text[sizeof expected - 1] = '\0'; /* the backtrace follows */
    CHECK_STRING(outcome.text, expected);
}

static void backtrace_is_folded(void)
{
    struct outcome outcome = run_child(overflow_by_recursion);
    size_t frames = 0;

    CHECK(strstr(outcome.text, "the same again") != NULL);
    for (const char *at = outcome.text; (at = strstr(at, "[0x")) != NULL; at++)
        frames++;
    CHECK(frames >= 1 && frames <= 8);
}

static void overflow_by_two_functions(void)
{
    install();
    run_on(named_stack(STACK_SIZE_DEFAULT), run_ping);
}

static void ring_of_calls_is_folded(void)
{
    struct outcome outcome = run_child(overflow_by_two_functions);

    killed_by(&outcome, SIGSEGV);
    CHECK(strstr(outcome.text, "the same again") != NULL);
}

static void overflow_by_pages(void)
{
    install();
    run_on(named_stack(STACK_SIZE_DEFAULT), grow_by_pages);
}

static void large_frame_with_probes_is_reported(void)
{
    struct outcome outcome = run_child(overflow_by_pages);

    killed_by(&outcome, SIGSEGV);
    CHECK(strstr(outcome.text, "grove: stack overflow in greenlet resolver") != NULL);
}

static void overflow_by_jump(void)
{
    static const struct overflow_hooks hooks = {.name = name_of, .running = running};

    if (overflow_install(&hooks) != 0 || overflow_thread_enter() != 0)
        _exit(1);
    run_on(named_stack(STACK_SIZE_DEFAULT), run_jump);
}

static void frame_past_the_guard_is_reported(void)
{
    struct outcome outcome = run_child(overflow_by_jump);

    killed_by(&outcome, SIGSEGV);
    CHECK(strstr(outcome.text, "grove: stack overflow in greenlet resolver") != NULL);
}

static void overflow_of_sized(void)
{
    install();
    run_on(named_stack(64 << 10), run_recurse);
}

static void report_tells_the_size_asked_for(void)
{
    struct outcome outcome = run_child(overflow_of_sized);

    killed_by(&outcome, SIGSEGV);
    CHECK(strstr(outcome.text, ": 65536 bytes of stack used up") != NULL);
}

static void overflow_without_hooks(void)
{
    if (overflow_install(NULL) != 0 || overflow_thread_enter() != 0)
        _exit(1);
    run_on(named_stack(STACK_SIZE_DEFAULT), run_recurse);
}

static void unnamed_greenlet_is_reported(void)
{
    struct outcome outcome = run_child(overflow_without_hooks);

    killed_by(&outcome, SIGSEGV);
    CHECK(strstr(outcome.text, "greenlet without a name: ") != NULL);
}

static void *overflow_in_thread(void *unused)
{
    if (overflow_thread_enter() != 0)
        _exit(1);
    run_on(named_stack(STACK_SIZE_DEFAULT), run_recurse);
    return unused;
}

static void overflow_on_thread(void)
{
    pthread_t thread;

    install();
    pthread_create(&thread, NULL, overflow_in_thread, NULL);
    pthread_join(thread, NULL);
}

static void overflow_on_any_thread_is_reported(void)
{
    if (SANITIZE_THREAD)
        return; /* it allows no threads in the child of a process with threads */
    struct outcome outcome = run_child(overflow_on_thread);

    killed_by(&outcome, SIGSEGV);
    CHECK(strstr(outcome.text, "grove: stack overflow in greenlet resolver") != NULL);
}

/* Faults of other kinds. */

static void wild_pointer(void)
{
    install();
    run_on(named_stack(STACK_SIZE_DEFAULT), touch_page_zero);
}

static void wild_pointer_is_not_reported(void)
{
    struct outcome outcome = run_child(wild_pointer);

    killed_by(&outcome, SIGSEGV);
    CHECK_STRING(outcome.text, "");
}

static void foreign_guard(void)
{
    install();
    run_on(named_stack(STACK_SIZE_DEFAULT), touch_foreign_guard);
}

static void guard_of_another_stack_is_not_reported(void)
{
    struct outcome outcome = run_child(foreign_guard);

    killed_by(&outcome, SIGSEGV);
    CHECK_STRING(outcome.text, "");
}

static void touch_protected(void)
{
    volatile char *limit = current->limit;

    mprotect(current->limit, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE);
    limit[0] = 1;
}

static void protected_part(void)
{
    install();
    run_on(named_stack(STACK_SIZE_DEFAULT), touch_protected);
}

static void fault_above_the_guard_is_not_reported(void)
{
    struct outcome outcome = run_child(protected_part);

    killed_by(&outcome, SIGSEGV);
    CHECK_STRING(outcome.text, "");
}

static void send_to_itself(void)
{
    install();
    raise(SIGSEGV);
}

static void sent_signal_kills_as_before(void)
{
    struct outcome outcome = run_child(send_to_itself);

    killed_by(&outcome, SIGSEGV);
    CHECK_STRING(outcome.text, "");
}

static void send_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    install();
    raise(SIGSEGV);
    raise(SIGSEGV);
}

static void sent_signal_is_ignored_as_before(void)
{
    struct outcome outcome = run_child(send_ignored);

    CHECK_EQUAL(outcome.status, SURVIVED);
}

/* Handlers of the application. */

static sigjmp_buf resume;
static void *volatile fault_address;
static volatile sig_atomic_t faults;

static void recover(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    faults++;
    fault_address = info->si_addr;
    siglongjmp(resume, 1);
}

static void recover_twice(void)
{
    struct sigaction action = {.sa_sigaction = recover, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &action, NULL);
    install();
    for (int i = 0; i < 2; i++)
        if (sigsetjmp(resume, 1) == 0)
            touch_page_zero();
    if (faults != 2 || fault_address != (void *)64)
        _exit(1);
}

static void previous_handler_may_recover(void)
{
    struct outcome outcome = run_child(recover_twice);

    CHECK_EQUAL(outcome.status, SURVIVED);
    CHECK_STRING(outcome.text, "");
}

static void recover_without_mask(void)
{
    struct sigaction action = {
        .sa_sigaction = recover, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigaction(SIGSEGV, &action, NULL);
    install();
    for (int i = 0; i < 2; i++)
        if (sigsetjmp(resume, 0) == 0)
            touch_page_zero();
    if (faults != 2)
        _exit(1);
}

static void previous_handler_keeps_its_flags(void)
{
    struct outcome outcome = run_child(recover_without_mask);

    CHECK_EQUAL(outcome.status, SURVIVED);
}

static void leave_process(int number)
{
    (void)number;
    _exit(EXIT_BY_HANDLER);
}

static void overflow_with_handler(void)
{
    struct sigaction action = {.sa_handler = leave_process, .sa_flags = SA_ONSTACK};

    sigaction(SIGSEGV, &action, NULL);
    overflow_by_recursion();
}

static void previous_handler_sees_the_overflow_too(void)
{
    struct outcome outcome = run_child(overflow_with_handler);

    CHECK(WIFEXITED(outcome.status));
    CHECK_EQUAL(WEXITSTATUS(outcome.status), EXIT_BY_HANDLER);
    CHECK(strstr(outcome.text, "grove: stack overflow") != NULL);
}

static void check_handler(int number, void (*handler)(int))
{
    struct sigaction now;

    if (sigaction(number, NULL, &now) != 0 || now.sa_handler != handler)
        _exit(1);
}

static void install_and_uninstall(void)
{
    signal(SIGSEGV, leave_process);
    install();
    install();
    overflow_uninstall();
    check_handler(SIGSEGV, leave_process);
    check_handler(SIGBUS, SIG_DFL);
    overflow_uninstall();
    check_handler(SIGSEGV, leave_process);
}

static void uninstall_puts_back(void)
{
    struct outcome outcome = run_child(install_and_uninstall);

    CHECK_EQUAL(outcome.status, SURVIVED);
}

static void replace_and_uninstall(void)
{
    install();
    signal(SIGSEGV, leave_process);
    overflow_uninstall();
    check_handler(SIGSEGV, leave_process);
}

static void uninstall_leaves_later_handlers(void)
{
    struct outcome outcome = run_child(replace_and_uninstall);

    CHECK_EQUAL(outcome.status, SURVIVED);
}

/* Alternate signal stacks. */

static void *enter_and_leave(void *unused)
{
    static const stack_t off = {.ss_flags = SS_DISABLE};
    stack_t before, now;

    /* Sanitizers give a thread one of their own. */
    CHECK_EQUAL(sigaltstack(&off, &before), 0);
    CHECK_EQUAL(overflow_thread_enter(), 0);
    CHECK_EQUAL(overflow_thread_enter(), 0);
    sigaltstack(NULL, &now);
    CHECK(!(now.ss_flags & SS_DISABLE));
    CHECK(now.ss_size >= (size_t)32 << 10);
    overflow_thread_leave();
    sigaltstack(NULL, &now);
    CHECK(now.ss_flags & SS_DISABLE);
    overflow_thread_leave();
    sigaltstack(&before, NULL);
    return unused;
}

static void thread_gets_and_loses_its_signal_stack(void)
{
    pthread_t thread;

    CHECK_EQUAL(pthread_create(&thread, NULL, enter_and_leave, NULL), 0);
    pthread_join(thread, NULL);
}

static void *keep_own(void *unused)
{
    static char own[64 << 10];
    stack_t now, mine = {.ss_sp = own, .ss_size = sizeof own}, before;

    CHECK_EQUAL(sigaltstack(&mine, &before), 0);
    CHECK_EQUAL(overflow_thread_enter(), 0);
    sigaltstack(NULL, &now);
    CHECK_EQUAL(now.ss_sp, own);
    overflow_thread_leave();
    sigaltstack(NULL, &now);
    CHECK_EQUAL(now.ss_sp, own);
    sigaltstack(&before, NULL);
    return unused;
}

static void signal_stack_of_the_user_is_kept(void)
{
    pthread_t thread;

    CHECK_EQUAL(pthread_create(&thread, NULL, keep_own, NULL), 0);
    pthread_join(thread, NULL);
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"an overflow is reported", overflow_is_reported},
        {"the backtrace is folded", backtrace_is_folded},
        {"a ring of calls is folded", ring_of_calls_is_folded},
        {"a large frame with probes", large_frame_with_probes_is_reported},
        {"a frame past the guard", frame_past_the_guard_is_reported},
        {"the report tells the size", report_tells_the_size_asked_for},
        {"an unnamed greenlet", unnamed_greenlet_is_reported},
        {"an overflow on any thread", overflow_on_any_thread_is_reported},
        {"a wild pointer is not reported", wild_pointer_is_not_reported},
        {"nor the guard of another stack", guard_of_another_stack_is_not_reported},
        {"nor a fault above the guard", fault_above_the_guard_is_not_reported},
        {"a sent signal kills as before", sent_signal_kills_as_before},
        {"a sent signal is ignored as before", sent_signal_is_ignored_as_before},
        {"a previous handler may recover", previous_handler_may_recover},
        {"a previous handler keeps its flags", previous_handler_keeps_its_flags},
        {"a previous handler sees the overflow",
            previous_handler_sees_the_overflow_too},
        {"uninstall puts back", uninstall_puts_back},
        {"uninstall leaves later handlers", uninstall_leaves_later_handlers},
        {"a thread gets a signal stack", thread_gets_and_loses_its_signal_stack},
        {"a user's signal stack is kept", signal_stack_of_the_user_is_kept},
    };

    return harness_main("overflow", tests, sizeof tests / sizeof *tests);
}
