// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"errors"
	"sync/atomic"
)

// ErrNoFutures is the failure of Any, Race and FirstCompleted of no futures.
var ErrNoFutures = newError("no_futures", "there is no future to choose from")

// Any completes with the first value: as soon as one of fs succeeds. When all
// have failed it fails with all their errors, joined in the order of fs; of
// none it fails with [ErrNoFutures], at once. It cancels none of the others,
// and nobody is told of their failures any more; cancelling it cancels all fs
// (JavaScript's Promise.any).
func Any[T any](fs ...*Future[T]) *Future[T] {
	out := &Future[T]{}
	d, fs := membersOf("Any", fs)
	d.by, d.late = oneValue, true
	if len(fs) == 0 {
		out.fail(ErrNoFutures)
		return out
	}
	var left atomic.Int64
	left.Store(int64(len(fs)))
	combine(&out.core, d, true, func(c *core, i int) callbacks {
		switch {
		case c.failedWith() == nil:
			return out.resolveMember(fs[i].val, nil)
		case left.Add(-1) == 0:
			errs := make([]error, len(fs))
			for i, f := range fs {
				errs[i] = f.failedWith()
			}
			err := errs[0]
			if len(errs) > 1 {
				err = errors.Join(errs...)
			} // else a chain of them would wrap it as often
			calls, _ := out.failAs(c, err)
			return calls
		default:
			_ = c.lookAtResult() // heed may race with the last failure
			out.memberFailed()
			return callbacks{}
		}
	})
	return out
}

// Race completes as the first of fs that is done does, with its value or its
// error; of those that are done already the first one counts. Of none it
// fails with [ErrNoFutures], at once. It cancels none of the others, and
// nobody is told of their failures any more; cancelling it cancels all fs
// (JavaScript's Promise.race; [FirstCompleted] is asyncio.wait's).
//
// Each of fs keeps it until it is done, whether or not anybody still waits. Where
// that may never be, cancel it when it is given up, with [Shield] around those of
// fs that are to go on.
func Race[T any](fs ...*Future[T]) *Future[T] {
	out := &Future[T]{}
	d, fs := membersOf("Race", fs)
	d.by = oneEnd
	if len(fs) == 0 {
		out.fail(ErrNoFutures)
		return out
	}
	combine(&out.core, d, true, func(c *core, i int) callbacks {
		if c.failedWith() == nil {
			return out.resolveMember(fs[i].val, nil)
		}
		return out.failMember(c, c.failedWith())
	})
	return out
}
