// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/engine"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/supervision"
)

// plainMailbox is a plain actor's mailbox. It keeps back what comes before the actor
// has started: the engine makes a PID known before its mailbox can take anything, and
// what comes in between would panic in its sender, and leave the mailbox busy for ever.
type plainMailbox struct {
	actor.Mailbox
	plain  *plainProcess
	isOpen atomic.Bool // nothing waits any more; set under mu

	mu   sync.Mutex
	held []heldMessage
}

type heldMessage struct {
	m      any
	system bool
}

// wrapMailbox puts a plainMailbox around the mailbox of props, unless that is an event loop,
// which needs no help. Where a version of the engine does not tell what makes the
// mailbox, the PID of a plain actor must not be used before it has started.
func (p *plainProcess) wrapMailbox(props *actor.Props) {
	produce := engine.MailboxProducerOf(props)
	if produce == nil {
		return
	}
	props.Configure(actor.WithMailbox(func() actor.Mailbox {
		mb := produce()
		if _, hasLoop := mb.(supervision.Actor); hasLoop {
			return mb
		}
		p.mailbox = &plainMailbox{Mailbox: mb, plain: p}
		return p.mailbox
	}))
}

// PostUserMessage is the engine's.
func (e *plainMailbox) PostUserMessage(m any) {
	if e.isOpen.Load() || !e.holdBack(heldMessage{m, false}) {
		e.Mailbox.PostUserMessage(m)
	}
}

// PostSystemMessage is the engine's. Started is the first that an actor gets. The engine
// resumes the mailbox when it handles a Restart, which may be behind a Quiesce.
func (e *plainMailbox) PostSystemMessage(m any) {
	if _, resume := m.(*actor.ResumeMailbox); resume && e.plain.quiesced.Load() {
		return
	}
	if _, first := m.(*actor.Started); first || e.isOpen.Load() || !e.holdBack(heldMessage{m, true}) {
		e.Mailbox.PostSystemMessage(m)
	}
}

// holdBack keeps a message; false: the mailbox takes it.
func (e *plainMailbox) holdBack(h heldMessage) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isOpen.Load() {
		return false
	}
	e.held = append(e.held, h)
	return true
}

// RegisterHandlers is the engine's.
func (e *plainMailbox) RegisterHandlers(invoker actor.MessageInvoker, d actor.Dispatcher) {
	i := &plainInvoker{MessageInvoker: invoker, plain: e.plain, mailbox: e.Mailbox}
	e.Mailbox.RegisterHandlers(i, &plainDispatcher{d, i})
}

// Start is the engine's: Started has been posted.
func (e *plainMailbox) Start() {
	e.Mailbox.Start()
	e.releaseHeld(func(h heldMessage) {
		if h.system {
			e.Mailbox.PostSystemMessage(h.m)
		} else {
			e.Mailbox.PostUserMessage(h.m)
		}
	})
}

// releaseHeld hands on what waits, in order, and lets the rest go straight on. It
// holds no lock while it does: a dispatcher may run the actor right here.
func (e *plainMailbox) releaseHeld(post func(h heldMessage)) {
	for {
		e.mu.Lock()
		held := e.held
		e.held = nil
		if held == nil {
			e.isOpen.Store(true)
		}
		e.mu.Unlock()
		if held == nil {
			return
		}
		for _, h := range held {
			post(h)
		}
	}
}

// deadLetterHeld is for a mailbox that will not start: its messages are dead letters.
func (e *plainMailbox) deadLetterHeld(pid *actor.PID) {
	c := e.plain.child.core
	dead := c.node.sys.DeadLetter
	e.releaseHeld(func(h heldMessage) {
		c.callEngine(func() {
			if h.system {
				dead.SendSystemMessage(pid, h.m)
			} else {
				dead.SendUserMessage(pid, h.m)
			}
		})
	})
}

// plainDispatcher is between the mailbox and its dispatcher. A plain actor, its
// producer or a middleware that calls runtime.Goexit ends the goroutine on which the
// mailbox works. The engine would leave the mailbox busy, so that nobody would work on it
// any more, and tell nobody: the asker would wait for its timeout, and a stop for ever.
type plainDispatcher struct {
	actor.Dispatcher
	invoker *plainInvoker
}

// Schedule is the mailbox's.
func (d *plainDispatcher) Schedule(work func()) {
	d.Dispatcher.Schedule(func() {
		returned := false
		defer func() {
			if returned || d.invoker.handling == nil {
				// A middleware of the mailbox itself may be called when others work on
				// it already: to schedule it then would let two at it.
				return
			}
			if v := recover(); v != nil { // the engine's own: it recovers those of users
				panic(v)
			}
			defer d.Schedule(work)
			d.invoker.handleGoexit()
		}()
		work()
		returned = true
	})
}

// plainGoexit is that a plain actor has called runtime.Goexit, on its way through the
// engine.
type plainGoexit struct{ restartRound uint64 }

func (plainGoexit) Error() string { return actors.ErrGoexit.Error() }

// goOnProbe is whose end lets the engine look whether all children have ended.
var goOnProbe = actor.NewPID("protoloop", "go-on")

// handleGoexit does what is due of a message that has not been handled to its end. In the
// end of the actor, or of one of its lives, the engine goes on as it would have done. Else
// the actor has failed.
func (i *plainInvoker) handleGoexit() {
	p, m := i.plain, i.handling
	i.handling = nil
	if p.end.stopAsked || p.end.delivers {
		p.logPanic(typeName(m), "runtime.Goexit was called")
		p.end.delivers, p.end.stopsChildren, p.end.spawnErr = false, true, actors.ErrRestarted
		if p.end.stopAsked {
			p.end.spawnErr = actors.ErrStopped
		}
		for _, kid := range p.context.Children() {
			sendSystem(p.child.core.node.sys, kid, &actor.Stop{})
		}
		i.mailbox.PostSystemMessage(&actor.Terminated{Who: goOnProbe})
		return
	}
	if env, ok := m.(*actor.MessageEnvelope); ok {
		p.failAsker(env.Sender, actors.ErrGoexit)
	}
	if p.abandoned.Load() {
		p.child.core.events.logError("supervisor: runtime.Goexit in an abandoned actor; it stops", "actor", p.pid)
		p.child.core.tellFailure(failure.WorkerFailure, p.pid, typeName(m), actors.ErrGoexit)
		p.postSystem(&actor.Stop{})
		return
	}
	i.EscalateFailure(plainGoexit{p.restartsBegun.Load()}, m)
}

var _ actor.Dispatcher = (*plainDispatcher)(nil)
