// SPDX-License-Identifier: Apache-2.0

// Package failure tells the hooks of inspect.OnFailure what else is only logged. It
// stands apart so that all packages can tell, and none has to import inspect.
package failure

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/persystem"
	"github.com/protoloop/protoloop/internal/subscribers"
)

// The kinds of failures. What they mean is in package inspect.
const (
	Unobserved    = "unobserved failure"
	WorkerFailure = "worker failure"
	WorkerRestart = "worker restart"
	CallbackPanic = "callback panic"
	BlockedTurn   = "blocked turn"
	StalledWork   = "stalled work"
	AbandonedTask = "abandoned task"
	DeadLetter    = "dead letter"
)

// Failure is an inspect.Failure.
type Failure struct {
	Kind    string
	Worker  *actor.PID
	Task    string
	Err     error
	Stack   []byte
	At      time.Time
	Dropped int
}

// Bound is how many failures wait for a hook at most.
const Bound = 1000

// Hooks are those of one actor system. The zero value has none. Any goroutine.
type Hooks struct{ all subscribers.List[Failure] }

// Of is the hooks of an actor system.
func Of(sys *actor.ActorSystem) *Hooks { return persystem.Of[Hooks](sys) }

// Wanted reports whether there is a hook. Ask before you make up a Failure.
func (h *Hooks) Wanted() bool { return h.all.Wanted() }

// Add has call told of failures from now on, until remove is called. The panics of call
// go to log.
func (h *Hooks) Add(log *slog.Logger, call func(Failure)) (remove func()) {
	return h.all.Add(log, "inspect: a hook of OnFailure", Bound, func(f Failure, dropped int) {
		f.Dropped = dropped
		call(f)
	})
}

// Tell tells each hook, in its own time. It calls no code of users, and waits for none.
func (h *Hooks) Tell(f Failure) {
	if h.Wanted() {
		f.At = time.Now()
		h.all.Tell(f)
	}
}
