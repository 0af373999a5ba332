package actors

import "github.com/asynkron/protoactor-go/actor"

// LastRequest sets the number of the last request that had a PID for its
// answers.
func LastRequest(sys *actor.ActorSystem, key uint64) { systemOf(sys).replies.last.Store(key) }

// OpenRequests is how many requests wait for answers to their PIDs.
func OpenRequests(sys *actor.ActorSystem) (n int) {
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
