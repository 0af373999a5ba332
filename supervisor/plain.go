// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/panicstack"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/messages"
)

// plainProcess is the process of a plain actor, on the engine's own mailbox (see
// plainMailbox). A receiver middleware reports what the engine does not: when Started
// has been handled, and the stack of a panic. How it ends is at plainEnd.
//
// Its fields are owned by the supervisor's loop, unless noted.
type plainProcess struct {
	child    *child
	pid      *actor.PID    // constant once it is spawned
	context  actor.Context // the engine's; likewise
	observed bool          // the middleware is in
	probe    *actor.PID    // of a message that only it sees
	mailbox  *plainMailbox // its mailbox, once it has been made

	restartRound uint64 // Restarts it has been sent
	stopAskedAt  time.Time
	suspended    bool // it would never come to a PoisonPill

	restartsBegun atomic.Uint64 // Restarts it has begun
	abandoned     atomic.Bool   // nobody deals with its failures any more
	quiesced      atomic.Bool   // it is to handle nothing until the next Restart
	end           plainEnd      // the actor's
}

// plainStopGrace is how long a plain actor that has been told to stop may take for the
// message that it works on.
const plainStopGrace = 5 * time.Second

var _ childProcess = (*plainProcess)(nil)

func isPlainProcess(p childProcess) bool {
	_, is := p.(*plainProcess)
	return is
}

func newPlainProcess(k *child) *plainProcess {
	return &plainProcess{child: k, probe: actor.NewPID("protoloop", "probe")}
}

// observedProps puts the middleware in if the actor turns out to be a plain one.
func (p *plainProcess) observedProps(of *actor.Props) *actor.Props {
	var own *actor.Props
	own = of.Clone(actor.WithOnInit(func(ctx actor.Context) {
		p.pid, p.context = ctx.Self(), ctx
		if supervision.ActorAt(ctx.ActorSystem(), p.pid) == nil {
			own.Configure(actor.WithReceiverMiddleware(p.observeMessages), actor.WithSpawnMiddleware(p.refuseLateSpawn))
			p.observed = true
		}
	}))
	p.wrapMailbox(own)
	return own
}

// plainPanic is the panic of a plain actor on its way through the engine.
type plainPanic struct {
	*actors.PanicError
	restartRound uint64
}

// observeMessages is the receiver middleware. It is called on the actor's goroutine.
func (p *plainProcess) observeMessages(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
		switch m := env.Message.(type) {
		case *actor.Started:
			p.end.beginLife()
			defer p.recoverPanic(c, env)
			next(c, env)
			p.child.core.node.postChildEvent(p, func(t *actors.Task, k *child) { k.handleEvent(t, life.ChildSetUp) })
		case *actor.Restarting:
			p.restartsBegun.Add(1)
			p.postSystem(&actor.SuspendMailbox{}) // the engine resumes it with the next life
			p.deliverLifecycle(next, c, env)
			p.end.spawnErr = actors.ErrRestarted
		case *actor.Stopping:
			p.deliverLifecycle(next, c, env)
			p.end.spawnErr = actors.ErrStopped
		case *actor.Stopped:
			if !p.end.hasStopped { // it has, if it has called Goexit then
				p.end.hasStopped = true
				p.deliverLifecycle(next, c, env)
			}
		case *actor.Terminated:
			switch {
			case m.Who == goOnProbe:
			case m.Who == p.probe:
				p.child.core.node.postChildEvent(p, func(t *actors.Task, k *child) { k.handleEvent(t, life.ChildHasQuiesced) })
			case p.end.stopsChildren:
				p.deliverLifecycle(next, c, env)
			default:
				defer p.recoverPanic(c, env)
				next(c, env)
			}
		default:
			defer p.recoverPanic(c, env)
			next(c, env)
		}
	}
}

// recoverPanic keeps the stack of a panic, which the engine drops, answers the asker,
// whom the engine would let wait, and lets the engine go on.
func (p *plainProcess) recoverPanic(c actor.ReceiverContext, env *actor.MessageEnvelope) {
	v := recover()
	if v == nil {
		return
	}
	err := &actors.PanicError{Value: v, Stack: panicstack.Take(0)}
	p.failAsker(env.Sender, err)
	if p.abandoned.Load() {
		p.child.core.events.logError("supervisor: panic in an abandoned actor; it stops", "actor", p.pid, "panic", v, "stack", string(err.Stack))
		p.child.core.tellFailure(failure.WorkerFailure, p.pid, typeName(env.Message), err)
		p.postSystem(&actor.Stop{})
		return
	}
	panic(plainPanic{err, p.restartsBegun.Load()})
}

// failAsker tells who has asked, or nil, that the actor has failed of it.
func (p *plainProcess) failAsker(asker *actor.PID, err error) {
	if asker == nil {
		return
	}
	f := messages.NewFailure(err, true, false)
	f.Ran, f.RetrySafe = true, false // whatever a Failure that it has panicked with says of somebody else
	c := p.child.core
	c.callEngine(func() { c.node.sys.Root.Send(asker, f) })
}

// linkFailure is the engine's failure as a worker would report it; now: it is of the
// incarnation that counts. What fails late, after the suspension of its mailbox has
// overtaken it, has been sent a Restart meanwhile.
func (p *plainProcess) linkFailure(f *actor.Failure) (out supervision.Failure, now bool) {
	round := p.restartRound
	switch v := f.Reason.(type) {
	case plainPanic:
		out.Err, round = v.PanicError, v.restartRound
	case plainGoexit:
		out.Err, round = actors.ErrGoexit, v.restartRound
	default: // in a producer, or in a middleware around ours
		out.Err = &actors.PanicError{Value: v}
	}
	m := f.Message
	if env, ok := m.(*actor.MessageEnvelope); ok {
		m, out.Sender = env.Message, env.Sender
	}
	if _, lifecycle := m.(actor.SystemMessage); !lifecycle {
		out.Message = m
	}
	out.Task = typeName(m)
	now = round == p.restartRound
	p.suspended = p.suspended || now
	return out, now
}

// PID is the actor's.
func (p *plainProcess) PID() *actor.PID { return p.pid }

// SpawnCallsUsers is so: its producer is theirs.
func (p *plainProcess) SpawnCallsUsers() bool { return true }

// StopGrace is how long it may take after the grace.
func (p *plainProcess) StopGrace() time.Duration { return plainStopGrace }

// Account is all there is to say of a plain actor's stop.
func (p *plainProcess) Account() supervision.Ended {
	if p.stopAskedAt.IsZero() {
		return supervision.Ended{}
	}
	return supervision.Ended{Release: time.Since(p.stopAskedAt)}
}

// Final is that: the engine has forgotten it.
func (p *plainProcess) Final() (supervision.Ended, bool) { return p.Account(), true }

func (p *plainProcess) postSystem(m any) { sendSystem(p.child.core.node.sys, p.pid, m) }

func sendSystem(sys *actor.ActorSystem, pid *actor.PID, m any) {
	if process, ok := sys.ProcessRegistry.Get(pid); ok {
		process.SendSystemMessage(pid, m)
	}
}

// Restart is the engine's. It resumes the mailbox, too.
func (p *plainProcess) Restart() {
	p.suspended = false
	p.quiesced.Store(false)
	p.restartRound++
	p.postSystem(&actor.Restart{})
}

// Quiesce suspends it. The message that it works on runs to its end: nothing
// else can be done about it.
func (p *plainProcess) Quiesce(error) {
	p.suspended = true
	p.quiesced.Store(true) // before: see PostSystemMessage
	p.postSystem(&actor.SuspendMailbox{})
	p.postSystem(&actor.Terminated{Who: p.probe})
}

// Stop lets it work through its mailbox within the grace. A suspended mailbox
// would never come to that.
func (p *plainProcess) Stop(grace time.Duration) {
	if p.stopAskedAt.IsZero() {
		p.stopAskedAt = time.Now()
	}
	if grace < 0 || p.suspended {
		p.postSystem(&actor.Stop{})
		return
	}
	// Not by the root's Poison: that of an actor which is gone is a dead letter.
	if process, ok := p.child.core.node.sys.ProcessRegistry.Get(p.pid); ok {
		process.SendUserMessage(p.pid, &actor.PoisonPill{})
	}
}

func typeName(m any) string { return fmt.Sprintf("%T", m) }

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
