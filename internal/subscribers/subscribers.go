// SPDX-License-Identifier: Apache-2.0

// Package subscribers tells functions of users what happens, without holding up those to
// whom it happens: each function is called in its own time, and what it is too slow for is
// dropped and counted.
package subscribers

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/protoloop/protoloop/internal/callqueue"
	"github.com/protoloop/protoloop/internal/safelog"
)

// List is the functions that are told of each T. The zero value has none. Any goroutine.
type List[T any] struct {
	mu  sync.Mutex // of changes
	all atomic.Pointer[[]*subscriber[T]]
}

// Wanted reports whether there is a function. Ask before you make up a T.
func (l *List[T]) Wanted() bool { return l.all.Load() != nil }

// Add has call told from now on, until remove is called: on a goroutine of its own, one
// call after the other, in order. At most bound of them wait; dropped is how many came
// between this one and the last that it was told of, and found no place. If it panics, that goes to log
// with what it is, and it is called again. Once remove has returned no call begins.
func (l *List[T]) Add(log *slog.Logger, what string, bound int, call func(v T, dropped int)) (remove func()) {
	return l.AddFor(log, what, bound, func(T) bool { return true }, call)
}

// AddFor is Add for those that call wants, and wants reports; that is called by who tells.
func (l *List[T]) AddFor(log *slog.Logger, what string, bound int, wants func(v T) bool, call func(v T, dropped int)) (remove func()) {
	s := &subscriber[T]{log: safelog.Contain(log), what: what, bound: bound, wants: wants, call: call}
	l.change(func(all []*subscriber[T]) []*subscriber[T] { return append(all, s) })
	return func() {
		s.remove()
		l.change(func(all []*subscriber[T]) []*subscriber[T] {
			return slices.DeleteFunc(all, func(o *subscriber[T]) bool { return o == s })
		})
	}
}

// change replaces the list, which others may be reading.
func (l *List[T]) change(f func(all []*subscriber[T]) []*subscriber[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*subscriber[T]
	if p := l.all.Load(); p != nil {
		all = slices.Clone(*p)
	}
	if all = f(all); len(all) == 0 {
		l.all.Store(nil)
		return
	}
	l.all.Store(&all)
}

// Tell tells each function, in its own time. It calls no code of users, and waits for none.
func (l *List[T]) Tell(v T) {
	all := l.all.Load()
	if all == nil {
		return
	}
	for _, s := range *all {
		if s.wants(v) {
			s.tell(v)
		}
	}
}

// subscriber is a function of users', and what waits for it.
type subscriber[T any] struct {
	log   *slog.Logger
	what  string
	bound int
	wants func(v T) bool
	call  func(v T, dropped int)
	calls callqueue.Queue

	mu      sync.Mutex
	waiting int
	dropped int // since the last one that it took
	removed bool
}

func (s *subscriber[T]) tell(v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.removed:
		return
	case s.waiting == s.bound:
		s.dropped++
		return
	}
	s.waiting++
	dropped := s.dropped
	s.dropped = 0
	s.calls.Call(func() {
		if s.begin() {
			s.call(v, dropped)
		}
	}, func(v any, stack []byte) {
		s.log.Error(s.what+" panicked", "panic", v, "stack", string(stack))
	})
}

// begin takes the first out of those that wait, and reports whether the function is still
// to be called.
func (s *subscriber[T]) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	return !s.removed
}

func (s *subscriber[T]) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
}
