// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"sync/atomic"
)

// How says how a task ended.
type How uint8

const (
	Returned How = iota // Body.Run returned
	Exited              // user code called runtime.Goexit
	Lost                // the turn was taken away by Takeover
)

// Body is what a task runs.
type Body interface {
	// Run is called in the loop's own state. It calls t.Enter and runs user
	// code, whose panics it must recover, or returns without.
	Run(t *Task)
	// Done is called once, on the loop, when the task has ended.
	Done(t *Task, how How)
	// CameBack is called once when the user code of a task that is lost has come
	// back from Run, by a return or by runtime.Goexit: before Done or after it, or
	// beside it, on whatever goroutine that code runs. Only here is it known for
	// sure: who asks Lost in Run may be told a moment before the turn is taken away.
	CameBack(t *Task)
}

// kinds of entries
const (
	kindTask    uint8 = iota // a task that has not started, or is to be resumed
	kindControl              // a message to the host
	kindTimer                // the loop's runtime timer has fired
)

// Task is one unit of work of a loop, and the queue entry that brings it
// there. The zero value with Body set can be posted once. It is small, because
// there is one for every message; what only a started task needs is in its
// coroutine.
type Task struct {
	Body Body
	next *Task      // in the inbox or in a lane
	co   *coroutine // what it runs on, from its first turn on

	// state is seq<<2 | one of the states below, or how it has ended. The
	// sequence number grows with each await, so that a stale Wake finds nothing.
	state atomic.Uint32

	flight  flight
	started bool
	kind    uint8
	Tag     uint8 // the host's own; constant once others know the task
}

// flight is what a task is for MaxInFlight. The loop's own.
type flight uint8

const (
	notInFlight flight = iota // or a child, which is not counted
	inFlight                  // counted
	// Such tasks are not counted, and start although the loop holds its messages back:
	// setup, hooks, background tasks.
	freeOfFlight
)

// control is an entry that is a message to the host.
type control struct {
	Task
	msg any
}

// Run is never called.
func (*control) Run(*Task) { panic("loop: a control message is no task") }

// Done is never called.
func (*control) Done(*Task, How) {}

// CameBack is never called.
func (*control) CameBack(*Task) {}

// states of a task, the low two bits of state
const (
	stateNew     uint32 = iota // queued
	stateAsleep                // awaits: may be woken
	stateWoken                 // awaits, its resumption is queued
	stateRunning               // runs
	stateMask    = 3
)

// the end; no sequence number reaches these
const (
	endedState = ^uint32(0)
	lostState  = endedState - 1 // its turn was taken away
)

// isEndState reports whether a task in state s has ended.
func isEndState(s uint32) bool { return s >= lostState }

// Running reports whether the task is the one that runs now. Called by
// anybody but the task itself, the answer may be old already.
func (t *Task) Running() bool {
	s := t.state.Load()
	return !isEndState(s) && s&stateMask == stateRunning
}

// Fresh reports whether the task has not started.
func (t *Task) Fresh() bool { return t.state.Load() == stateNew }

// Nesting reports whether the task, which runs, is waiting in Start for the
// first step of a child: the child asks, who may have its parent's Task.
func (t *Task) Nesting() bool { return t.co.nesting }

// Ended reports whether the task has ended.
func (t *Task) Ended() bool { return isEndState(t.state.Load()) }

// Suspended reports whether the task awaits.
func (t *Task) Suspended() bool {
	s := t.state.Load()
	return !isEndState(s) && (s&stateMask == stateAsleep || s&stateMask == stateWoken)
}

// Asleep reports whether the task awaits and nothing has woken it yet.
func (t *Task) Asleep() bool {
	s := t.state.Load()
	return !isEndState(s) && s&stateMask == stateAsleep
}

// Lost reports whether the task's turn was taken away. It then runs outside
// of its loop and must not touch the loop's state.
func (t *Task) Lost() bool { return t.state.Load() == lostState }

// Waiter is what the task can wait by, for one thing at a time. It is the coroutine's that the
// task runs on: there it needs no memory when it is needed, when the stack may be nearly full, and an
// allocation that the collector has to be helped for would make that twice as large.
func (t *Task) Waiter() *Waiter { return &t.co.wait }

// Nth is the place in order of arrival that the task, which has come from the
// lane, is live and has started, had there: of two the difference tells who was
// before. It counts anew where PushFront puts tasks before others.
func (t *Task) Nth() uint32 { return t.co.nth }

// Loop is the loop that the task runs on, once it has started.
func (t *Task) Loop() *Loop { return t.co.loop }
