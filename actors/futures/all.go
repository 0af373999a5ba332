// SPDX-License-Identifier: Apache-2.0

package futures

import (
	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/combine"
)

// All completes with the values of all fs, in their order, when the last one
// is done, or with the first error as soon as one fails; of none, at once.
// Cancelling it cancels all fs; a failure cancels none of them
// (asyncio.gather).
func All[T any](fs ...*actors.Future[T]) *actors.Future[[]T] {
	fs = membersOf("All", fs)
	if len(fs) == 0 {
		return Resolved([]T{})
	}
	return newCombined(combine.Rule{Name: "futures.All", By: combine.AllValues, Heed: true}, fs, func(i int) ([]T, error) {
		if _, err := peekResult(fs[i]); err != nil {
			return nil, err
		}
		vals := make([]T, len(fs))
		for i, f := range fs {
			vals[i], _ = f.TryResult() // none has failed, so nothing is looked at
		}
		return vals, nil
	})
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
func Settled[T any](fs ...*actors.Future[T]) *actors.Future[[]Outcome[T]] {
	fs = membersOf("Settled", fs)
	if len(fs) == 0 {
		return Resolved([]Outcome[T]{})
	}
	return newCombined(combine.Rule{Name: "futures.Settled", By: combine.AllEnds, Heed: true}, fs, func(int) ([]Outcome[T], error) {
		all := make([]Outcome[T], len(fs))
		for i, f := range fs {
			all[i].Value, all[i].Err = f.TryResult()
		}
		return all, nil
	})
}
