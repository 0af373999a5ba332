// SPDX-License-Identifier: Apache-2.0

package loop

import "sync/atomic"

// inbox is the multi-producer queue of a loop, a stack that the loop takes
// whole and turns round. One word says all: nil is "busy, nothing new", the
// idle mark is "nobody runs the loop", anything else is the newest entry.
//
// Rejected: a linked queue with an atomic tail beside a scheduler state. It
// has a moment in which an entry is pushed but cannot be seen, and two words
// whose predicates have to agree, or the loop spins or sleeps.
type inbox struct {
	// Nothing that whoever runs the loop is busy with is on its cache line:
	// senders write it all the time. Sharing one cost 5 % of a burst of
	// submissions. It is the first word of a Loop; before that the host has what
	// senders write, too, and after it comes what is seldom looked at.
	head atomic.Pointer[Task]
}

// idleMark is the inbox's head while nobody runs the loop.
var idleMark = new(Task)

// push adds t and reports whether the loop was idle: the caller then has to
// wake it.
func (q *inbox) push(t *Task) (idle bool) {
	for {
		old := q.head.Load()
		idle = old == idleMark
		if idle {
			t.next = nil
		} else {
			t.next = old
		}
		if q.head.CompareAndSwap(old, t) {
			return idle
		}
	}
}

// take returns all entries, oldest first.
func (q *inbox) take() *Task {
	var oldest *Task
	for t := q.head.Swap(nil); t != nil; {
		next := t.next
		t.next = oldest
		oldest, t = t, next
	}
	return oldest
}

func (q *inbox) empty() bool { return q.head.Load() == nil }

// sleep sets the idle mark, unless something has come. After a true return
// the loop may be run by somebody else.
func (q *inbox) sleep() bool { return q.head.CompareAndSwap(nil, idleMark) }
