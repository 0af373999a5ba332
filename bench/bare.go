// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"sync"
)

// Here is the least that an await and a start take on the loops of order_bare.go: a queue for each worker, a future
// for each ask, a coroutine for what awaits, and nothing else of an actor.

// bareAsk is a request to a worker whose handler awaits another worker.
type bareAsk struct {
	n    int
	back *bareLoop
	fut  bareFuture
}

func (*bareAsk) awaits() bool { return true }

func (a *bareAsk) turn(c *bareCoroutine) {
	inner := &bareEcho{n: a.n}
	a.back.post(bareEntry{work: inner})
	c.awaitFuture(&inner.fut)
	a.fut.complete(inner.fut.receipt, inner.fut.err)
}

// bareEcho is a request whose handler answers at once.
type bareEcho struct {
	n   int
	fut bareFuture
}

func (*bareEcho) awaits() bool          { return false }
func (a *bareEcho) turn(*bareCoroutine) { a.fut.complete(receipt{n: a.n}, nil) }

// bareAwaitBurst is awaitBurst on these.
func bareAwaitBurst(e *env) (run, error) {
	sys := &bareSystem{}
	e.onClose(func() error { sys.close(); return nil })
	front, back := &bareLoop{sys: sys}, &bareLoop{sys: sys}
	asks, signal := make([]*bareAsk, burst), make(chan struct{}, 1)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range asks {
				asks[i] = &bareAsk{n: i, back: back}
				front.post(bareEntry{work: asks[i]})
			}
			for _, a := range asks {
				a.fut.wait(signal)
				sum += a.fut.receipt.n
			}
		}
		return sum, nil
	}, nil
}

// bareNames has the workers by their names.
type bareNames struct {
	sys *bareSystem
	mu  sync.Mutex
	all map[string]*bareLoop
}

func (e *env) bareNames() *bareNames {
	r := &bareNames{sys: &bareSystem{}, all: map[string]*bareLoop{}}
	e.onClose(func() error { r.sys.close(); return nil })
	return r
}

// startWorker starts a worker whose setup is begun, and completes f when it has run.
func (r *bareNames) startWorker(name string, f *bareFuture) {
	l := &bareLoop{sys: r.sys}
	r.mu.Lock()
	r.all[name] = l
	r.mu.Unlock()
	l.post(bareEntry{work: &bareSetup{f}})
}

// bareSetup is a worker's setup. It could await.
type bareSetup struct{ fut *bareFuture }

func (*bareSetup) awaits() bool          { return true }
func (s *bareSetup) turn(*bareCoroutine) { s.fut.complete(receipt{}, nil) }

// bareStart asks a worker to start another one.
type bareStart struct {
	names      *bareNames
	name       string
	ready, fut bareFuture
}

func (*bareStart) awaits() bool { return true }

func (s *bareStart) turn(c *bareCoroutine) {
	s.names.startWorker(s.name, &s.ready)
	c.awaitFuture(&s.ready)
	s.fut.complete(receipt{}, nil)
}

func startLeast(e *env, n int) (func() (int, error), error) {
	names, signal := e.bareNames(), make(chan struct{}, 1)
	for i := range n {
		var ready bareFuture
		names.startWorker("worker"+strconv.Itoa(i), &ready)
		ready.wait(signal)
	}
	return names.sumOfNumbers, nil
}

func startLeastChild(e *env, n int) (func() (int, error), error) {
	names, signal := e.bareNames(), make(chan struct{}, 1)
	parent := &bareLoop{sys: names.sys}
	for i := range n {
		s := &bareStart{names: names, name: "worker" + strconv.Itoa(i)}
		parent.post(bareEntry{work: s})
		s.fut.wait(signal)
	}
	return names.sumOfNumbers, nil
}

// sumOfNumbers is what the numbers of all add up to.
func (r *bareNames) sumOfNumbers() (int, error) { n := len(r.all); return n * (n - 1) / 2, nil }
