/* SPDX-License-Identifier: MIT */
#ifndef SCHED_CONFIG_TABLE_H
#define SCHED_CONFIG_TABLE_H

/*
 * Every setting of libgrove, once.
 *
 *     X(KIND, field, NAME, default, least, most, meaning)
 *
 * GROVE_NAME is the environment variable; `field` is its name in struct config and
 * in grove_config_t. KIND is one of
 *
 *     WHOLE    a whole number                              int
 *     NUMBER   a whole number of up to 64 bits             uint64_t
 *     SIZE     bytes, or a number with K, M, G, T         size_t
 *     SECONDS  a decimal number, up to nine decimals       double
 *     WORD     one of the words of `least`, split by '|'   enum, first word = 1
 *
 * Defaults and limits are texts read by the parser that reads the environment, so
 * what the documentation says and what the program enforces cannot differ. A default
 * of "" means decided at start from the machine. The `most` of a WORD is unused.
 *
 * A new row needs a field of the same name in grove_config_t, taken from its reserve,
 * and for a WORD an enum whose order is that of the words. Afterwards run
 * `grove-env --markdown` and put the result into docs/tuning.md; a test compares.
 */
#define CONFIG_TABLE(X) \
    X(WHOLE, workers, WORKERS, "", "1", "256", \
        "How many threads run greenlets. Unset: one for each CPU this process may " \
        "use, by affinity, cpuset and the CPU quota of its control groups.") \
    X(WORD, bind, BIND, "auto", "auto|core|pu|none", "", \
        "What a worker is pinned to: its core, its hardware thread (pu) or nothing. " \
        "auto pins to cores when there is a worker for every CPU the process may use " \
        "and leaves the choice to the kernel when there are fewer, so that several " \
        "such processes do not crowd the same cores.") \
    X(SIZE, stack_size, STACK_SIZE, "256K", "16K", "1G", \
        "Stack of a greenlet that asks for no size of its own, rounded up to whole " \
        "pages. Memory is used only as far as the stack is touched.") \
    X(SIZE, stack_cache, STACK_CACHE, "64M", "0", "1T", \
        "How many bytes of unused stacks each worker keeps for its next greenlets, " \
        "in address space; 0 gives every stack back at once.") \
    X(WORD, backend, BACKEND, "epoll", "epoll|poll|select|iouring", "", \
        "The kernel interface the hubs wait with. iouring is experimental in libev.") \
    X(SECONDS, switch_interval, SWITCH_INTERVAL, "0.001", "0.00001", "1", \
        "The longest time a worker goes on switching between ready greenlets before " \
        "it looks for I/O and timers.") \
    X(SECONDS, max_blocking_time, MAX_BLOCKING_TIME, "0", "0", "86400", \
        "Report a greenlet that has kept its worker for so long without a switch, " \
        "with a backtrace taken by signal SIGRTMAX-2; 0 reports nothing.") \
    X(SECONDS, deadlock_check, DEADLOCK_CHECK, "1", "0", "86400", \
        "Report greenlets that have waited for so long, and at most twice as long, " \
        "for locks that they hold in a cycle; 0 reports none.") \
    X(WHOLE, threads, THREADS, "10", "1", "1024", \
        "The most native threads that run calls of grove_offload at once; further " \
        "ones wait. They are made when needed.") \
    X(SECONDS, threads_idle, THREADS_IDLE, "5", "0.001", "86400", \
        "How long such a thread without work waits for more before it ends.") \
    X(WORD, report, REPORT, "on", "on|off", "", \
        "Whether failed greenlets, deadlocks and blocked workers are reported on " \
        "standard error. What calls return is the same either way.") \
    X(NUMBER, seed, SEED, "0", "0", "18446744073709551615", \
        "Draws every choice of what runs next from this number, so that a run on the " \
        "one worker this implies can be repeated; 0 draws nothing. For tests: see " \
        "Repeatable runs.") \
    X(WORD, clock, CLOCK, "real", "real|virtual", "", \
        "Whether timeouts and sleeps take real time. Virtual time stands still while " \
        "anything runs and jumps to the next timer when all greenlets wait. For " \
        "tests: " \
        "see Repeatable runs.")

/*
 * Names that begin so belong to the tests, benchmarks and tools: never settings, never
 * reported as misspelt ones.
 */
#define CONFIG_RESERVED_PREFIXES(X) \
    X("GROVE_TEST_") \
    X("GROVE_BENCH_") \
    X("GROVE_STAT_") \
    X("GROVE_DEV_") \
    X("GROVE_EXAMPLE_")

#endif
