// SPDX-License-Identifier: Apache-2.0

package actors

import "github.com/asynkron/protoactor-go/actor"

// TakeOver takes the turn of a worker over that is in user code now.
func TakeOver(sys *actor.ActorSystem, pid *actor.PID) bool {
	l := &systemOf(sys).worker(pid).loop
	turn, ok := l.InUser()
	return ok && l.Takeover(turn)
}

// Requests is how many requests of a system wait for an answer to their PID.
func Requests(sys *actor.ActorSystem) (n int) {
	r := &systemOf(sys).replies
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, g := range r.segments {
		for i := range g.slots {
			if g.slots[i].Load() != nil {
				n++
			}
		}
	}
	return n
}

// Holds reports whether a worker is said to be held by an Exclusive task.
func Holds(sys *actor.ActorSystem, pid *actor.PID) bool {
	s := systemOf(sys)
	return s.worker(pid).holder.Load() != nil
}
