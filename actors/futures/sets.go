// SPDX-License-Identifier: Apache-2.0

package futures

import (
	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/combine"
)

// Sets are the futures that are done and those that are not, both in the order in which
// [FirstCompleted] or [FirstException] was given them.
type Sets[T any] struct {
	Done, Pending []*actors.Future[T]
}

// FirstCompleted completes as soon as one of fs is done, be it with an error, and tells
// which are done by then and which are not; of none it fails with [ErrNoFutures], at once.
// It does not fail otherwise: how a future has ended is in that future. It cancels none of
// fs; cancelling it cancels all of them, but for what is behind a [Shield] (asyncio.wait
// with FIRST_COMPLETED). Where only the first result counts, that is [Race].
//
// As those of Race, fs keep it until they are done.
func FirstCompleted[T any](fs ...*actors.Future[T]) *actors.Future[Sets[T]] {
	fs = membersOf("FirstCompleted", fs)
	if len(fs) == 0 {
		return Failed[Sets[T]](ErrNoFutures)
	}
	return newCombined(combine.Rule{Name: "futures.FirstCompleted", By: combine.OneEnd}, fs, func(int) (Sets[T], error) { return setsOf(fs), nil })
}

// FirstException is FirstCompleted that waits until one of fs has failed, or until all of
// them are done; of none, at once. One that was cancelled has failed, too; asyncio.wait
// with FIRST_EXCEPTION goes on then. To wait for all, however they end, is [Settled].
func FirstException[T any](fs ...*actors.Future[T]) *actors.Future[Sets[T]] {
	fs = membersOf("FirstException", fs)
	if len(fs) == 0 {
		return Resolved(Sets[T]{})
	}
	return newCombined(combine.Rule{Name: "futures.FirstException", By: combine.AllValues}, fs, func(int) (Sets[T], error) { return setsOf(fs), nil })
}

// setsOf sorts fs by whether they are done now.
func setsOf[T any](fs []*actors.Future[T]) (s Sets[T]) {
	for _, f := range fs {
		if f.Done() {
			s.Done = append(s.Done, f)
		} else {
			s.Pending = append(s.Pending, f)
		}
	}
	return s
}
