// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// burst is how many operations are begun before the first is waited for.
const burst = 1000

func burstCases() []*benchCase {
	return append([]*benchCase{
		{"burst/go", "goroutine + buffered channel", burst, goBurst(burst)},
		{"burst/engine", "Proto.Actor RequestFuture", burst, engineBurst},
		{"burst/submit", "Submit", burst, submitBurst(burst)},
		{"burst/start", "Start of a child that does not await", burst, startBurst},
		{"burst/start-budget", "the same in a task with Timeout(5 s) and WithContext", burst, startInBudget},
		{"burst/request", "RequestFuture to a worker", burst, requestBurst(toWorker)},
		{"burst/request-timeout", "the same with Timeout(5 s)", burst, requestBurst(toWorker, actors.Timeout(requestTimeout))},
		{"burst/request-context", "… and WithContext of one that all share", burst, requestsInContext(false)},
		{"burst/request-own-context", "… and WithContext of one for each", burst, requestsInContext(true)},
		{"burst/go-own-context", "goroutine + channel with a context for each", burst, goInContext},
		{"burst/bare-request", "the least request: a queue, a future, a goroutine that handles them", burst, bareBurst(false)},
		{"burst/bare-context", "the same with the least timeout and the least context that all share", burst, bareBurst(true)},
		{"burst/plain", "RequestFuture to a plain actor", burst, requestBurst(toPlain, actors.Timeout(requestTimeout))},
		{"burst/bare-plain", "… the least: an envelope, a place for its answer, a deadline, a future", burst, barePlainBurst(false)},
		{"burst/bare-plain-within", "… the same in one piece of memory, which a kept PID or future keeps", burst, barePlainBurst(true)},
		{"burst/await", "handler awaits another worker", burst, awaitBurst},
		{"burst/bare-await", "… with two queues, coroutines and futures alone", burst, bareAwaitBurst},
		{"burst/least-await", "… that keep a worker's promises", burst, leastAwaitBurst},
		{"burst/go-two", "goroutine awaits another goroutine", burst, goTwoBurst},
	}, poolBursts()...)
}

// goBurst is what eager work with a result is in plain Go: a goroutine and a
// channel of capacity one each.
func goBurst(size int) func(*env) (run, error) {
	return func(*env) (run, error) {
		results := make([]chan int, size)
		return func(n int) (sum int, err error) {
			for range n / size {
				for i := range results {
					c := make(chan int, 1)
					results[i] = c
					go func() { c <- i }()
				}
				for _, c := range results {
					sum += <-c
				}
			}
			return sum, nil
		}, nil
	}
}

// goTwoBurst is goroutines that wait for a goroutine each: what the await
// over two loops does.
func goTwoBurst(*env) (run, error) {
	results := make([]chan int, burst)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range results {
				c := make(chan int, 1)
				results[i] = c
				go func() {
					inner := make(chan int, 1)
					go func() { inner <- i }()
					c <- <-inner
				}()
			}
			for _, c := range results {
				sum += <-c
			}
		}
		return sum, nil
	}, nil
}

func engineBurst(e *env) (run, error) {
	pid := e.plain()
	futures := make([]*actor.Future, burst)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range futures {
				futures[i] = e.sys.Root.RequestFuture(pid, question{i}, requestTimeout)
			}
			for _, f := range futures {
				v, err := f.Result()
				if err != nil {
					return 0, err
				}
				sum += v.(answer).n
			}
		}
		return sum, nil
	}, nil
}

func submitBurst(size int) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pid, err := e.worker("worker")
		if err != nil {
			return nil, err
		}
		return e.submits(size, func(int) *actor.PID { return pid }), nil
	}
}

// submits begins size tasks, the i-th on worker(i), before it waits for the
// first.
func (e *env) submits(size int, worker func(i int) *actor.PID) run {
	futures := make([]*actors.Future[int], size)
	return func(n int) (sum int, err error) {
		for range n / size {
			for i := range futures {
				futures[i] = actors.Submit(e.sys.Root, worker(i), func(*actors.Task) (int, error) { return i, nil })
			}
			for _, f := range futures {
				v, err := f.Wait(e.ctx)
				if err != nil {
					return 0, err
				}
				sum += v
			}
		}
		return sum, nil
	}
}

// requestsInContext is a burst of requests with a Timeout and a context that can end: one
// that all share, or one that is made for each, and ended, as for a call of net/http. Each
// is a method of its own: the compiler inlines less into burstCases, which is large, and calls
// of Timeout that users' code has inlined would be counted.
func requestsInContext(own bool) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pid, err := e.worker("worker")
		if err != nil {
			return nil, err
		}
		if own {
			return e.requestsInOwnContexts(pid), nil
		}
		return e.requestsInSharedContext(pid), nil
	}
}

func (e *env) requestsInSharedContext(pid *actor.PID) run {
	ctx, cancel := context.WithCancel(e.ctx)
	e.onClose(func() error { cancel(); return nil })
	futures := make([]*actors.Future[answer], burst)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range futures {
				futures[i] = actors.RequestFuture[answer](e.sys.Root, pid, question{i}, actors.Timeout(requestTimeout), actors.WithContext(ctx))
			}
			for _, f := range futures {
				v, err := f.Wait(e.ctx)
				if err != nil {
					return 0, err
				}
				sum += v.n
			}
		}
		return sum, nil
	}
}

func (e *env) requestsInOwnContexts(pid *actor.PID) run {
	futures := make([]*actors.Future[answer], burst)
	cancels := make([]context.CancelFunc, burst)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range futures {
				var ctx context.Context
				ctx, cancels[i] = context.WithCancel(e.ctx)
				futures[i] = actors.RequestFuture[answer](e.sys.Root, pid, question{i}, actors.Timeout(requestTimeout), actors.WithContext(ctx))
			}
			for i, f := range futures {
				v, err := f.Wait(e.ctx)
				if err != nil {
					return 0, err
				}
				sum += v.n
				cancels[i]()
			}
		}
		return sum, nil
	}
}

// goInContext is what a context and a timeout cost plain Go: nobody looks at their end here.
func goInContext(e *env) (run, error) {
	results := make([]chan int, burst)
	cancels := make([]context.CancelFunc, burst)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range results {
				var ctx context.Context
				ctx, cancels[i] = context.WithCancel(e.ctx)
				c := make(chan int, 1)
				results[i] = c
				go func() {
					ctx, cancel := context.WithTimeout(ctx, requestTimeout)
					defer cancel()
					if ctx.Err() == nil {
						c <- i
					}
				}()
			}
			for i, c := range results {
				sum += <-c
				cancels[i]()
			}
		}
		return sum, nil
	}, nil
}

// target is whom requests go to.
type target func(*env) (*actor.PID, error)

func toWorker(e *env) (*actor.PID, error) { return e.worker("worker") }
func toPlain(e *env) (*actor.PID, error)  { return e.plain(), nil }

func requestBurst(to target, opts ...actors.CallOption) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pid, err := to(e)
		if err != nil {
			return nil, err
		}
		return e.requests(func(int) *actor.PID { return pid }, opts...), nil
	}
}

// requests begins a burst of requests, the i-th to worker(i), before it waits
// for the first.
func (e *env) requests(worker func(i int) *actor.PID, opts ...actors.CallOption) run {
	futures := make([]*actors.Future[answer], burst)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range futures {
				futures[i] = actors.RequestFuture[answer](e.sys.Root, worker(i), question{i}, opts...)
			}
			for _, f := range futures {
				v, err := f.Wait(e.ctx)
				if err != nil {
					return 0, err
				}
				sum += v.n
			}
		}
		return sum, nil
	}
}

// startBurst is one task that starts children, each of which ends in the
// same turn, and then awaits them.
func startBurst(e *env) (run, error) { return e.starts() }

// startInBudget is the same with what all children inherit.
func startInBudget(e *env) (run, error) {
	ctx, cancel := context.WithCancel(e.ctx)
	e.onClose(func() error { cancel(); return nil })
	return e.starts(actors.Timeout(requestTimeout), actors.WithContext(ctx))
}

func (e *env) starts(opts ...actors.CallOption) (run, error) {
	pid, err := e.worker("worker")
	if err != nil {
		return nil, err
	}
	children := make([]*actors.Future[int], burst)
	return func(n int) (int, error) {
		return actors.Submit(e.sys.Root, pid, func(t *actors.Task) (sum int, err error) {
			for range n / burst {
				for i := range children {
					children[i] = actors.Start(t, func(*actors.Task) (int, error) { return i, nil })
				}
				for _, f := range children {
					v, err := actors.Await(t, f)
					if err != nil {
						return 0, err
					}
					sum += v
				}
				if err := t.Yield(); err != nil { // a turn must not last
					return 0, err
				}
			}
			return sum, nil
		}, opts...).Wait(e.ctx)
	}, nil
}

// awaitBurst is requests to one worker whose handler awaits a request to
// another one: each suspends, and is resumed by the other's answer.
func awaitBurst(e *env) (run, error) {
	back, err := e.worker("back")
	if err != nil {
		return nil, err
	}
	front, err := e.spawn("front", askOn(back))
	if err != nil {
		return nil, err
	}
	return e.requests(func(int) *actor.PID { return front }), nil
}

// askOn is a worker whose handler awaits another one's answer.
func askOn(back *actor.PID) func(*actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, q question) (answer, error) {
			return actors.Await(t, actors.RequestFuture[answer](t, back, q))
		})
		return nil
	}
}
