// SPDX-License-Identifier: Apache-2.0

package futures

import (
	"errors"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/combine"
	"github.com/protoloop/protoloop/messages"
)

// ErrNoFutures is the failure of Any, Race and FirstCompleted of no futures.
var ErrNoFutures = errors.New("futures: there is no future to choose from")

func init() { messages.RegisterError("no_futures", ErrNoFutures) }

// Any completes with the first value: as soon as one of fs succeeds. When all
// have failed it fails with all their errors, joined in the order of fs; of
// none it fails with [ErrNoFutures], at once. It cancels none of the others,
// and nobody is told of their failures any more; cancelling it cancels all fs
// (JavaScript's Promise.any).
func Any[T any](fs ...*actors.Future[T]) *actors.Future[T] {
	fs = membersOf("Any", fs)
	if len(fs) == 0 {
		return Failed[T](ErrNoFutures)
	}
	return newCombined(combine.Rule{Name: "futures.Any", By: combine.OneValue, Heed: true}, fs, func(i int) (T, error) {
		v, err := peekResult(fs[i])
		if err == nil || len(fs) == 1 { // else a chain of them would wrap it as often
			return v, err
		}
		errs := make([]error, len(fs))
		for i, f := range fs {
			_, errs[i] = peekResult(f)
		}
		return v, errors.Join(errs...)
	})
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
func Race[T any](fs ...*actors.Future[T]) *actors.Future[T] {
	fs = membersOf("Race", fs)
	if len(fs) == 0 {
		return Failed[T](ErrNoFutures)
	}
	return newCombined(combine.Rule{Name: "futures.Race", By: combine.OneEnd, Heed: true}, fs, func(i int) (T, error) { return peekResult(fs[i]) })
}
