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
	// submissions (bench: burst/submit). It is the first word of a Loop; before that the host has what
	// senders write, too, and after it comes what is seldom looked at.
	head atomic.Pointer[Task]
}

// inboxState is what the head of an inbox says.
type inboxState uint8

const (
	inboxIdle   inboxState = iota + 1 // the idle mark: nobody runs the loop
	inboxEmpty                        // nil: somebody runs the loop, and nothing has come
	inboxFilled                       // the newest entry: somebody runs the loop, or is called to
	inboxStates
)

// inboxMove is a reason for the head to change.
type inboxMove uint8

const (
	inboxPush  inboxMove = iota // anybody: adds an entry
	inboxTake                   // whoever runs the loop: takes all entries
	inboxSleep                  // whoever runs the loop: lets go of it
	inboxMoves
)

// inboxTable says who may bring the head from where to where. What is not in it does
// not happen: to sleep fails where something has come, and nobody takes from an inbox
// whose loop he does not run.
//
// The loop changes hands in two places, and each is one exchange of the head: whoever
// sleeps has given it away, and whoever pushes to an idle one has to call a runner. It
// is the only one who does, because the head is not idle any more. So there is no
// moment in which an entry waits and nobody will come for it.
var inboxTable = [inboxMoves][inboxStates]inboxState{
	inboxPush:  {inboxIdle: inboxFilled, inboxEmpty: inboxFilled, inboxFilled: inboxFilled},
	inboxTake:  {inboxEmpty: inboxEmpty, inboxFilled: inboxEmpty},
	inboxSleep: {inboxEmpty: inboxIdle},
}

// after is where a move leads from s; ok is false if it is not allowed there.
func (s inboxState) after(m inboxMove) (to inboxState, ok bool) {
	to = inboxTable[m][s]
	return to, to != 0
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
		yieldAt(atPush)
		if q.head.CompareAndSwap(old, t) {
			return idle
		}
	}
}

// take returns all entries, oldest first.
func (q *inbox) take() *Task {
	yieldAt(atTake)
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
func (q *inbox) sleep() bool {
	yieldAt(atSleep)
	return q.head.CompareAndSwap(nil, idleMark)
}
