// SPDX-License-Identifier: MIT

package main

import "sync"

func benchChannel(repetitions int) {
	const trips = 300000
	name := "channel_same"
	if workers > 1 {
		name = "channel_across"
	}
	report(name, "ns", median(repetitions, trips, func() {
		ping, pong := make(chan int), make(chan int)
		go func() {
			for i := 0; i < trips; i++ {
				pong <- <-ping
			}
		}()
		for i := 0; i < trips; i++ {
			ping <- i
			<-pong
		}
	}))
}

func benchMpmc(repetitions int) {
	const sides, itemsEach = 4, 250000
	report("mpmc", "ns", median(repetitions, sides*itemsEach, func() {
		queue := make(chan int, 128)
		sums := make(chan int, sides)
		for i := 0; i < sides; i++ {
			go func() {
				for i := 1; i <= itemsEach; i++ {
					queue <- i
				}
			}()
			go func() {
				sum := 0
				for i := 0; i < itemsEach; i++ {
					sum += <-queue
				}
				sums <- sum
			}()
		}
		sum := 0
		for i := 0; i < sides; i++ {
			sum += <-sums
		}
		check(sum == sides*itemsEach*(itemsEach+1)/2, "mpmc")
	}))
}

func benchLock(repetitions int) {
	const turns = 2000000
	lock := func(goroutines int) func() {
		return func() {
			var mutex sync.Mutex
			counter := 0
			together(goroutines, func() {
				for i := turns / goroutines; i > 0; i-- {
					mutex.Lock()
					counter++
					mutex.Unlock()
				}
			})
			check(counter == turns, "lock")
		}
	}
	report("lock8", "ns", median(repetitions, turns, lock(8)))
	report("lock1", "ns", median(repetitions, turns, lock(1)))
}
