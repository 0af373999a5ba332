// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/loop"
)

// LookOnLoop has the loop of a worker look for what has expired in its queue, as
// a search asks it to that finds it between two turns. done is whether it has.
func LookOnLoop(sys *actor.ActorSystem, pid *actor.PID) (done func() bool) {
	mb := systemOf(sys).worker(pid)
	s := &search{mb: mb, walk: mb.loop.Walk()}
	s.asked.Store(true)
	mb.loop.PostControl(s)
	return func() bool { return !s.asked.Load() && s.done.Load() }
}

// NoQuickCopy has searches of queues take any heap of the clock for a long one, until undone.
func NoQuickCopy() (undo func()) {
	before := quickCopy
	quickCopy = 0
	return func() { quickCopy = before }
}

// LongestPin is how many tasks of a worker whoever has looked at it has met at most
// while its loop could not go on.
func LongestPin(sys *actor.ActorSystem, pid *actor.PID) (n int) {
	l := &systemOf(sys).worker(pid).loop
	l.Peek(func(*loop.Task) { n = l.LongestPin() })
	return n
}
