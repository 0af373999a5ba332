// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/panicstack"
)

// plainEnd is how far a plain actor has come with its end, or with that of one of
// its lives. The engine sends Stopping or Restarting, tells the children to stop,
// and waits until they have. Meanwhile it would let the actor handle messages and
// start children, and would tell none of these to stop: so it would wait for ever.
// A Restart behind a Stop would take that back, or, if the actor is gone already,
// bring one to life that is in no registry and that nobody can stop.
type plainEnd struct {
	stopsChildren bool  // between Stopping or Restarting, and Stopped or Started
	delivers      bool  // one of the messages of an end is being delivered
	hasStopped    bool  // Stopped has been
	spawnErr      error // why it starts no children any more
	stopAsked     bool
}

// beginLife is called at Started.
func (e *plainEnd) beginLife() { e.stopsChildren, e.delivers, e.spawnErr = false, false, nil }

// plainInvoker is between the mailbox and the engine.
type plainInvoker struct {
	actor.MessageInvoker
	plain    *plainProcess
	mailbox  actor.Mailbox
	handling any // the message that is being handled; nil: none
}

// InvokeSystemMessage is the mailbox's.
func (i *plainInvoker) InvokeSystemMessage(m any) {
	switch m.(type) {
	case *actor.Restart:
		if i.plain.end.stopAsked {
			return
		}
	case *actor.Stop:
		if !i.plain.end.stopAsked {
			i.plain.end.stopAsked = true
			i.mailbox.PostSystemMessage(&actor.ResumeMailbox{}) // for what is in the queue
		}
	}
	if i.plain.end.stopAsked {
		defer i.goOnEnding()
	}
	i.handling = m
	i.MessageInvoker.InvokeSystemMessage(m)
	i.handling = nil
}

// EscalateFailure is the mailbox's, after a panic.
func (i *plainInvoker) EscalateFailure(reason, m any) {
	i.handling = nil
	i.MessageInvoker.EscalateFailure(reason, m)
}

// goOnEnding goes on with the end of an actor when a middleware around ours has
// panicked: the engine would have told its children nothing, and wait for ever.
func (i *plainInvoker) goOnEnding() {
	v := recover()
	if v == nil {
		return
	}
	i.handling = nil
	p := i.plain
	p.logPanic("Stopping, Terminated or Stopped", v)
	p.end.stopsChildren, p.end.spawnErr = true, actors.ErrStopped
	for _, kid := range p.context.Children() {
		sendSystem(p.child.core.node.sys, kid, &actor.Stop{})
	}
	defer func() { // it may panic each time: then the parent hears of the end all the same
		if v := recover(); v != nil {
			p.logPanic("Terminated or Stopped", v)
		}
		if _, there := p.child.core.node.sys.ProcessRegistry.Get(p.pid); !there {
			sendSystem(p.child.core.node.sys, p.child.core.node.pid, &actor.Terminated{Who: p.pid})
		}
	}()
	i.MessageInvoker.InvokeSystemMessage(&actor.Terminated{Who: p.probe}) // it looks whether all have ended
}

func (p *plainProcess) logPanic(in string, v any) {
	o, stack := p.child.core.events, panicstack.Take(1)
	o.logError("supervisor: panic in a lifecycle message", "actor", p.pid, "message", in, "panic", v, "stack", string(stack))
	o.tellPanic(p.pid, in, v, stack)
}

// InvokeUserMessage is the mailbox's. What has come behind a Stop is a dead letter:
// the engine would drop it, once the actor is gone, and tell nobody.
func (i *plainInvoker) InvokeUserMessage(m any) {
	if !i.plain.end.stopAsked {
		i.handling = m
		i.MessageInvoker.InvokeUserMessage(m)
		i.handling = nil
		return
	}
	if _, pill := m.(*actor.PoisonPill); !pill {
		i.plain.deadLetterMessage(m)
	}
}

// deadLetterMessage makes a dead letter of a message.
func (p *plainProcess) deadLetterMessage(m any) {
	c := p.child.core
	c.callEngine(func() { c.node.sys.DeadLetter.SendUserMessage(p.pid, m) })
}

// callEngine lets the engine be given a message, in order, by another goroutine. Code of
// users is called then: sender middleware of the root context, and subscribers to dead
// letters. It must neither hold up the end of a child or its supervisor, nor take it down.
func (c *core) callEngine(give func()) {
	c.engineCalls.Call(give, func(v any, stack []byte) {
		c.events.logError("supervisor: panic in a sender middleware, or in a subscriber to dead letters", "panic", v, "stack", string(stack))
		c.events.tellPanic(nil, "a sender middleware, or a subscriber to dead letters", v, stack)
	})
}

// deliverLifecycle delivers a message to an actor that ends. Whatever the actor does
// about it, its end goes on: the engine would take a panic for a restart, or never
// tell the parent of the end.
func (p *plainProcess) deliverLifecycle(next actor.ReceiverFunc, c actor.ReceiverContext, env *actor.MessageEnvelope) {
	p.end.stopsChildren, p.end.delivers = true, true
	defer func() {
		if v := recover(); v != nil {
			p.logPanic(typeName(env.Message), v)
			p.end.delivers = false
		}
	}()
	next(c, env)
	p.end.delivers = false
}

// refuseLateSpawn lets no child start that the engine would not tell to stop: it has
// told those that there are. To stop the child here would not do: an actor that
// replaces a child when that has ended would go on for ever. It is called on the
// actor's goroutine.
func (p *plainProcess) refuseLateSpawn(next actor.SpawnFunc) actor.SpawnFunc {
	return func(sys *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
		if p.end.spawnErr != nil {
			return nil, fmt.Errorf("supervisor: spawn %q by an actor that is about to end: %w", id, p.end.spawnErr)
		}
		return next(sys, id, props, parent)
	}
}

var _ actor.MessageInvoker = (*plainInvoker)(nil)
