// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"sync/atomic"
	"time"
)

// Shield returns a future that completes as f does, and whose cancel does not
// reach f: not its own, nor that of a combination it is a member of, nor a
// [WithTimeout] of it (asyncio.shield).
//
// f keeps the shield until one of the two is done, whether or not anybody still
// waits. Where f may never be done, cancel each shield that is given up: that is
// what it is for, and f forgets it.
//
// What is cancelled with the task that has created it, as cancel follows
// creation, Shield cannot keep: for that begin it [Detached]. If the shield is cancelled and f fails later,
// that counts as a failure nobody has looked at.
func Shield[T any](f *Future[T]) *Future[T] {
	d := &deps{cores: coresOf("Shield", []*Future[T]{f}), kept: true}
	out := &Future[T]{}
	combine(&out.core, d, false, func(*core, int) callbacks { return out.completeAs(f) })
	return out
}

// WithTimeout returns a future that completes as f does, or fails with
// ErrTimeout when d is over, and whoever is told so finds f cancelled with all that
// it is made of, but for what is behind a [Shield]. Cancelling it cancels f. An f that is done wins, also with a d of zero.
// [NoTimeout] is no bound (asyncio.wait_for).
//
// It completes when the time is over, not when f's work has noticed and
// returned. A [Timeout] at the call that has made f bounds the work itself,
// and reaches work on other machines: prefer that where you can.
func WithTimeout[T any](f *Future[T], d time.Duration) *Future[T] {
	ds := &deps{cores: coresOf("WithTimeout", []*Future[T]{f})}
	out := &Future[T]{}
	var over atomic.Bool // the time is, and expire completes out
	expire := func() {
		if over.Swap(true) {
			return // f was done first
		}
		err := f.timedOut(d) // f forgets what it was for when it is cancelled
		if f.Cancel() {
			out.fail(err)
		} else {
			out.completeAs(f).call()
		}
	}
	bounded := d != NoTimeout && !f.Done()
	if bounded && d <= 0 {
		expire()
		return out
	}
	combine(&out.core, ds, true, func(*core, int) callbacks {
		if over.Swap(true) {
			return callbacks{}
		}
		return out.completeAs(f)
	})
	if bounded { // from here on another goroutine may complete it
		timer := time.AfterFunc(d, expire)
		out.addCallback(&node{f: func() { timer.Stop() }})
	}
	return out
}

// completeAs completes f as m, a member, which is done.
func (f *Future[T]) completeAs(m *Future[T]) callbacks {
	if m.failedWith() == nil {
		return f.resolveMember(m.val, nil)
	}
	return f.failMember(&m.core, m.failedWith())
}
