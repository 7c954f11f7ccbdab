/* SPDX-License-Identifier: MIT */
/*
 * What runs in the handler is async-signal-safe but for backtrace(): it takes the
 * dynamic linker's lock, which is recursive, so that a fault inside the linker does not
 * hang. Its first call loads libgcc and allocates; overflow_install makes that one.
 *
 * Who may touch what:
 *   hooks, previous    written by overflow_install and overflow_uninstall while no
 *                      fault of a greenlet is possible, read by the handler
 *   frames             whoever set `reporting`; never cleared, the process ends
 *   alternate_stack    its thread
 */
#define _GNU_SOURCE
#include "sched/overflow.h"

#include "sched/program_counter.h"
#include "sched/stack.h"

#include <errno.h>
#include <execinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* For the unwinder and the handlers of others, above what the kernel saves there. */
#define ALTERNATE_ROOM ((size_t)64 << 10)

#define FRAMES_COLLECTED 128
#define LINES_PRINTED 32
/* Functions that call each other in a ring, folded when repeated. */
#define CYCLE_MAX 4
#define NAME_MAX_PRINTED 128

static struct overflow_hooks hooks;
static bool installed;
static struct sigaction previous[2];
static atomic_flag reporting = ATOMIC_FLAG_INIT;
static void *frames[FRAMES_COLLECTED];
static _Thread_local void *alternate_stack;

static struct sigaction *previous_of(int number)
{
    return &previous[number == SIGBUS];
}

/* Text. */

struct line {
    size_t length;
    char text[512];
};

static void add_text(struct line *line, const char *text)
{
    size_t room = sizeof line->text - line->length;
    size_t most = room < NAME_MAX_PRINTED ? room : NAME_MAX_PRINTED;
    size_t length = strlen(text);

    if (length > most)
        length = most;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void add_number(struct line *line, uint64_t number)
{
    char digits[21];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    add_text(line, &digits[at]);
}

static void print(struct line *line)
{
    ssize_t ignored = write(STDERR_FILENO, line->text, line->length);

    (void)ignored; /* nowhere to tell it */
    line->length = 0;
}

/* The fault. */

static uintptr_t stack_pointer(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.sp;
#else
#error "where does the signal context of this machine keep the stack pointer?"
#endif
}

/* The stack that this fault says is used up, or NULL: a fault of another kind. */
static const struct stack *overflown(const siginfo_t *info, const ucontext_t *context)
{
    const struct stack *running;

    if (info->si_code <= 0) /* sent by a process, not a fault */
        return NULL;
    running = hooks.running != NULL
                  ? hooks.running()
                  : stack_of_address((const void *)stack_pointer(context));
    if (running == NULL || stack_of_address(info->si_addr) != running ||
        (uintptr_t)info->si_addr >= (uintptr_t)running->limit)
        return NULL;
    return running;
}

static void print_headline(const struct stack *stack)
{
    struct line line = {0};
    const char *name = NULL;
    uint64_t id = 0;

    if (hooks.name != NULL && stack->owner != NULL)
        name = hooks.name(stack->owner, &id);
    add_text(&line, "grove: stack overflow in greenlet ");
    add_text(&line, name != NULL ? name : "without a name");
    if (id != 0) {
        add_text(&line, " (id ");
        add_number(&line, id);
        add_text(&line, ")");
    }
    add_text(&line, ": ");
    add_number(&line, stack_reserved(stack));
    add_text(&line, " bytes of stack used up; raise GROVE_STACK_SIZE or "
                    "attr.stack_size\n");
    print(&line);
}

/* How many times over the first `length` of these frames stand there, themselves
 * included. */
static int repeats(void *const *frame, int count, int length)
{
    int times = 1;

    while ((times + 1) * length <= count &&
           memcmp(frame, frame + times * length, (size_t)length * sizeof *frame) == 0)
        times++;
    return times;
}

/* The shortest ring of calls that starts here and goes round more than twice, or 1. */
static int cycle(void *const *frame, int count)
{
    for (int length = 1; length <= CYCLE_MAX; length++)
        if (repeats(frame, count, length) > 2)
            return length;
    return 1;
}

/* `cut`: there were more frames than these. */
static void print_frames(void *const *frame, int count, bool cut)
{
    int printed = 0;

    while (count > 0 && printed < LINES_PRINTED) {
        int length = cycle(frame, count);
        int times = repeats(frame, count, length);
        struct line line = {0};

        backtrace_symbols_fd(frame, length, STDERR_FILENO);
        if (times > 1) {
            add_text(&line, "  and the same again, ");
            add_number(&line, (uint64_t)times - 1);
            add_text(&line, cut && times * length > count - length ? " times or more\n"
                                                                   : " times\n");
            print(&line);
        }
        printed += length;
        frame += times * length;
        count -= times * length;
        /* What is left of a ring that was cut tells nothing new. */
        if (cut && count < length &&
            memcmp(frame, frame - length, (size_t)count * sizeof *frame) == 0)
            break;
    }
}

/* From the frame that faulted on: those before it are of the handler. */
static void print_backtrace(const ucontext_t *context)
{
    int count = backtrace(frames, FRAMES_COLLECTED);
    int first = program_counter_frame(context, frames, count);

    print_frames(frames + first, count - first, count == FRAMES_COLLECTED);
}

static void report(const struct stack *stack, const ucontext_t *context)
{
    if (atomic_flag_test_and_set_explicit(&reporting, memory_order_relaxed)) {
        /* Another thread is at it and will end the process; this one must not do so
         * before it has finished, nor wait for ever. */
        for (int i = 0; i < 20; i++)
            (void)poll(NULL, 0, 100);
        return;
    }
    print_headline(stack);
    print_backtrace(context);
}

/* Sees to it that the signal meets what was there before, when the handler returns. */
static void restore(int number, const siginfo_t *info)
{
    sigaction(number, previous_of(number), NULL);
    if (info->si_code <= 0)
        raise(number); /* it will not come back by itself as a fault does */
}

static void call_previous(int number, siginfo_t *info, void *context)
{
    struct sigaction action = *previous_of(number);

    if (action.sa_flags & SA_RESETHAND)
        previous_of(number)->sa_handler = SIG_DFL;
    /* The return from our own handler puts the mask back. */
    pthread_sigmask(SIG_BLOCK, &action.sa_mask, NULL);
    if (action.sa_flags & SA_NODEFER) {
        sigset_t itself;

        sigemptyset(&itself);
        sigaddset(&itself, number);
        pthread_sigmask(SIG_UNBLOCK, &itself, NULL);
    }
    if (action.sa_flags & SA_SIGINFO)
        action.sa_sigaction(number, info, context);
    else
        action.sa_handler(number);
}

static void handle(int number, siginfo_t *info, void *context)
{
    const struct stack *stack = overflown(info, context);
    void (*handler)(int) = previous_of(number)->sa_handler;
    int saved = errno;

    if (stack != NULL) {
        report(stack, context);
        restore(number, info);
    } else if (handler == SIG_DFL || (handler == SIG_IGN && info->si_code > 0)) {
        restore(number, info);
    } else if (handler != SIG_IGN) {
        call_previous(number, info, context);
    }
    errno = saved;
}

/* Set-up. */

int overflow_install(const struct overflow_hooks *given)
{
    struct sigaction action = {
        .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    void *primed[1];

    hooks = given != NULL ? *given : (struct overflow_hooks){0};
    if (installed)
        return 0;
    backtrace(primed, 1);
    sigemptyset(&action.sa_mask);
    /* First learnt, then replaced: a fault in between must find it. */
    if (sigaction(SIGSEGV, NULL, &previous[0]) != 0 ||
        sigaction(SIGBUS, NULL, &previous[1]) != 0 ||
        sigaction(SIGSEGV, &action, NULL) != 0)
        return -errno;
    if (sigaction(SIGBUS, &action, NULL) != 0) {
        int error = errno;

        sigaction(SIGSEGV, &previous[0], NULL);
        return -error;
    }
    installed = true;
    return 0;
}

static void put_back(int number)
{
    struct sigaction now;

    if (sigaction(number, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO &&
        now.sa_sigaction == handle)
        sigaction(number, previous_of(number), NULL);
}

void overflow_uninstall(void)
{
    if (!installed)
        return;
    put_back(SIGSEGV);
    put_back(SIGBUS);
    installed = false;
}

static size_t alternate_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t saved = (size_t)getauxval(AT_MINSIGSTKSZ);

    return (ALTERNATE_ROOM + saved + page - 1) & ~(page - 1);
}

int overflow_thread_enter(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = alternate_size();
    stack_t alternate;
    char *memory;
    int error;

    if (sigaltstack(NULL, &alternate) != 0)
        return -errno;
    if (alternate_stack != NULL || !(alternate.ss_flags & SS_DISABLE))
        return 0;
    memory = mmap(NULL, page + size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    alternate = (stack_t){.ss_sp = memory + page, .ss_size = size};
    if (mprotect(memory, page, PROT_NONE) != 0 || sigaltstack(&alternate, NULL) != 0) {
        error = errno;
        munmap(memory, page + size);
        return -error;
    }
    alternate_stack = memory;
    return 0;
}

void overflow_thread_leave(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    stack_t now, off = {.ss_flags = SS_DISABLE};

    if (alternate_stack == NULL)
        return;
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == (char *)alternate_stack + page)
        sigaltstack(&off, NULL);
    munmap(alternate_stack, page + alternate_size());
    alternate_stack = NULL;
}
