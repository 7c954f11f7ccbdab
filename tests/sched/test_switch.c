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

static void take_a_step_and_return_forever(void)
{
    entry_frame = (uintptr_t)__builtin_frame_address(0);
    for (;;) {
        steps++;
        switch_to(&away, home);
    }
}

static void enters_on_the_new_stack(void)
{
    steps = 0;
    switch_enter(&home, TOP(stack), take_a_step_and_return_forever);
    CHECK_EQUAL(steps, 1);
    CHECK(entry_frame > (uintptr_t)stack && entry_frame <= (uintptr_t)TOP(stack));
}

static void resumes_where_it_left(void)
{
    steps = 0;
    switch_enter(&home, TOP(stack), take_a_step_and_return_forever);
    switch_to(&home, away);
    switch_to(&home, away);
    CHECK_EQUAL(steps, 3);
}

/* What the ABI demands at a call; a vector instruction that spills would trap. */
static void stack_is_aligned_at_entry(void)
{
    switch_enter(&home, TOP(stack), take_a_step_and_return_forever);
    CHECK_EQUAL(entry_frame % 16, 0);
}

/* More live values than there are caller-saved registers, of both kinds, so that the
 * compiler keeps some of each in registers that only the switch can preserve. */
static __attribute__((noinline)) double churn(double seed, void **save, void **target)
{
    double a = seed, b = seed * 2, c = seed * 3, d = seed * 5, e = seed * 7,
           f = seed * 11;
    long i = (long)seed, j = i * 13, k = i * 17, l = i * 19, m = i * 23, n = i * 29;

    for (int round = 0; round < 100; round++) {
        a += b, b += c, c += d, d += e, e += f, f += 1;
        i += j, j += k, k += l, l += m, m += n, n += 1;
        switch_to(save, *target);
    }
    return a + b + c + d + e + f + (double)(i + j + k + l + m + n);
}

static void trample(void)
{
    double kept = 0;

    for (;;)
        kept += churn(1000.5, &away, &home);
}

static void idle_forever(void)
{
    for (;;)
        switch_to(&away, home);
}

static void callee_saved_registers_survive(void)
{
    switch_enter(&home, TOP(stack), idle_forever);
    double undisturbed = churn(3.25, &home, &away);
    switch_enter(&home, TOP(stack), trample);
    CHECK(churn(3.25, &home, &away) == undisturbed);
}

static void abandon_home(void)
{
    steps++;
    switch_abandon(home);
}

static void abandon_resumes_its_target(void)
{
    steps = 0;
    switch_enter(&home, TOP(stack), abandon_home);
    CHECK_EQUAL(steps, 1);
}

static void renew_once(void)
{
    switch_renew(TOP(other_stack), abandon_home);
}

static void renew_enters_another_stack(void)
{
    steps = 0;
    switch_enter(&home, TOP(stack), renew_once);
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
    switch_enter(&home, TOP(stack), renew_until_ten);
    CHECK_EQUAL(steps, 10);
}

static void many_stacks_keep_apart(void)
{
    void *first, *second;

    steps = 0;
    switch_enter(&home, TOP(stack), take_a_step_and_return_forever);
    first = away;
    switch_enter(&home, TOP(other_stack), take_a_step_and_return_forever);
    second = away;
    for (int i = 0; i < 100; i++) {
        switch_to(&home, first);
        first = away;
        switch_to(&home, second);
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
