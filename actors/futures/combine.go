// SPDX-License-Identifier: Apache-2.0

package futures

import (
	"slices"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/combine"
)

// insideOf is f as package actors shows it to this package alone.
func insideOf[T any](f *actors.Future[T]) combine.Future[T] { return f.Inside(combine.Key{}) }

// peekResult is the result of f, which is done. It does not count as looked at: for whoever
// passes a failure on, and has not seen it.
func peekResult[T any](f *actors.Future[T]) (T, error) { return insideOf(f).Peek() }

// newCombined returns a future that completes by the ends of fs, of which there is at least
// one, with what value returns.
func newCombined[T, V any](r combine.Rule, fs []*actors.Future[T], value func(i int) (V, error)) *actors.Future[V] {
	out := new(actors.Future[V])
	insideOf(out).Combine(r, combine.MembersOf(fs), value)
	return out
}

// membersOf is a copy of fs: its owner may go on to use the slice.
func membersOf[T any](what string, fs []*actors.Future[T]) []*actors.Future[T] {
	for _, f := range fs {
		notNil(what, f)
	}
	return slices.Clone(fs)
}

func notNil[T any](what string, f *actors.Future[T]) {
	if f == nil {
		panic("futures: " + what + " called with a nil future")
	}
}
