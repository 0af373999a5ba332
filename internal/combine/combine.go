// SPDX-License-Identifier: Apache-2.0

// Package combine is what package futures gets of the futures of package actors, and
// what nobody else gets: it makes futures that complete by others, and looks at how these
// have ended without being somebody who has seen it. It stands apart so that neither
// package has to show the other more than it shows everybody.
//
// A future hands its [Future] over by its method Inside. Everybody can see that one, but
// only packages of this project can name its parameter.
package combine

import (
	"errors"
	"time"
	"unsafe"
)

// Key is what a future is asked with.
type Key struct{ _ struct{} }

// Future is a future of package actors, an *actors.Future[T], from inside.
type Future[T any] interface {
	// Peek returns the result of a future that is done. A failure does not count as
	// looked at.
	Peek() (T, error)

	// Combine makes the future, which is pending and nobody else knows yet, one that
	// completes by the ends of its members, of which there is at least one: when, says r.
	// Cancelling the future cancels its members, and what they are made of.
	//
	// value is called when member i has completed it, on the goroutine that has
	// completed the member. It returns with what: a failure with the error of that
	// member, or of several, counts as looked at when the future's is. What it returns
	// is dropped if the future is done by then. It must not complete anything.
	Combine(r Rule, ms Members, value func(i int) (T, error))

	// Watch tells q of the ends of the members, of those that are done at once. The
	// future, which is pending and nobody else knows yet, is the first of q: see
	// [Watch.CompleteNext].
	Watch(ms Members, q Queue) Watch

	// CallWhenDone calls f when the future is done, or at once: on the goroutine that
	// completes it. f calls nothing of a user's, and has not seen how the future ended.
	CallWhenDone(f func())

	// Waiting is how many wait for the future, by a callback or in an await: for tests.
	Waiting() int

	// TimeoutError is why a future that bounds this one in time has failed.
	TimeoutError(after time.Duration) error
}

// Members are futures of one type, in the order of their slice, for whoever keeps them without their type.
//
// To ask an interface for each member took 3 % of a combination (bench: gather/all-100), and to keep what it said 8 bytes a member.
type Members struct {
	first unsafe.Pointer // to the first *actors.Future
	n     int
}

// MembersOf are fs, which nobody writes from here on, and of which none is nil. F is an actors.Future[T]: no other
// type has a method Inside that takes a Key.
func MembersOf[T, F any, P interface {
	*F
	Inside(Key) Future[T]
}](fs []P) Members {
	return Members{unsafe.Pointer(unsafe.SliceData(fs)), len(fs)}
}

// AsSlice is for package actors: the memory of fs, of pointers to futures.
func (ms Members) AsSlice() (first unsafe.Pointer, n int) { return ms.first, ms.n }

// Rule says what completes a combination.
type Rule struct {
	Name string // of the combinator, for logs
	By   By     // which ends of its members
	Kept bool   // a cancel does not reach them
	Heed bool   // failures of members that come when it is done are no news to anybody
}

// By is a kind of ends.
type By uint8

const (
	AllValues By = iota // a value of each member, or the first failure
	AllEnds             // the end of each member
	OneValue            // the first value, or the failure of each member
	OneEnd              // the first end
	NextEnd             // the first end after those that are past: see Watch
)

// ErrLater is what the value of a combination returns whose user completes it himself.
var ErrLater = errors.New("combine: somebody else completes it")

// Queue is told of members that are done, in the order in which that happens.
type Queue interface {
	// Arrive is called when member i is done. It returns the future that this
	// completes, with a zero value, or nil. It must not complete anything itself.
	Arrive(i int) any
}

// Watch tells a Queue of its members.
type Watch interface {
	// CompleteNext makes f, which is pending and nobody else knows yet, a future that the
	// Queue lets complete by the next end after so many that are past, so that a search
	// for a ring knows what an await of f waits for.
	CompleteNext(f any, past int)
	// Stop ends it. Of members that are not done q is told no more.
	Stop()
}
