// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

func sequentialCases() []*benchCase {
	return append([]*benchCase{
		{"seq/chan", "unbuffered channel round trip", burst, chanRoundTrip},
		{"seq/bare", "… with a function, in an object of the size of a task", burst, bareSequential},
		{"seq/least", "… and a queue, an account, a turn and a future", burst, leastSequential},
		{"seq/least-request", "… to one of many workers that keep all their promises", burst, leastRequestSequential},
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

// leastCall is a bareCall that keeps the promises of a task: it waits in a queue without a bound,
// it is in an account that holds at every moment, its turn can be seen and taken away, it can be
// woken and ended by anybody, and its result be waited for by many, of whom each may give up.
type leastCall struct {
	fn    func() (int, error)
	next  *leastCall
	state atomic.Uint32
	done  atomic.Bool
	mu    sync.Mutex
	v     int
	err   error
	waits *leastWaiter
	_     [12]*leastCall
}

// leastWaiter is one who waits. They are used again.
type leastWaiter struct {
	next   *leastWaiter
	signal chan struct{}
}

// leastWorker is a goroutine that does leastCalls in turn. Like a runner of ours it lets the
// others go first once before it waits, which is cheaper than to wait and to be called, and a
// timer looks at its turns.
type leastWorker struct {
	inbox                     atomic.Pointer[leastCall] // a stack; idle: the goroutine waits
	accepted, taken, finished atomic.Int64
	turn                      atomic.Uint64 // odd: in user code
	blocked                   atomic.Int64  // turns that lasted long
	wake                      chan struct{}
	waiters                   sync.Pool
}

// leastIdle is the inbox of a leastWorker that waits.
var leastIdle = new(leastCall)

func (w *leastWorker) post(c *leastCall) {
	w.accepted.Add(1)
	for {
		old := w.inbox.Load()
		if c.next = old; old == leastIdle {
			c.next = nil
		}
		if w.inbox.CompareAndSwap(old, c) {
			if old == leastIdle {
				w.wake <- struct{}{}
			}
			return
		}
	}
}

// serve does calls until there is one without a function.
func (w *leastWorker) serve() {
	for lingered := false; ; {
		if w.inbox.Load() == nil {
			if lingered = !lingered; lingered {
				runtime.Gosched()
			} else if w.inbox.CompareAndSwap(nil, leastIdle) {
				<-w.wake
			}
			continue
		}
		lingered = false
		var first *leastCall
		for c := w.inbox.Swap(nil); c != nil; {
			next := c.next
			c.next, first, c = first, c, next
		}
		for c := first; c != nil; c = c.next {
			if c.fn == nil {
				return
			}
			w.do(c)
		}
	}
}

func (w *leastWorker) do(c *leastCall) {
	w.taken.Add(1)
	c.state.Store(1)
	turn := w.turn.Load() + 1
	w.turn.Store(turn)
	v, err := c.fn()
	c.mu.Lock()
	c.v, c.err = v, err
	c.done.Store(true)
	for n := c.waits; n != nil; {
		next := n.next // before: whoever is called may use n again
		n.signal <- struct{}{}
		n = next
	}
	c.waits = nil
	c.mu.Unlock()
	w.turn.CompareAndSwap(turn, turn+1)
	c.state.Store(2)
	w.finished.Add(1)
}

func (w *leastWorker) wait(c *leastCall) (int, error) {
	n, _ := w.waiters.Get().(*leastWaiter)
	if n == nil {
		n = &leastWaiter{signal: make(chan struct{}, 1)}
	}
	c.mu.Lock()
	pending := !c.done.Load()
	if pending {
		n.next, c.waits = c.waits, n
	}
	c.mu.Unlock()
	if pending {
		<-n.signal
	}
	w.waiters.Put(n)
	return c.v, c.err
}

// leastSequential is Submit + Wait without all that a call does not need if nothing happens: no
// options, no parent, no cancel, no panic, no state of the worker, one loop.
func leastSequential(e *env) (run, error) {
	w := &leastWorker{wake: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.serve()
	}()
	watch, over := time.NewTicker(leastLook), make(chan struct{})
	go w.watchTurns(watch.C, over)
	e.onClose(func() error {
		watch.Stop()
		close(over)
		w.post(&leastCall{})
		<-done
		return nil
	})
	return oneByOne(func(i int) (int, error) {
		c := &leastCall{fn: func() (int, error) { return i, nil }}
		w.post(c)
		return w.wait(c)
	}), nil
}

// leastLook is how often the turns of a leastWorker are looked at, as those of a worker of ours.
const leastLook = 500 * time.Millisecond

// watchTurns counts the turns that last from one look to the next.
func (w *leastWorker) watchTurns(look <-chan time.Time, over <-chan struct{}) {
	for last := uint64(0); ; {
		select {
		case <-look:
			turn := w.turn.Load()
			if turn%2 == 1 && turn == last {
				w.blocked.Add(1)
			}
			last = turn
		case <-over:
			return
		}
	}
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
