// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// memoryRounds is how often the memory is measured, except in cases marked
// once.
const memoryRounds = 7

// memoryCase is something of which n are suspended at a time.
type memoryCase struct {
	name, label string
	n           int
	group       string
	once        bool // it takes seconds
	start       bool // the time told is that of begin
	stop        bool // … of end
	heap        bool // the memory told is what lives on the heap, without stacks
	resident    bool // … what of the process is in RAM
	// begin begins n, and returns when all of them are suspended. end lets
	// them go on, waits until they have ended and returns their sum, of 0 to
	// n-1.
	begin func(e *env, n int) (end func() (int, error), err error)
}

const million = 1_000_000

func memoryCases() []*memoryCase {
	const title = "memory in use per task while all are suspended"
	return append([]*memoryCase{
		{name: "memory/goroutine", label: "parked goroutine", n: many, group: title, begin: parkBare},
		{name: "memory/goroutine-chan", label: "parked goroutine with a channel for its result", n: many, group: title, begin: parkWithResult},
		{name: "memory/coroutine", label: "coroutine (iter.Pull) that has yielded, and nothing else", n: many, group: title, begin: parkCoroutines},
		{name: "memory/task", label: "suspended task with its future", n: many, group: title, begin: suspend},
		{name: "million/goroutine-chan", label: "1,000,000 goroutines park, go on and end", n: million, group: title, once: true, begin: parkWithResult},
		{name: "million/task", label: "1,000,000 tasks suspend, resume and end", n: million, group: title, once: true, begin: suspend},
	}, slices.Concat(startCases(), gridMemoryCases(), idleCases(), stopCases(), orderMemoryCases())...)
}

func (c *memoryCase) measure(n int) (s sample, err error) {
	e := newEnv()
	defer func() { err = errors.Join(err, e.close()) }()
	inUse := inUse
	switch {
	case c.heap:
		inUse = liveHeap
	case c.resident:
		inUse = residentSet
	}
	before := inUse()
	// The memory is taken between two samples: the time until all are
	// suspended, and the time from there.
	var end func() (int, error)
	first, err := takeSample(e, func() (int, error) {
		var err error
		end, err = c.begin(e, n)
		return n, err
	})
	if err != nil {
		return s, err
	}
	memory := inUse() - before
	second, err := takeSample(e, func() (int, error) {
		sum, err := end()
		if err == nil && sum != n*(n-1)/2 {
			err = fmt.Errorf("the results add up to %d, want %d", sum, n*(n-1)/2)
		}
		return n, err
	})
	first.Memory, second.Memory = memory/float64(n), memory/float64(n)
	switch {
	case c.start:
		return first, err
	case c.stop:
		return second, err
	}
	return sample{
		Wall:   first.Wall + second.Wall,
		CPU:    first.CPU + second.CPU,
		Bytes:  first.Bytes + second.Bytes,
		Allocs: first.Allocs + second.Allocs,
		Memory: memory / float64(n),
	}, err
}

// inUse is the memory of heap and stacks that is in use after a collection.
func inUse() float64 {
	runtime.GC()
	runtime.GC() // what a pool or a finalizer kept over the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}

// liveHeap is what lives on the heap after a collection.
func liveHeap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// parked waits until there are n goroutines more than there were before.
func parked(before, n int) error {
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() < before+n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("the goroutines did not start")
		}
	}
	return nil
}

// parkBare is the least there can be: goroutines that wait for one channel,
// and have no result of their own. The sum is what they count.
func parkBare(_ *env, n int) (func() (int, error), error) {
	gate, before := make(chan int), runtime.NumGoroutine()
	left := make(chan struct{}, n)
	for range n {
		go func() {
			<-gate
			left <- struct{}{}
		}()
	}
	err := parked(before, n)
	return func() (sum int, err error) {
		close(gate)
		for i := range n {
			<-left
			sum += i
		}
		return sum, nil
	}, err
}

func parkWithResult(_ *env, n int) (func() (int, error), error) {
	gate, before := make(chan int), runtime.NumGoroutine()
	results := make([]chan int, n)
	for i := range results {
		c := make(chan int, 1)
		results[i] = c
		go func() { c <- i + <-gate }()
	}
	err := parked(before, n)
	return func() (sum int, err error) {
		close(gate)
		for _, c := range results {
			sum += <-c
		}
		return sum, nil
	}, err
}

// parkCoroutines is what a suspended task has to consist of: a coroutine of Go's. The functions that
// resume and stop it are all that is kept of it.
func parkCoroutines(_ *env, n int) (func() (int, error), error) {
	resume := make([]func() (int, bool), n)
	for i := range resume {
		resume[i], _ = iter.Pull(func(yield func(int) bool) {
			if yield(0) {
				yield(i)
			}
		})
		resume[i]()
	}
	return func() (sum int, err error) {
		for _, next := range resume {
			v, _ := next()
			sum += v
			next() // to its end
		}
		return sum, nil
	}, nil
}

func suspend(e *env, n int) (func() (int, error), error) {
	pid, err := e.worker("worker")
	if err != nil {
		return nil, err
	}
	gate := new(actors.Promise[int])
	futures, err := e.suspendTasks(pid, n, gate.Future())
	return func() (sum int, err error) {
		gate.Resolve(0)
		for _, f := range futures {
			v, err := f.Wait(e.ctx)
			if err != nil {
				return 0, err
			}
			sum += v
		}
		return sum, nil
	}, err
}
