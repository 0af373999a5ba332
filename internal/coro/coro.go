// SPDX-License-Identifier: Apache-2.0

// Package coro is a coroutine: a function that can stop in the middle and be
// resumed later, by any goroutine, without a trip through the Go scheduler.
//
// It stands on [iter.Pull], whose switch is a direct hand-over from one
// goroutine to another: about 75 ns there and back (BenchmarkSwitch), where a pair of
// channel operations takes 290 ns (BenchmarkHandOver).
package coro

import "iter"

// Coro is one coroutine. Resume and Stop are called from outside of it, by
// one goroutine at a time; Begin and Yield are called from inside.
//
// It does not keep the second function of iter.Pull, which ends the iteration: one less to
// keep for each, and Stop says as well that it is over.
type Coro struct {
	next  func() (struct{}, bool) // nil: it has been stopped
	yield func(struct{}) bool     // nil: it has not begun, or has been stopped
}

// Init makes c, which is empty, a coroutine that runs body at its first
// Resume. body calls Begin first: that is not done here, because it would be a frame and a
// function more for each.
//
// body must return, or end the coroutine by [runtime.Goexit], only when that
// is meant for good: a panic that leaves body appears in Resume without the
// stack it was raised on, and a Goexit that leaves body ends the goroutine
// that called Resume. Whoever wants to survive either catches it inside body.
//
// Neither Init nor Resume may be called from a goroutine that is locked to its
// thread, and body must not be locked when it yields: the runtime ends the
// process ("coro: OS thread locking must match").
func (c *Coro) Init(body iter.Seq[struct{}]) { c.next, _ = iter.Pull(body) }

// Begin is called with what body was. It reports false if the coroutine was stopped before
// its first Resume: body must then return.
func (c *Coro) Begin(yield func(struct{}) bool) bool {
	if c.next == nil {
		return false
	}
	c.yield = yield
	return true
}

// Resume runs the coroutine until it yields or ends. It reports whether the
// coroutine yielded, so that it can be resumed again.
func (c *Coro) Resume() bool {
	_, ok := c.next()
	return ok
}

// Yield hands control back to the caller of Resume. It reports false when
// the coroutine was resumed by Stop: body must then return.
func (c *Coro) Yield() bool {
	yield := c.yield
	return yield != nil && yield(struct{}{}) && c.yield != nil
}

// Stop ends a coroutine that has yielded or never begun: its Yield returns
// false and Stop returns when body has. If body ends by Goexit, so does the
// goroutine that called Stop.
func (c *Coro) Stop() {
	if next := c.next; next != nil {
		c.next, c.yield = nil, nil
		next()
	}
}
