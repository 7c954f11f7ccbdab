/* SPDX-License-Identifier: MIT */
#include "sched/numbers.h"

static _Atomic(uint64_t) blocks;

uint64_t numbers_take_block(void)
{
    return NUMBERS_BLOCK * atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
}

void numbers_reset(void)
{
    atomic_store_explicit(&blocks, 0, memory_order_relaxed);
}
