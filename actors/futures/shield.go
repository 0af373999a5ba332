// SPDX-License-Identifier: Apache-2.0

package futures

import (
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/combine"
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
// creation, Shield cannot keep: for that begin it [actors.Detached]. If the shield is
// cancelled and f fails later, that counts as a failure nobody has looked at.
func Shield[T any](f *actors.Future[T]) *actors.Future[T] {
	notNil("Shield", f)
	out := new(actors.Future[T])
	insideOf(out).Combine(combine.Rule{Name: "futures.Shield", Kept: true}, combine.MembersOf([]*actors.Future[T]{f}), func(int) (T, error) { return peekResult(f) })
	return out
}

// WithTimeout returns a future that completes as f does, or fails with
// [actors.ErrTimeout] when d is over, and whoever is told so finds f cancelled with all
// that it is made of, but for what is behind a [Shield]. Cancelling it cancels f. An f
// that is done wins, also with a d of zero. [actors.Forever] is no bound
// (asyncio.wait_for).
//
// It completes when the time is over, not when f's work has noticed and
// returned. An [actors.Timeout] at the call that has made f bounds the work itself,
// and reaches work on other machines: prefer that where you can.
func WithTimeout[T any](f *actors.Future[T], d time.Duration) *actors.Future[T] {
	notNil("WithTimeout", f)
	var p actors.Promise[T]
	var over atomic.Bool // the time is, and expire completes p
	expire := func() {
		over.Store(true)
		err := insideOf(f).TimeoutError(d) // f forgets what it was for when it is cancelled
		if !f.Cancel() {
			var v T
			if v, err = peekResult(f); err == nil {
				p.Resolve(v)
				return
			}
		}
		p.Reject(err)
	}
	bounded := d != actors.Forever && !f.Done()
	insideOf(p.Future()).Combine(combine.Rule{Name: "futures.WithTimeout", Heed: true}, combine.MembersOf([]*actors.Future[T]{f}), func(int) (v T, err error) {
		if over.Load() {
			return v, combine.ErrLater
		}
		return peekResult(f)
	})
	switch {
	case !bounded:
	case d <= 0:
		expire()
	default: // from here on another goroutine may complete it
		timer := time.AfterFunc(d, expire)
		insideOf(p.Future()).CallWhenDone(func() { timer.Stop() })
	}
	return p.Future()
}
