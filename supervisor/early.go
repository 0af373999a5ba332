package supervisor

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/engine"
	"github.com/protoloop/protoloop/internal/loop"
)

// early is a plain actor's mailbox until that has started. The engine makes a
// PID known before its mailbox can take anything: what comes in between would
// panic in its sender, and leave the mailbox busy for ever. Here it waits.
type early struct {
	actor.Mailbox
	of   *plain
	open atomic.Bool // nothing waits any more; set under mu

	mu   sync.Mutex
	held []heldMessage
}

type heldMessage struct {
	m      any
	system bool
}

// holdEarly puts that around the mailbox of props, unless that is an event loop,
// which needs no help. Where a version of the engine does not tell what makes the
// mailbox, the PID of a plain actor must not be used before it has started.
func (p *plain) holdEarly(props *actor.Props) {
	produce := engine.MailboxProducerOf(props)
	if produce == nil {
		return
	}
	props.Configure(actor.WithMailbox(func() actor.Mailbox {
		mb := produce()
		if _, hasLoop := mb.(loop.Host); hasLoop {
			return mb
		}
		p.early = &early{Mailbox: mb, of: p}
		return p.early
	}))
}

// PostUserMessage is the engine's.
func (e *early) PostUserMessage(m any) {
	if e.open.Load() || !e.hold(heldMessage{m, false}) {
		e.Mailbox.PostUserMessage(m)
	}
}

// PostSystemMessage is the engine's. Started is the first that an actor gets.
func (e *early) PostSystemMessage(m any) {
	if _, first := m.(*actor.Started); first || e.open.Load() || !e.hold(heldMessage{m, true}) {
		e.Mailbox.PostSystemMessage(m)
	}
}

// hold keeps a message; false: the mailbox takes it.
func (e *early) hold(h heldMessage) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open.Load() {
		return false
	}
	e.held = append(e.held, h)
	return true
}

// RegisterHandlers is the engine's.
func (e *early) RegisterHandlers(invoker actor.MessageInvoker, d actor.Dispatcher) {
	e.Mailbox.RegisterHandlers(&plainInvoker{invoker, e.of, e.Mailbox}, d)
}

// Start is the engine's: Started has been posted.
func (e *early) Start() {
	e.Mailbox.Start()
	e.release(func(h heldMessage) {
		if h.system {
			e.Mailbox.PostSystemMessage(h.m)
		} else {
			e.Mailbox.PostUserMessage(h.m)
		}
	})
}

// release hands on what waits, in order, and lets the rest go straight on. It
// holds no lock while it does: a dispatcher may run the actor right here.
func (e *early) release(post func(h heldMessage)) {
	for {
		e.mu.Lock()
		held := e.held
		e.held = nil
		if held == nil {
			e.open.Store(true)
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

// lose is for a mailbox that will not start: its messages are dead letters.
func (e *early) lose(sys *actor.ActorSystem, pid *actor.PID) {
	e.release(func(h heldMessage) {
		if h.system {
			sys.DeadLetter.SendSystemMessage(pid, h.m)
		} else {
			sys.DeadLetter.SendUserMessage(pid, h.m)
		}
	})
}
