// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func resident() float64 {
	var total, pages float64
	if file, err := os.Open("/proc/self/statm"); err == nil {
		fmt.Fscan(file, &total, &pages)
		file.Close()
	}
	return pages * float64(os.Getpagesize())
}

func peak() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Maxrss) * 1024
}

// nap has a million goroutines sleep; it gives the resident memory when the last fell
// asleep, 0 when some had woken before.
func nap(seconds time.Duration) (wall, memory float64) {
	const goroutines = 1000000
	var asleep, awake int64
	var all sync.WaitGroup
	start := time.Now()
	all.Add(goroutines)
	for i := 0; i < goroutines; i++ {
		go func() {
			if atomic.AddInt64(&asleep, 1) == goroutines && atomic.LoadInt64(&awake) == 0 {
				memory = resident()
			}
			time.Sleep(seconds * time.Second)
			atomic.AddInt64(&awake, 1)
			all.Done()
		}()
	}
	all.Wait()
	return time.Since(start).Seconds(), memory
}

func benchAsleep(int) {
	before := resident()
	wall, memory := nap(1)
	report("asleep", "s", wall)
	for seconds := time.Duration(2); memory == 0 && seconds <= 16; seconds *= 2 {
		_, memory = nap(seconds)
	}
	if memory > 0 {
		report("asleep_memory", "bytes", (memory-before)/1000000)
	}
}
