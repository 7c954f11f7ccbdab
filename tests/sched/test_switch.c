/* SPDX-License-Identifier: MIT */
/* The context switch by itself, without a scheduler; also built for each foreign ISA.
 */
#include "sched/switch.h"
#include "tests/harness.h"

#include <stdalign.h>

static alignas(16) char stack[64 * 1024];
static alignas(16) char other_stack[64 * 1024];

#define TOP(stack) ((void *)((stack) + sizeof(stack)))

static void *home, *away;
static int steps;
static uintptr_t entry_frame;

/* What the scheduler looks like to the switch: a function around it, not a leaf (see
 * sched/switch.h), and not inlined into the test. */
static __attribute__((noinline)) void call_something(void)
{
    __asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) void resume(void **save, void *target)
{
    call_something();
    switch_to(save, target);
}

static __attribute__((noinline)) void enter(void **save, void *top, void (*entry)(void))
{
    call_something();
    switch_enter(save, top, entry);
}

static void take_a_step_and_return_forever(void)
{
    entry_frame = (uintptr_t)__builtin_frame_address(0);
    for (;;) {
        steps++;
        resume(&away, home);
    }
}

static void enters_on_the_new_stack(void)
{
    steps = 0;
    enter(&home, TOP(stack), take_a_step_and_return_forever);
    CHECK_EQUAL(steps, 1);
    CHECK(entry_frame > (uintptr_t)stack && entry_frame <= (uintptr_t)TOP(stack));
}

static void resumes_where_it_left(void)
{
    steps = 0;
    enter(&home, TOP(stack), take_a_step_and_return_forever);
    resume(&home, away);
    resume(&home, away);
    CHECK_EQUAL(steps, 3);
}

/* What the ABI demands at a call; a vector instruction that spills would trap. */
static void stack_is_aligned_at_entry(void)
{
    enter(&home, TOP(stack), take_a_step_and_return_forever);
    CHECK_EQUAL(entry_frame % 16, 0);
}

/* Every callee-saved register but the frame pointer, without which nothing runs. */
#if defined(__x86_64__)
#define GENERAL(X) X(rbx) X(r12) X(r13) X(r14) X(r15)
#define FLOATING(X)
#elif defined(__aarch64__)
#define GENERAL(X) X(x19) X(x20) X(x21) X(x22) X(x23) X(x24) X(x25) X(x26) X(x27) X(x28)
#define FLOATING(X) X(d8) X(d9) X(d10) X(d11) X(d12) X(d13) X(d14) X(d15)
#endif

/* Puts numbers from seed on into those registers, switches, and counts the wrong ones.
 * The asm statements keep each value in its register up to the switch and after it. */
static __attribute__((noinline)) int lost_registers(
    long seed, void **save, void *target)
{
    long next = seed;
    int lost = 0;

#define SET_GENERAL(name) register long name __asm__(#name) = next++;
#define SET_FLOATING(name) register double name __asm__(#name) = (double)next++;
#define PIN_GENERAL(name) __asm__ volatile("" : "+r"(name));
#define PIN_FLOATING(name) __asm__ volatile("" : "+w"(name));
#define COUNT_GENERAL(name) lost += name != next++;
#define COUNT_FLOATING(name) lost += name != (double)next++;
    GENERAL(SET_GENERAL)
    FLOATING(SET_FLOATING)
    GENERAL(PIN_GENERAL)
    FLOATING(PIN_FLOATING)
    resume(save, target);
    GENERAL(PIN_GENERAL)
    FLOATING(PIN_FLOATING)
    next = seed;
    GENERAL(COUNT_GENERAL)
    FLOATING(COUNT_FLOATING)
    return lost;
}

static int lost_away;

static void fill_registers_and_return(void)
{
    lost_away = lost_registers(1000, &away, home);
    switch_abandon(home);
}

static void callee_saved_registers_survive(void)
{
    lost_away = -1;
    enter(&home, TOP(stack), fill_registers_and_return);
    CHECK_EQUAL(lost_registers(5000, &home, away), 0);
    CHECK_EQUAL(lost_away, 0);
}

static void abandon_home(void)
{
    steps++;
    switch_abandon(home);
}

static void abandon_resumes_its_target(void)
{
    steps = 0;
    enter(&home, TOP(stack), abandon_home);
    CHECK_EQUAL(steps, 1);
}

static void renew_once(void)
{
    switch_renew(TOP(other_stack), abandon_home);
}

static void renew_enters_another_stack(void)
{
    steps = 0;
    enter(&home, TOP(stack), renew_once);
    CHECK_EQUAL(steps, 1);
}

static void renew_until_ten(void)
{
    if (++steps < 10)
        switch_renew(TOP(stack), renew_until_ten);
    switch_abandon(home);
}

static void renew_enters_the_same_stack_afresh(void)
{
    steps = 0;
    enter(&home, TOP(stack), renew_until_ten);
    CHECK_EQUAL(steps, 10);
}

static void many_stacks_keep_apart(void)
{
    void *first, *second;

    steps = 0;
    enter(&home, TOP(stack), take_a_step_and_return_forever);
    first = away;
    enter(&home, TOP(other_stack), take_a_step_and_return_forever);
    second = away;
    for (int i = 0; i < 100; i++) {
        resume(&home, first);
        first = away;
        resume(&home, second);
        second = away;
    }
    CHECK_EQUAL(steps, 202);
    CHECK(first != second);
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"enters on the new stack", enters_on_the_new_stack},
        {"resumes where it left", resumes_where_it_left},
        {"the stack is aligned at entry", stack_is_aligned_at_entry},
        {"callee-saved registers survive", callee_saved_registers_survive},
        {"abandon resumes its target", abandon_resumes_its_target},
        {"renew enters another stack", renew_enters_another_stack},
        {"renew enters the same stack afresh", renew_enters_the_same_stack_afresh},
        {"many stacks keep apart", many_stacks_keep_apart},
    };
    return harness_main("switch", tests, sizeof tests / sizeof *tests);
}
