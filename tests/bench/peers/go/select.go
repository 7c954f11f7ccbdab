// SPDX-License-Identifier: MIT

package main

func selectOne(c *[8]chan int) int {
	select {
	case <-c[0]:
		return 0
	case <-c[1]:
		return 1
	case <-c[2]:
		return 2
	case <-c[3]:
		return 3
	case <-c[4]:
		return 4
	case <-c[5]:
		return 5
	case <-c[6]:
		return 6
	case <-c[7]:
		return 7
	}
}

func benchSelect(repetitions int) {
	const selects = 300000
	var channels [8]chan int
	for i := range channels {
		channels[i] = make(chan int, 1)
	}
	report("select_ready", "ns", median(repetitions, selects, func() {
		for i := 0; i < selects; i++ {
			channels[i%8] <- i
			check(selectOne(&channels) == i%8, "select")
		}
	}))
	for i := range channels {
		channels[i] = make(chan int)
	}
	report("select_waiting", "ns", median(repetitions, selects, func() {
		go func() {
			for i := 0; i < selects; i++ {
				channels[i%8] <- i
			}
		}()
		for i := 0; i < selects; i++ {
			check(selectOne(&channels) == i%8, "select")
		}
	}))
}
