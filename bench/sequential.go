// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

func sequentialCases() []*benchCase {
	return append([]*benchCase{
		{"seq/chan", "unbuffered channel round trip", burst, chanRoundTrip},
		{"seq/bare", "… with a function, in an object of the size of a task", burst, bareSequential},
		{"seq/go", "goroutine + buffered channel", burst, goSequential},
		{"seq/engine", "Proto.Actor RequestFuture", burst, engineSequential},
		{"seq/submit", "Submit + Wait", burst, submitSequential},
		{"seq/request", "RequestFuture to a worker", burst, requestSequential(toWorker)},
		{"seq/plain", "RequestFuture to a plain actor", burst, requestSequential(toPlain, actors.Timeout(requestTimeout))},
	}, poolSequentials()...)
}

// oneByOne calls ask for the operations of n in turn and adds up.
func oneByOne(ask func(i int) (int, error)) run {
	return func(n int) (sum int, err error) {
		for i := range n {
			v, err := ask(i % burst)
			if err != nil {
				return 0, err
			}
			sum += v
		}
		return sum, nil
	}
}

// chanRoundTrip is a goroutine that serves one channel and answers on
// another, both unbuffered.
func chanRoundTrip(e *env) (run, error) {
	questions, answers := make(chan int), make(chan int)
	go func() {
		defer close(answers)
		for q := range questions {
			answers <- q
		}
	}()
	e.onClose(func() error {
		close(questions)
		<-answers
		return nil
	})
	return oneByOne(func(i int) (int, error) {
		questions <- i
		return <-answers, nil
	}), nil
}

// bareCall is the least that a call needs whose result can be kept, waited for by many and
// cancelled: an object of its own, which the collector has to look at. It has the size of a
// task of ours with its future, and as many pointers.
type bareCall struct {
	fn    func() (int, error)
	v     int
	err   error
	done  atomic.Bool
	waits chan struct{}
	_     [12]*bareCall
}

// bareSequential is chanRoundTrip with a bareCall in place of a number: what is left of Submit
// if a queue, its worker's state, its account and the waiting cost nothing.
func bareSequential(e *env) (run, error) {
	calls, done := make(chan *bareCall), make(chan struct{})
	go func() {
		defer close(done)
		for c := range calls {
			c.v, c.err = c.fn()
			c.done.Store(true)
			c.waits <- struct{}{}
		}
	}()
	e.onClose(func() error {
		close(calls)
		<-done
		return nil
	})
	waits := make(chan struct{})
	return oneByOne(func(i int) (int, error) {
		c := &bareCall{fn: func() (int, error) { return i, nil }, waits: waits}
		calls <- c
		<-c.waits
		return c.v, c.err
	}), nil
}

func goSequential(*env) (run, error) {
	return oneByOne(func(i int) (int, error) {
		c := make(chan int, 1)
		go func() { c <- i }()
		return <-c, nil
	}), nil
}

func engineSequential(e *env) (run, error) { return oneByOne(engineAsk(e, e.plain())), nil }

// engineAsk asks a plain actor by the engine's own future.
func engineAsk(e *env, pid *actor.PID) func(i int) (int, error) {
	return func(i int) (int, error) {
		v, err := e.sys.Root.RequestFuture(pid, question{i}, requestTimeout).Result()
		if err != nil {
			return 0, err
		}
		return v.(answer).n, nil
	}
}

func submitSequential(e *env) (run, error) {
	pid, err := e.worker("worker")
	if err != nil {
		return nil, err
	}
	return oneByOne(submitAsk(e, pid)), nil
}

func submitAsk(e *env, pid *actor.PID) func(i int) (int, error) {
	return func(i int) (int, error) {
		return actors.Submit(e.sys.Root, pid, func(*actors.Task) (int, error) { return i, nil }).Wait(e.ctx)
	}
}

func requestSequential(to target, opts ...actors.CallOption) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pid, err := to(e)
		if err != nil {
			return nil, err
		}
		return oneByOne(requestAsk(e, pid, opts...)), nil
	}
}

func requestAsk(e *env, pid *actor.PID, opts ...actors.CallOption) func(i int) (int, error) {
	return func(i int) (int, error) {
		v, err := actors.RequestFuture[answer](e.sys.Root, pid, question{i}, opts...).Wait(e.ctx)
		return v.n, err
	}
}
