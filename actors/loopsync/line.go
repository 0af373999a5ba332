// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"github.com/protoloop/protoloop/internal/taskwait"
)

// line is who waits for the same thing, in order of arrival. A task that is served
// stays in it until it goes on, and then takes what it is sure of. A plain goroutine
// goes on whenever the Go scheduler likes, so this is done for it when it is served and
// is the first: whoever came later gets what is later.
type line struct {
	first, last *waiter
	next        *waiter // the first one that has not been served
	served      int
}

// waiter is one wait.
type waiter struct {
	prev, next *waiter
	spot       taskwait.Spot
	who        taskwait.Visit // if it is a task
	served     bool
	take       func() // of a plain goroutine: does what it waits for
	taken      bool   // that was done, and the waiter is not in line any more
	panicked   any    // what take panicked with
}

func (l *line) isEmpty() bool { return l.first == nil }

// joinLine puts a task, or a plain goroutine, at the end of the line.
func (l *line) joinLine(who taskwait.Visit, spot taskwait.Spot) *waiter {
	w := &waiter{spot: spot, who: who, prev: l.last}
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	if l.next == nil {
		l.next = w
	}
	return w
}

// serveNext lets the next one go on, and returns it; nil: there is none.
func (l *line) serveNext() *waiter {
	w := l.next
	if w == nil {
		return nil
	}
	l.next = w.next
	w.served = true
	l.served++
	if w.take == nil {
		w.spot.Wake()
	}
	return w
}

// takeFirst does what the first one waits for, if that is a plain goroutine and was
// served, and lets it go on. It reports whether it was so.
func (l *line) takeFirst() (did bool) {
	w := l.first
	if w == nil || !w.served || w.take == nil {
		return false
	}
	l.leaveLine(w)
	did, w.taken = true, true
	defer func() {
		w.panicked = recover() // code of a user's, who is not the one that goes on here
		w.spot.Wake()
	}()
	w.take()
	return did
}

// isTaken reports whether what a plain goroutine waits for was done for it. It panics
// if that has.
func (w *waiter) isTaken() bool {
	if w.panicked != nil {
		panic(w.panicked)
	}
	return w.taken
}

// dismissUnserved lets all go on that have not been served.
func (l *line) dismissUnserved() {
	for ; l.next != nil; l.next = l.next.next {
		l.next.spot.Wake()
	}
}

// dismissAll is dismiss for those who have been served, too: what they were sure of is
// gone.
func (l *line) dismissAll() {
	for w := l.first; w != nil; w = w.next {
		w.spot.Wake()
	}
	l.next = nil
}

// leaveLine takes w out of the line and reports whether it was served.
func (l *line) leaveLine(w *waiter) bool {
	if l.next == w {
		l.next = w.next
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	if w.served {
		l.served--
	}
	return w.served
}
