// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sync"
)

func together(n int, body func()) {
	var all sync.WaitGroup
	all.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			body()
			all.Done()
		}()
	}
	all.Wait()
}

func benchYield(repetitions int) {
	const switches = 1000000
	yield := func(goroutines int) func() {
		return func() {
			together(goroutines, func() {
				for i := switches / goroutines; i > 0; i-- {
					runtime.Gosched()
				}
			})
		}
	}
	report("yield2", "ns", median(repetitions, switches, yield(2)))
	report("yield10000", "ns", median(repetitions, switches, yield(10000)))
}

func benchSpawnAwait(repetitions int) {
	const spawns = 300000
	report("spawn_await", "ns", median(repetitions, spawns, func() {
		done := make(chan struct{})
		for i := 0; i < spawns; i++ {
			go func() { done <- struct{}{} }()
			<-done
		}
	}))
}

func benchSpawnMany(repetitions int) {
	const spawns = 100000
	report("spawn_many", "ns", median(repetitions, spawns, func() {
		together(spawns, func() {})
	}))
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	left := make(chan int, 1)
	go func() { left <- fib(n - 1) }()
	right := fib(n - 2)
	return <-left + right
}

func benchFib(repetitions int) {
	report("fib", "ns", median(repetitions, 1346268, func() {
		check(fib(30) == 832040, "fib")
	}))
}

func skynet(up chan<- int, first, size int) {
	if size == 1 {
		up <- first
		return
	}
	children := make(chan int, 10)
	sum := 0
	for i := 0; i < 10; i++ {
		go skynet(children, first+i*(size/10), size/10)
	}
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	up <- sum
}

func benchSkynet(repetitions int) {
	const leaves = 1000000
	before := peak()
	report("skynet", "ms", median(repetitions, 1000000, func() {
		top := make(chan int, 1)
		go skynet(top, 0, leaves)
		check(<-top == leaves*(leaves-1)/2, "skynet")
	}))
	report("skynet_memory", "MB", (peak()-before)/1e6)
}
