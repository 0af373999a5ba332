// SPDX-License-Identifier: Apache-2.0

// Package supervision joins a supervisor to the mailboxes of its children. It is
// apart so that neither package actors nor package supervisor has to show the
// other more than it shows everybody.
//
// A supervisor hands itself over to the mailbox of its own actor, see [ActorAt], and
// what that spawns finds it there.
package supervision

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/engine"
)

// Supervisor is what the mailboxes tell of their lives. Its methods are called
// on the loop of the child, or of the supervisor where noted, between turns:
// they must not block, panic or run user code.
type Supervisor interface {
	// AdoptChild: a child with an event loop is being spawned, and has not begun.
	// It is called in the supervisor's own Spawn.
	AdoptChild(c Child) Policy
	// ChildReady: setup of an incarnation has succeeded.
	ChildReady(c Child)
	// ChildStopping: the stop event of the child is set, and not by the supervisor. Any
	// goroutine.
	ChildStopping(c Child)
	// ChildFailed: the child has suspended itself and ends what is in flight. It
	// waits for Restart, Quiesce or Stop; unless f is Draining. It reports
	// whether the supervisor is still there to hear of it.
	ChildFailed(c Child, f *Failure) bool
	// MessageNotHandled: a message that was Retried or Stashed has been handled to no
	// end: the child ended first, or somebody has ended the message.
	MessageNotHandled(c Child, f *Failure)
	// ChildQuiesced: what Quiesce asked for has come about.
	ChildQuiesced(c Child)
	// ChildStopped: the child has its final account, which it had not when it was
	// asked for it.
	ChildStopped(c Child)

	// PlainFailed: an actor without an event loop has failed and is suspended. On
	// the supervisor's loop.
	PlainFailed(f *actor.Failure)
	// ActorTerminated: the engine has taken the actor off its list of the
	// supervisor's children. On the supervisor's loop.
	ActorTerminated(who *actor.PID)
	// SupervisorEnded: the supervisor's own actor has ended. On its loop.
	SupervisorEnded()
}

// Child is a supervised actor with an event loop. Its methods may be called on
// any goroutine.
type Child interface {
	PID() *actor.PID
	// Restart begins a new incarnation once the old one's tasks have ended.
	Restart()
	// Quiesce ends what is in flight, with cause, runs the OnStop hooks and
	// keeps the queue until Restart or Stop.
	Quiesce(cause error)
	// Stop is actors.Stop: a grace that is not positive cuts off at once.
	Stop(grace time.Duration)
	// SpawnCallsUsers reports whether another actor of the same props may call code of
	// users while it is spawned.
	SpawnCallsUsers() bool
	// StopGrace is how long the child lets its tasks unwind.
	StopGrace() time.Duration
	// Account is what there is to tell, so far.
	Account() Ended
	// Final is the account of a child that is gone; false: it is not. Then
	// the supervisor will hear Stopped.
	Final() (Ended, bool)
}

// Policy is what a child does by itself.
type Policy struct {
	// Retries is how often a message whose handler panics is handled anew.
	Retries int32
	// Restart says that a Main that returns nil is a reason to restart.
	Restart bool
}

// Failure is why a child failed.
type Failure struct {
	Err error // nil: its Main has returned nil
	// Context has the values of the task that failed, for whoever traces it; nil: it has none.
	Context     context.Context
	Task        string     // that failed
	Message     any        // it worked on, or nil
	Sender      *actor.PID // of the message, or nil
	Incarnation uint64     // that ended
	Retried     bool       // the next incarnation is to handle the message anew, because of Policy.Retries …
	Stashed     bool       // … or because its handler has stashed it
	Draining    bool       // the child was told to stop, and goes on with what it has accepted
}

// Ended is the account of a child, and how its stop went.
type Ended struct {
	Counts    Counts
	Abandoned []Abandoned
	Drain     time.Duration // from the stop event until nothing was left to do, or the cut
	Unwind    time.Duration // from there until the tasks had ended
	Hooks     time.Duration // OnStop
	Release   time.Duration // until the engine had let go of it: its own children had stopped
}

// Counts is an actors.Counts.
type Counts struct{ Offered, Accepted, Refused, Finished, Failed, Canceled, Abandoned, DeadLettered, Pending int64 }

// Abandoned is a task that did not return.
type Abandoned struct {
	Name  string
	Since time.Time // it has been in the same turn, or was told to end
	Stack []byte
}

// Actor is an actor with an event loop, as a supervisor sees its own and those
// above it: what its mailbox can do besides.
type Actor interface {
	actor.Mailbox
	// Supervise makes a supervisor of what the actor spawns. It is given the one of
	// an earlier incarnation, or nil.
	Supervise(make func(before Supervisor) Supervisor)
	// Supervisor is what Supervise has made, or nil.
	Supervisor() Supervisor
}

// ActorAt is the actor of pid, which may be on its way to be spawned; nil: it has no
// event loop, or is gone.
func ActorAt(sys *actor.ActorSystem, pid *actor.PID) Actor {
	process, ok := sys.ProcessRegistry.GetLocal(pid.GetId())
	if !ok {
		return nil
	}
	a, _ := engine.MailboxOf(process).(Actor)
	return a
}
