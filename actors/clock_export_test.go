// SPDX-License-Identifier: Apache-2.0

package actors

import "github.com/asynkron/protoactor-go/actor"

// StallClock lets the timers of the system's deadlines never fire.
func StallClock(as *actor.ActorSystem) {
	c := &systemOf(as).clock
	for i := range c.part {
		h := &c.part[i]
		h.mu.Lock()
		h.armed = 1
		h.mu.Unlock()
	}
}

// IsClockSet reports whether a timer for the system's deadlines is set.
func IsClockSet(as *actor.ActorSystem) (set bool) {
	c := &systemOf(as).clock
	for i := range c.part {
		h := &c.part[i]
		h.mu.Lock()
		set = set || h.armed != 0
		h.mu.Unlock()
	}
	return set
}
