// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"github.com/protoloop/protoloop/internal/park"
)

// line is the tasks that wait for the same thing, in order of arrival. One
// that is served stays in it until it goes on.
type line struct {
	first, last *waiter
	next        *waiter // the first one that has not been served
	served      int
}

// waiter is one wait of a task.
type waiter struct {
	prev, next *waiter
	spot       park.Spot
	who        park.Visit
	served     bool
}

func (l *line) empty() bool { return l.first == nil }

// join puts a task at the end of the line.
func (l *line) join(who park.Visit, spot park.Spot) *waiter {
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

// serve lets the next one go on, and returns it; nil: there is none.
func (l *line) serve() *waiter {
	w := l.next
	if w == nil {
		return nil
	}
	l.next = w.next
	w.served = true
	l.served++
	w.spot.Wake()
	return w
}

// dismiss lets all go on that have not been served.
func (l *line) dismiss() {
	for ; l.next != nil; l.next = l.next.next {
		l.next.spot.Wake()
	}
}

// leave takes w out of the line and reports whether it was served.
func (l *line) leave(w *waiter) bool {
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
