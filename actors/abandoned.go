// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/observe"
	"github.com/protoloop/protoloop/internal/taskwait"
)

// A task that has been abandoned runs beside its worker, whose next incarnation
// may be at work: it must not act in its name any more. The methods here are
// those of the engine's context, for a Task and for the context that a plain
// actor or a Worker has; guarantee 11 says what each does then.

// runOnLoop runs f, which touches what is the loop's or the engine's, in the task's
// turn. It reports false, without a call, if the turn has been taken away.
func (t *Task) runOnLoop(f func()) bool {
	if t.coroutineTask().has(isOffLoop) { // the loop waits for it, or is over
		f()
		return true
	}
	return t.loopTask().OnLoop(f)
}

// isAbandoned reports whether the task has been abandoned.
func (t *Task) isAbandoned() bool { return t.loopTask().Lost() }

// Spawn starts a child of the worker, as SpawnNamed under a name of its own. It
// panics where that returns an error, as the engine's does.
func (t *Task) Spawn(props *actor.Props) *actor.PID {
	return must(t.SpawnNamed(props, t.ActorSystem().ProcessRegistry.NextId()))
}

// SpawnPrefix is Spawn with a name that begins with prefix.
func (t *Task) SpawnPrefix(props *actor.Props, prefix string) *actor.PID {
	return must(t.SpawnNamed(props, prefix+t.ActorSystem().ProcessRegistry.NextId()))
}

// SpawnNamed starts a child of the worker. For a task that has been abandoned, be
// it while its child started, it fails with why the task was ended, and the child
// is stopped. So it fails in Terminated and Stopped when the children of an actor
// that ends have been told to stop.
func (t *Task) SpawnNamed(props *actor.Props, name string) (*actor.PID, error) {
	t.checkCurrent("SpawnNamed")
	if t.coroutineTask().has(isOffLoop) {
		return nil, t.mb.refusalLate(cmp.Or(t.coroutineTask().inc, t.mb.inc.Load()), name)
	}
	if t.mb.decorated() && !t.isAbandoned() {
		return t.actorContext.SpawnNamed(props, name)
	}
	return t.mb.spawnChild(t.coroutineTask().inc, t, props, name)
}

func must(pid *actor.PID, err error) *actor.PID {
	if err != nil {
		panic(err)
	}
	return pid
}

// ActorSystem is the worker's.
func (t *Task) ActorSystem() *actor.ActorSystem { return t.actorContext.ActorSystem() }

// Self is the worker's PID.
func (t *Task) Self() *actor.PID { return t.actorContext.Self() }

// Parent is the PID of whoever has spawned the worker, if that was an actor; else nil.
func (t *Task) Parent() *actor.PID { return t.actorContext.Parent() }

// Logger is the actor system's logger, with the worker's name. That is made once for each
// worker. Records that are made without a context have the values of the task's: see
// [Task.SetContext].
func (t *Task) Logger() *slog.Logger {
	l := t.mb.userLogger(t.actorContext)
	if ctx := t.base(); ctx != nil {
		return slog.New(withContext{l.Handler(), ctx})
	}
	return l
}

// namedLogger is a logger to which the name of its worker was added.
type namedLogger struct{ plain, named *slog.Logger }

// userLogger adds to the logger of the actor's context c which actor logs. That is kept,
// as it is five allocations (BenchmarkTaskLogger); a context decorator may have another
// logger each time.
func (mb *mailbox) userLogger(c actor.Context) *slog.Logger {
	plain, kept := c.Logger(), &mb.sparse().userLogger
	if l := kept.Load(); l != nil && l.plain == plain {
		return l.named
	}
	l := &namedLogger{plain, plain.With("worker", c.Self().GetId())}
	kept.Store(l)
	return l.named
}

// Children are the children of the worker.
func (t *Task) Children() (all []*actor.PID) {
	t.checkCurrent("Children")
	t.runOnLoop(func() { all = t.mb.raw().Children() })
	return all
}

// Actor is the engine's actor of the worker, in this incarnation.
func (t *Task) Actor() actor.Actor {
	if t.inc != nil {
		return t.inc.actor
	}
	return t.mb.inc.Load().actor
}

// Get returns an extension of the context.
func (t *Task) Get(id ctxext.ContextExtensionID) (x ctxext.ContextExtension) {
	if id == taskwait.TaskID {
		return (*suspendable)(t)
	}
	t.checkCurrent("Get")
	t.runOnLoop(func() { x = t.mb.raw().Get(id) })
	return x
}

// Set adds an extension to the context.
func (t *Task) Set(x ctxext.ContextExtension) {
	t.checkCurrent("Set")
	t.runOnLoop(func() { t.mb.raw().Set(x) })
}

// Watch lets the worker hear of the end of another actor.
func (t *Task) Watch(pid *actor.PID) {
	if !t.isAbandoned() {
		t.actorContext.Watch(pid)
	}
}

// Unwatch takes Watch back.
func (t *Task) Unwatch(pid *actor.PID) {
	if !t.isAbandoned() {
		t.actorContext.Unwatch(pid)
	}
}

// Send sends a message to an actor.
func (t *Task) Send(pid *actor.PID, message any) {
	if t.isAbandoned() {
		t.mb.sendToDeadLetters(pid, message)
		return
	}
	t.actorContext.Send(pid, t.withTrace(message))
}

// Request is Send with the worker as the sender.
func (t *Task) Request(pid *actor.PID, message any) {
	if t.isAbandoned() {
		t.mb.sendToDeadLetters(pid, message)
		return
	}
	if env, is := t.withTrace(message).(*actor.MessageEnvelope); is && observe.Observed() && env != message {
		env.Sender = t.Self()
		t.actorContext.Send(pid, env)
		return
	}
	t.actorContext.Request(pid, message)
}

// RequestWithCustomSender is Send with another sender.
func (t *Task) RequestWithCustomSender(pid *actor.PID, message any, sender *actor.PID) {
	if t.isAbandoned() {
		t.mb.sendToDeadLetters(pid, message)
		return
	}
	if env, is := t.withTrace(message).(*actor.MessageEnvelope); is && observe.Observed() && env != message {
		env.Sender = sender
		t.actorContext.Send(pid, env)
		return
	}
	t.actorContext.RequestWithCustomSender(pid, message, sender)
}

// RequestFuture is the engine's, with the engine's future: see the function
// [RequestFuture] for one that can be awaited.
func (t *Task) RequestFuture(pid *actor.PID, message any, timeout time.Duration) *actor.Future {
	if t.isAbandoned() {
		return t.mb.failUnanswered(pid, message, timeout)
	}
	return t.actorContext.RequestFuture(pid, message, timeout)
}

// Stop stops an actor at once.
func (t *Task) Stop(pid *actor.PID) {
	if !t.isAbandoned() {
		t.actorContext.Stop(pid)
	}
}

// StopFuture is Stop, with the engine's future of the end.
func (t *Task) StopFuture(pid *actor.PID) *actor.Future {
	if t.isAbandoned() {
		return t.mb.failUnanswered(pid, nil, stopTimeout)
	}
	return t.actorContext.StopFuture(pid)
}

// Poison stops an actor when it has handled what is in its mailbox.
func (t *Task) Poison(pid *actor.PID) {
	if !t.isAbandoned() {
		t.actorContext.Poison(pid)
	}
}

// PoisonFuture is Poison, with the engine's future of the end.
func (t *Task) PoisonFuture(pid *actor.PID) *actor.Future {
	if t.isAbandoned() {
		return t.mb.failUnanswered(pid, nil, stopTimeout)
	}
	return t.actorContext.PoisonFuture(pid)
}

// Receive is for middleware: it lets the actor handle a message in the task's
// turn.
func (t *Task) Receive(env *actor.MessageEnvelope) {
	if t.isAbandoned() {
		t.mb.sendToDeadLetters(t.mb.pid, env)
		return
	}
	t.actorContext.Receive(env)
}

// SetReceiveTimeout arranges for an [actor.ReceiveTimeout] message when no
// message has come for d; less than a millisecond turns it off. It counts as a
// message: in the account, at MaxInFlight, and at MailboxSize, where it is
// refused if the mailbox is full; then the next message that is handled sets
// the time anew.
func (t *Task) SetReceiveTimeout(d time.Duration) {
	t.checkCurrent("SetReceiveTimeout")
	t.runOnLoop(func() { t.mb.sparse().idle.set(d) })
}

// CancelReceiveTimeout turns the receive timeout off.
func (t *Task) CancelReceiveTimeout() { t.SetReceiveTimeout(0) }

// ReceiveTimeout is what SetReceiveTimeout set.
func (t *Task) ReceiveTimeout() (d time.Duration) {
	t.checkCurrent("ReceiveTimeout")
	t.runOnLoop(func() { d = t.mb.receiveTimeout() })
	return d
}

// stopTimeout is that of the engine's StopFuture and PoisonFuture.
const stopTimeout = 10 * time.Second

// sendToDeadLetters gives what an abandoned task wants to send to the dead letters.
func (mb *mailbox) sendToDeadLetters(pid *actor.PID, message any) {
	mb.sys.deadLetterNow(pid, message)
	if mb.hasFailureHook() {
		mb.tellFailure(failure.DeadLetter, "", fmt.Errorf("actors: dead letter: %T: sent by a task that was abandoned", message))
	}
}

// failUnanswered is unsent for a request: its future fails with the engine's
// ErrDeadLetter.
func (mb *mailbox) failUnanswered(pid *actor.PID, message any, timeout time.Duration) *actor.Future {
	f := actor.NewFuture(mb.sys.as, timeout)
	if message != nil {
		mb.sendToDeadLetters(pid, message)
	}
	mb.sys.sendNow(f.PID(), &actor.DeadLetterResponse{Target: pid})
	return f
}
