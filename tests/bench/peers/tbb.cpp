/* SPDX-License-Identifier: MIT */
/*
 * oneTBB's side of tests/bench: `tbb-peer BENCHMARK WORKERS [REPETITIONS]` prints the
 * same lines as the benchmark of that name in C. Its tasks have no stack of their own.
 */
#include "peer.hpp"

#include <atomic>
#include <cstdint>

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

static void spawn_await(void)
{
    enum { SPAWNS = 1000000 };
    peer_report("spawn_await", "ns", SPAWNS, [] {
        tbb::task_group group;
        for (int i = 0; i < SPAWNS; i++) {
            group.run([] {});
            group.wait();
        }
    });
}

static void spawn_many(void)
{
    enum { SPAWNS = 100000 };
    peer_report("spawn_many", "ns", SPAWNS, [] {
        tbb::task_group group;
        for (int i = 0; i < SPAWNS; i++)
            group.run([] {});
        group.wait();
    });
}

static long fib(long n)
{
    if (n < 2)
        return n;
    long left;
    tbb::task_group group;
    group.run([&left, n] { left = fib(n - 1); });
    long right = fib(n - 2);
    group.wait();
    return left + right;
}

static void fib30(void)
{
    peer_report("fib", "ns", 1346268, [] { peer_check(fib(30) == 832040, "fib"); });
}

static long skynet(long first, long size)
{
    if (size == 1)
        return first;
    long child[10], sum = 0;
    tbb::task_group group;
    for (int i = 0; i < 10; i++)
        group.run([&child, first, size, i] {
            child[i] = skynet(first + i * (size / 10), size / 10);
        });
    group.wait();
    for (int i = 0; i < 10; i++)
        sum += child[i];
    return sum;
}

static void skynet_million(void)
{
    const long leaves = 1000000;
    peer_report("skynet", "ms", 1e6, [leaves] {
        peer_check(skynet(0, leaves) == leaves * (leaves - 1) / 2, "skynet");
    });
}

static uint64_t mix(uint64_t x)
{
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        x ^= x >> 31;
        x *= 0x9e3779b97f4a7c15u;
    }
    return x;
}

static void parallel_for(void)
{
    enum { ELEMENTS = 10000000 };
    std::atomic<uint64_t> sum{0};
    peer_report("parallel_for", "ms", 1e6, [&sum] {
        tbb::parallel_for(
            tbb::blocked_range<size_t>(0, ELEMENTS), [&sum](const auto &range) {
                uint64_t own = 0;
                for (size_t i = range.begin(); i < range.end(); i++)
                    own = mix(own + i);
                sum.fetch_add(own, std::memory_order_relaxed);
            });
    });
    peer_check(sum != 0, "parallel_for");
}

int main(int argc, char **argv)
{
    peer_arguments(argc, argv);
    tbb::global_control limit(
        tbb::global_control::max_allowed_parallelism, (size_t)peer_workers);
    return peer_run({{"spawn_await", spawn_await}, {"spawn_many", spawn_many},
        {"fib", fib30}, {"skynet", skynet_million}, {"parallel_for", parallel_for}});
}
