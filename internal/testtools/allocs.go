// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"iter"
	"testing"
)

// allocsParts is how many measurements [Allocs] makes.
const allocsParts = 5

// Allocs is how often f allocates, on average of at least so many runs.
//
// [testing.AllocsPerRun] counts what the whole process allocates meanwhile: a collection that
// comes in between has cleanups run, which log the failures that other tests have
// not looked at, and what a test has left goes on. All of that only adds. So the runs are measured in parts, and the least is
// what f takes.
func Allocs(runs int, f func()) float64 {
	least := testing.AllocsPerRun((runs+allocsParts-1)/allocsParts, f)
	for range allocsParts - 1 {
		least = min(least, testing.AllocsPerRun((runs+allocsParts-1)/allocsParts, f))
	}
	return least
}

// Inlines says whether the compiler has inlined calls, which keeps closures of the callee off the heap: not with
// -gcflags=-l.
func Inlines() bool {
	return Allocs(allocsParts, func() {
		for range twice(1) {
		}
	}) == 0
}

// twice yields v two times. What it returns is on the heap where twice is not inlined.
func twice(v int) iter.Seq[int] {
	return func(yield func(int) bool) {
		if yield(v) {
			yield(v)
		}
	}
}
