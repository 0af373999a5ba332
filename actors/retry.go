// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/messages"
)

// RetrySafe reports whether the work that has ended with err has not begun, in no
// incarnation of its worker, and may succeed when it is asked for again: err is
// [ErrMailboxFull], [ErrStopping], [ErrUnavailable] or [ErrDeadLetter], or a [*messages.Failure] that says so.
// docs/errors.md has all ends of work, and why of the others a retry is not safe.
//
// It is about the work that was asked for, and not about what that has asked others: an
// error that a handler, a task or an offloaded function has returned is never safe to
// retry by, also if it is the ErrStopping of a third worker. err may be wrapped, and
// joined with others if all of them are safe. It must not have been kept by user code and
// handed to somebody else past a return, as by [Promise.Reject].
func RetrySafe(err error) (safe bool) {
	defer func() {
		if recover() != nil { // a method of a user's error
			safe = false
		}
	}()
	return retrySafe(err)
}

func retrySafe(err error) bool {
	switch e := bare(err).(type) {
	case nil, *returnedError, *PanicError, toldToStopError:
		return false
	case *fullError:
		return true
	case *keyed.UnavailableError: // its cause is another task's
		return true
	case *messages.Failure:
		return e.GetRetrySafe() && !e.GetMaybeRan()
	case interface{ Unwrap() error }:
		return retrySafe(e.Unwrap())
	case interface{ Unwrap() []error }:
		all := e.Unwrap()
		for _, inner := range all {
			if inner != nil && !retrySafe(inner) {
				return false
			}
		}
		return len(all) > 0
	default:
		return e == ErrMailboxFull || e == ErrStopping || e == ErrUnavailable || e == ErrDeadLetter
	}
}

// returnedError marks an error by which a retry would be safe, were it not that user code
// has returned it: it tells of somebody else's work.
type returnedError struct{ error }

func (e *returnedError) Unwrap() error { return e.error }

// returned is an error that user code has returned, as who waits for that gets it.
func returned(err error) error {
	if err == ErrStopped || err == ErrCanceled { // most often; see saysOnlyEnd
		return err
	}
	if RetrySafe(err) {
		return &returnedError{err}
	}
	return err
}
