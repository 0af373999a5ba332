// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"

	"github.com/alitto/pond/v2"
	"github.com/panjf2000/ants/v2"
	"github.com/sourcegraph/conc/pool"
)

// Worker pools are no actors: their tasks run side by side and own no state.
// They are here as what people use to run a function and get its result.
//
// Each has as many goroutines as processors, which is what suits tasks that
// never block, except ants: its Submit waits while the pool is busy, so it
// gets a goroutine for each task of a burst.

func poolBursts() []*benchCase {
	return []*benchCase{
		{"burst/ants", "ants pool + buffered channel", burst, antsBurst},
		{"burst/pond", "pond result pool", burst, pondBurst},
		{"burst/conc", "conc result pool", burst, concBurst},
	}
}

func poolSequentials() []*benchCase {
	return []*benchCase{
		{"seq/ants", "ants pool + buffered channel", burst, antsSequential},
		{"seq/pond", "pond result pool", burst, pondSequential},
	}
}

func antsPool(e *env) (*ants.Pool, error) {
	p, err := ants.NewPool(burst)
	if err == nil {
		e.onClose(func() error { p.Release(); return nil })
	}
	return p, err
}

func antsBurst(e *env) (run, error) {
	p, err := antsPool(e)
	if err != nil {
		return nil, err
	}
	results := make([]chan int, burst)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range results {
				c := make(chan int, 1)
				results[i] = c
				if err := p.Submit(func() { c <- i }); err != nil {
					return 0, err
				}
			}
			for _, c := range results {
				sum += <-c
			}
		}
		return sum, nil
	}, nil
}

func antsSequential(e *env) (run, error) {
	p, err := antsPool(e)
	if err != nil {
		return nil, err
	}
	return oneByOne(func(i int) (int, error) {
		c := make(chan int, 1)
		if err := p.Submit(func() { c <- i }); err != nil {
			return 0, err
		}
		return <-c, nil
	}), nil
}

func pondPool(e *env) pond.ResultPool[int] {
	p := pond.NewResultPool[int](runtime.GOMAXPROCS(0))
	e.onClose(func() error { p.StopAndWait(); return nil })
	return p
}

func pondBurst(e *env) (run, error) {
	p := pondPool(e)
	tasks := make([]pond.ResultTask[int], burst)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range tasks {
				tasks[i] = p.Submit(func() int { return i })
			}
			for _, t := range tasks {
				v, err := t.Wait()
				if err != nil {
					return 0, err
				}
				sum += v
			}
		}
		return sum, nil
	}, nil
}

func pondSequential(e *env) (run, error) {
	p := pondPool(e)
	return oneByOne(func(i int) (int, error) { return p.Submit(func() int { return i }).Wait() }), nil
}

// concBurst uses a pool per burst, as that library means it: its Wait gives
// all results at once and ends the pool.
func concBurst(*env) (run, error) {
	return func(n int) (sum int, err error) {
		for range n / burst {
			p := pool.NewWithResults[int]().WithMaxGoroutines(runtime.GOMAXPROCS(0))
			for i := range burst {
				p.Go(func() int { return i })
			}
			for _, v := range p.Wait() {
				sum += v
			}
		}
		return sum, nil
	}, nil
}
