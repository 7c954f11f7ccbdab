/* SPDX-License-Identifier: MIT */
/* What the C++ peers share: arguments, repetition and the line a figure is printed on.
 */
#ifndef GROVE_TESTS_BENCH_PEER_HPP
#define GROVE_TESTS_BENCH_PEER_HPP

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

static std::string peer_benchmark;
static int peer_workers, peer_repetitions = 5;

static inline void peer_arguments(int argc, char **argv)
{
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s BENCHMARK WORKERS [REPETITIONS]\n", argv[0]);
        std::exit(2);
    }
    peer_benchmark = argv[1];
    peer_workers = std::atoi(argv[2]);
    if (argc > 3)
        peer_repetitions = std::atoi(argv[3]);
    if (peer_workers < 1 || peer_repetitions < 1) {
        std::fprintf(stderr, "%s: WORKERS and REPETITIONS are 1 or more\n", argv[0]);
        std::exit(2);
    }
}

static inline int peer_run(const std::map<std::string, void (*)(void)> &benchmarks)
{
    auto found = benchmarks.find(peer_benchmark);

    if (found == benchmarks.end()) {
        std::fprintf(stderr, "no benchmark %s here\n", peer_benchmark.c_str());
        return 2;
    }
    found->second();
    return 0;
}

static inline void peer_check(bool right, const char *what)
{
    if (right)
        return;
    std::fprintf(stderr, "wrong result: %s\n", what);
    std::exit(1);
}

/* Median nanoseconds of [work], after one that only warms up, for each of [operations].
 */
static inline void peer_report(const char *name, const char *unit, double operations,
    const std::function<void(void)> &work)
{
    std::vector<double> sample;

    work();
    for (int i = 0; i < peer_repetitions; i++) {
        auto start = std::chrono::steady_clock::now();
        work();
        std::chrono::duration<double, std::nano> elapsed =
            std::chrono::steady_clock::now() - start;
        sample.push_back(elapsed.count() / operations);
    }
    std::sort(sample.begin(), sample.end());
    std::printf(
        "%s workers=%d %s=%.6g\n", name, peer_workers, unit, sample[sample.size() / 2]);
}

#endif
