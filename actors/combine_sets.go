// SPDX-License-Identifier: Apache-2.0

package actors

import "sync/atomic"

// Sets are the futures that are done and those that are not, both in the order in which
// [FirstCompleted] or [FirstException] was given them.
type Sets[T any] struct {
	Done, Pending []*Future[T]
}

// FirstCompleted completes as soon as one of fs is done, be it with an error, and tells
// which are done by then and which are not; of none it fails with [ErrNoFutures], at once.
// It does not fail otherwise: how a future has ended is in that future. It cancels none of
// fs; cancelling it cancels all of them, but for what is behind a [Shield] (asyncio.wait
// with FIRST_COMPLETED). Where only the first result counts, that is [Race].
//
// As those of Race, fs keep it until they are done.
func FirstCompleted[T any](fs ...*Future[T]) *Future[Sets[T]] {
	out := &Future[Sets[T]]{}
	d, fs := membersOf("FirstCompleted", fs)
	d.by = oneEnd
	if len(fs) == 0 {
		out.fail(ErrNoFutures)
		return out
	}
	combine(&out.core, d, false, func(*core, int) callbacks { return out.resolveMember(setsOf(fs), nil) })
	return out
}

// FirstException is FirstCompleted that waits until one of fs has failed, or until all of
// them are done; of none, at once. One that was cancelled has failed, too; asyncio.wait
// with FIRST_EXCEPTION goes on then. To wait for all, however they end, is [Settled].
func FirstException[T any](fs ...*Future[T]) *Future[Sets[T]] {
	out := &Future[Sets[T]]{}
	d, fs := membersOf("FirstException", fs)
	if len(fs) == 0 {
		out.resolve(Sets[T]{}, nil)
		return out
	}
	var left atomic.Int64
	left.Store(int64(len(fs)))
	combine(&out.core, d, false, func(c *core, _ int) callbacks {
		if left.Add(-1) > 0 && c.failedWith() == nil {
			return callbacks{}
		}
		return out.resolveMember(setsOf(fs), nil)
	})
	return out
}

// setsOf sorts fs by whether they are done now.
func setsOf[T any](fs []*Future[T]) (s Sets[T]) {
	for _, f := range fs {
		if f.Done() {
			s.Done = append(s.Done, f)
		} else {
			s.Pending = append(s.Pending, f)
		}
	}
	return s
}
