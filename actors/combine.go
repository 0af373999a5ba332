// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"sync/atomic"
)

// All completes with the values of all fs, in their order, when the last one
// is done, or with the first error as soon as one fails; of none, at once.
// Cancelling it cancels all fs; a failure cancels none of them
// (asyncio.gather).
func All[T any](fs ...*Future[T]) *Future[[]T] {
	all := &Future[[]T]{}
	d, fs := membersOf("All", fs)
	if len(fs) == 0 {
		all.resolve([]T{}, nil)
		return all
	}
	var left atomic.Int64
	left.Store(int64(len(fs)))
	combine(&all.core, d, true, func(c *core, _ int) callbacks {
		switch {
		case c.failedWith() != nil:
			return all.failMember(c, c.failedWith())
		case left.Add(-1) == 0:
			vals := make([]T, len(fs))
			for i, f := range fs {
				vals[i] = f.val
			}
			return all.resolveMember(vals, nil)
		}
		return callbacks{}
	})
	return all
}

// Outcome is how a member of [Settled] ended: with Value, or with Err if that
// is not nil.
type Outcome[T any] struct {
	Value T
	Err   error
}

// Settled completes with how each of fs ended, in their order, when the last
// one is done; of none, at once. It does not fail. Cancelling it cancels all
// fs (asyncio.gather with return_exceptions, asyncio.wait with ALL_COMPLETED,
// JavaScript's Promise.allSettled).
func Settled[T any](fs ...*Future[T]) *Future[[]Outcome[T]] {
	settled := &Future[[]Outcome[T]]{}
	d, fs := membersOf("Settled", fs)
	d.by = allEnds
	if len(fs) == 0 {
		settled.resolve([]Outcome[T]{}, nil)
		return settled
	}
	var left atomic.Int64
	left.Store(int64(len(fs)))
	combine(&settled.core, d, true, func(*core, int) callbacks {
		if left.Add(-1) > 0 {
			return callbacks{}
		}
		all := make([]Outcome[T], len(fs))
		for i, f := range fs {
			all[i] = Outcome[T]{f.val, f.lookAtResult()}
		}
		return settled.resolveMember(all, nil)
	})
	return settled
}
