// SPDX-License-Identifier: MIT

// Go's side of tests/bench: `go-peer BENCHMARK WORKERS [REPETITIONS]` prints the same
// lines as the benchmark of that name in C.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"time"
)

var workers int

var benchmarks = map[string]func(repetitions int){
	"yield":       benchYield,
	"spawn_await": benchSpawnAwait,
	"spawn_many":  benchSpawnMany,
	"fib":         benchFib,
	"skynet":      benchSkynet,
	"channel":     benchChannel,
	"mpmc":        benchMpmc,
	"lock":        benchLock,
	"select":      benchSelect,
	"asleep":      benchAsleep,
	"cpu":         benchCPU,
	"echo":        benchEcho,
}

func main() {
	if len(os.Args) < 3 || benchmarks[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go-peer BENCHMARK WORKERS [REPETITIONS]")
		os.Exit(2)
	}
	workers, _ = strconv.Atoi(os.Args[2])
	repetitions := 5
	if len(os.Args) > 3 {
		repetitions, _ = strconv.Atoi(os.Args[3])
	}
	if workers < 1 || repetitions < 1 {
		fmt.Fprintln(os.Stderr, "go-peer: WORKERS and REPETITIONS are 1 or more")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(workers)
	benchmarks[os.Args[1]](repetitions)
}

// median of measure, which gives a time for [operations] operations, after a warm-up;
// in nanoseconds for each.
func median(repetitions, operations int, measure func()) float64 {
	sample := make([]float64, repetitions)
	measure()
	for i := range sample {
		start := time.Now()
		measure()
		sample[i] = float64(time.Since(start)) / float64(operations)
	}
	sort.Float64s(sample)
	return sample[repetitions/2]
}

func report(name, unit string, value float64) {
	fmt.Printf("%s workers=%d %s=%.6g\n", name, workers, unit, value)
}

func check(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "go-peer: wrong result:", what)
		os.Exit(1)
	}
}
