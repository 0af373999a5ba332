// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"
)

// A Worker is the actor's context, with what setup registers. Its methods are spelled out,
// and not promoted from an embedded context, so that the documentation shows them. What
// they do when a task of the incarnation was abandoned is in the package's documentation.

// ActorSystem is the worker's.
func (w *Worker) ActorSystem() *actor.ActorSystem { return w.ctx.ActorSystem() }

// Self is the worker's PID.
func (w *Worker) Self() *actor.PID { return w.ctx.Self() }

// Parent is the PID of whoever has spawned the worker, if that was an actor; else nil.
func (w *Worker) Parent() *actor.PID { return w.ctx.Parent() }

// Actor is the engine's actor of the worker, in this incarnation.
func (w *Worker) Actor() actor.Actor { return w.ctx.Actor() }

// Logger is the actor system's logger, with the worker's name.
func (w *Worker) Logger() *slog.Logger { return w.mb.userLogger(w.ctx) }

// Spawn starts a child of the worker, as SpawnNamed under a name of its own. It
// panics where that returns an error, as the engine's does.
func (w *Worker) Spawn(props *actor.Props) *actor.PID { return w.ctx.Spawn(props) }

// SpawnPrefix is Spawn with a name that begins with prefix.
func (w *Worker) SpawnPrefix(props *actor.Props, prefix string) *actor.PID {
	return w.ctx.SpawnPrefix(props, prefix)
}

// SpawnNamed starts a child of the worker.
func (w *Worker) SpawnNamed(props *actor.Props, name string) (*actor.PID, error) {
	return w.ctx.SpawnNamed(props, name)
}

// Children are the children of the worker.
func (w *Worker) Children() []*actor.PID { return w.ctx.Children() }

// Watch lets the worker hear of the end of another actor: see [On] of an
// *actor.Terminated.
func (w *Worker) Watch(pid *actor.PID) { w.ctx.Watch(pid) }

// Unwatch takes Watch back.
func (w *Worker) Unwatch(pid *actor.PID) { w.ctx.Unwatch(pid) }

// Get returns an extension of the context.
func (w *Worker) Get(id ctxext.ContextExtensionID) ctxext.ContextExtension { return w.ctx.Get(id) }

// Set adds an extension to the context.
func (w *Worker) Set(x ctxext.ContextExtension) { w.ctx.Set(x) }

// Send sends a message to an actor.
func (w *Worker) Send(pid *actor.PID, message any) { w.ctx.Send(pid, message) }

// Request is Send with the worker as the sender.
func (w *Worker) Request(pid *actor.PID, message any) { w.ctx.Request(pid, message) }

// RequestWithCustomSender is Send with another sender.
func (w *Worker) RequestWithCustomSender(pid *actor.PID, message any, sender *actor.PID) {
	w.ctx.RequestWithCustomSender(pid, message, sender)
}

// RequestFuture is the engine's, with the engine's future: see the function
// [RequestFuture] for one that can be awaited.
func (w *Worker) RequestFuture(pid *actor.PID, message any, timeout time.Duration) *actor.Future {
	return w.ctx.RequestFuture(pid, message, timeout)
}

// Stop stops an actor at once.
func (w *Worker) Stop(pid *actor.PID) { w.ctx.Stop(pid) }

// StopFuture is Stop, with the engine's future of the end.
func (w *Worker) StopFuture(pid *actor.PID) *actor.Future { return w.ctx.StopFuture(pid) }

// Poison stops an actor when it has handled what is in its mailbox.
func (w *Worker) Poison(pid *actor.PID) { w.ctx.Poison(pid) }

// PoisonFuture is Poison, with the engine's future of the end.
func (w *Worker) PoisonFuture(pid *actor.PID) *actor.Future { return w.ctx.PoisonFuture(pid) }

// SetReceiveTimeout is [Task.SetReceiveTimeout].
func (w *Worker) SetReceiveTimeout(d time.Duration) { w.ctx.SetReceiveTimeout(d) }

// CancelReceiveTimeout turns the receive timeout off.
func (w *Worker) CancelReceiveTimeout() { w.ctx.CancelReceiveTimeout() }

// ReceiveTimeout is what SetReceiveTimeout set.
func (w *Worker) ReceiveTimeout() time.Duration { return w.ctx.ReceiveTimeout() }

// Message is that of the task whose turn it is, and so is what follows: in a handler use
// its own [Task].
func (w *Worker) Message() any { return w.ctx.Message() }

// MessageHeader is the header of that message.
func (w *Worker) MessageHeader() actor.ReadonlyMessageHeader { return w.ctx.MessageHeader() }

// Sender is whom an answer to that message goes to.
func (w *Worker) Sender() *actor.PID { return w.ctx.Sender() }

// Respond answers that message: see [Task.Respond].
func (w *Worker) Respond(response any) { w.ctx.Respond(response) }

// Forward sends that message on: see [Task.Forward].
func (w *Worker) Forward(pid *actor.PID) { w.ctx.Forward(pid) }

// Stash keeps that message for the next incarnation: see [Task.Stash].
func (w *Worker) Stash() { w.ctx.Stash() }

// ReenterAfter calls cont in a turn of the worker: see [Task.ReenterAfter].
func (w *Worker) ReenterAfter(f *actor.Future, cont func(res any, err error)) {
	w.ctx.ReenterAfter(f, cont)
}

// Receive is for middleware.
func (w *Worker) Receive(env *actor.MessageEnvelope) { w.ctx.Receive(env) }
