/* SPDX-License-Identifier: MIT */
/*
 * Boost.Fiber's side of tests/bench: `fiber-peer BENCHMARK WORKERS [REPETITIONS]`
 * prints the same lines as the benchmark of that name in C. One worker only: its
 * schedulers for several threads are far slower and compare with nothing here.
 */
#include "peer.hpp"

#include <boost/fiber/all.hpp>

using boost::fibers::fiber;

static void yield_among(const char *name, int fibers)
{
    enum { SWITCHES = 1000000 };
    peer_report(name, "ns", SWITCHES, [fibers] {
        std::vector<fiber> all;
        for (int i = 0; i < fibers; i++)
            all.emplace_back([fibers] {
                for (int turn = SWITCHES / fibers; turn > 0; turn--)
                    boost::this_fiber::yield();
            });
        for (fiber &each : all)
            each.join();
    });
}

static void yield(void)
{
    yield_among("yield2", 2);
    yield_among("yield10000", 10000);
}

static void spawn_await(void)
{
    enum { SPAWNS = 100000 };
    peer_report("spawn_await", "ns", SPAWNS, [] {
        for (int i = 0; i < SPAWNS; i++)
            fiber([] {}).join();
    });
}

static void channel(void)
{
    enum { TRIPS = 100000 };
    peer_report("channel_same", "ns", TRIPS, [] {
        boost::fibers::unbuffered_channel<int> ping, pong;
        fiber returner([&] {
            for (int i = 0; i < TRIPS; i++)
                pong.push(ping.value_pop());
        });
        for (int i = 0; i < TRIPS; i++) {
            ping.push(i);
            pong.value_pop();
        }
        returner.join();
    });
}

int main(int argc, char **argv)
{
    peer_arguments(argc, argv);
    return peer_run(
        {{"yield", yield}, {"spawn_await", spawn_await}, {"channel", channel}});
}
