// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"sync"
	"time"
)

// askers is how many goroutines ask one actor at the same time, each waiting
// for an answer before it asks again.
const askers = 64

func askerCases() []*benchCase {
	return []*benchCase{
		{"askers/chan", "channel to one goroutine", askers, chanAskers},
		{"askers/engine", "Proto.Actor RequestFuture", askers, func(e *env) (run, error) {
			return e.concurrently(askers, engineAsk(e, e.plain())), nil
		}},
		{"askers/submit", "Submit + Wait", askers, func(e *env) (run, error) {
			pid, err := e.worker("worker")
			return e.concurrently(askers, submitAsk(e, pid)), err
		}},
		{"askers/request", "RequestFuture to a worker", askers, func(e *env) (run, error) {
			pid, err := e.worker("worker")
			return e.concurrently(askers, requestAsk(e, pid)), err
		}},
	}
}

// concurrently shares the operations out to so many askers, and notes how long
// each took. Asker i asks for i.
func (e *env) concurrently(askers int, ask func(i int) (int, error)) run {
	return func(n int) (int, error) {
		var (
			wg   sync.WaitGroup
			sums = make([]int, askers)
			errs = make([]error, askers)
		)
		each := n / askers
		latencies := make([]time.Duration, n)
		for g := range askers {
			wg.Go(func() {
				sum := 0 // not in sums: its words share cache lines
				for i := range each {
					start := time.Now()
					v, err := ask(g)
					latencies[g*each+i] = time.Since(start)
					if err != nil {
						errs[g] = err
						return
					}
					sum += v
				}
				sums[g] = sum
			})
		}
		wg.Wait()
		e.latencies = latencies
		total := 0
		for _, sum := range sums {
			total += sum
		}
		return total, errors.Join(errs...)
	}
}

// chanAskers is a goroutine that serves a channel; each question carries the
// channel for its answer.
func chanAskers(e *env) (run, error) {
	type call struct {
		n     int
		reply chan int
	}
	calls := make(chan call)
	go func() {
		for c := range calls {
			c.reply <- c.n
		}
	}()
	e.onClose(func() error { close(calls); return nil })
	return e.concurrently(askers, func(i int) (int, error) {
		c := call{i, make(chan int, 1)}
		calls <- c
		return <-c.reply, nil
	}), nil
}
