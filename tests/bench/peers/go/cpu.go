// SPDX-License-Identifier: MIT

package main

import "sync"

const (
	tasks        = 64
	unit         = 60000
	queens       = 12
	parallelRows = 3
)

func task(i int) uint64 {
	units := i*37%tasks + 1
	x := uint64(88172645463325252)
	for i := units * unit; i > 0; i-- {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x | 1
}

type board struct {
	row    int
	column [queens]int8
}

// place puts a queen at column of the next row, unless another attacks it.
func (b *board) place(column int, next *board) bool {
	for row := 0; row < b.row; row++ {
		apart := int(b.column[row]) - column
		if apart == 0 || apart == b.row-row || apart == row-b.row {
			return false
		}
	}
	*next = *b
	next.column[next.row] = int8(column)
	next.row++
	return true
}

func solve(b *board) int {
	if b.row == queens {
		return 1
	}
	var next board
	found := 0
	for column := 0; column < queens; column++ {
		if b.place(column, &next) {
			found += solve(&next)
		}
	}
	return found
}

func solveParallel(b *board) int {
	if b.row == parallelRows {
		return solve(b)
	}
	results := make(chan int, queens)
	n, found := 0, 0
	for column := 0; column < queens; column++ {
		next := new(board)
		if b.place(column, next) {
			go func() { results <- solveParallel(next) }()
			n++
		}
	}
	for ; n > 0; n-- {
		found += <-results
	}
	return found
}

func benchCPU(repetitions int) {
	report("unbalanced", "ms", median(repetitions, 1000000, func() {
		var all sync.WaitGroup
		all.Add(tasks)
		for i := 0; i < tasks; i++ {
			go func(i int) {
				check(task(i) != 0, "task")
				all.Done()
			}(i)
		}
		all.Wait()
	}))
	report("nqueens", "ms", median(repetitions, 1000000, func() {
		check(solveParallel(&board{}) == 14200, "nqueens")
	}))
}
