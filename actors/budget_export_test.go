package actors

import "github.com/asynkron/protoactor-go/actor"

// LookOnLoop has the loop of a worker look for what has expired in its queue, as
// a search asks it to that finds it between two turns. done is whether it has.
func LookOnLoop(sys *actor.ActorSystem, pid *actor.PID) (done func() bool) {
	mb := systemOf(sys).worker(pid)
	s := &search{mb: mb, walk: mb.loop.Walk()}
	s.asked.Store(true)
	mb.loop.PostControl(s)
	return func() bool { return !s.asked.Load() && s.done.Load() }
}
