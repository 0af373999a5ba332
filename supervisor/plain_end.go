package supervisor

import (
	"fmt"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// plainEnd is how far a plain actor has come with its end, or with that of one of
// its lives. The engine sends Stopping or Restarting, tells the children to stop,
// and waits until they have. Meanwhile it would let the actor handle messages and
// start children, and would tell none of these to stop: so it would wait for ever.
// A Restart behind a Stop would take that back, or, if the actor is gone already,
// bring one to life that is in no registry and that nobody can stop.
type plainEnd struct {
	near bool  // between Stopping or Restarting, and Stopped or Started
	over error // why it starts no children any more
	told bool  // to stop
}

// begin is Started.
func (e *plainEnd) begin() { e.near, e.over = false, nil }

// plainInvoker is between the mailbox and the engine.
type plainInvoker struct {
	actor.MessageInvoker
	p       *plain
	mailbox actor.Mailbox
}

// InvokeSystemMessage is the mailbox's.
func (i *plainInvoker) InvokeSystemMessage(m any) {
	switch m.(type) {
	case *actor.Restart:
		if i.p.end.told {
			return
		}
	case *actor.Stop:
		if !i.p.end.told {
			i.p.end.told = true
			i.mailbox.PostSystemMessage(&actor.ResumeMailbox{}) // for what is in the queue
		}
	}
	i.MessageInvoker.InvokeSystemMessage(m)
}

// InvokeUserMessage is the mailbox's. What has come behind a Stop is a dead letter:
// the engine would drop it, once the actor is gone, and tell nobody.
func (i *plainInvoker) InvokeUserMessage(m any) {
	if !i.p.end.told {
		i.MessageInvoker.InvokeUserMessage(m)
		return
	}
	if _, pill := m.(*actor.PoisonPill); !pill {
		i.p.lose(m)
	}
}

// lose makes a dead letter of a message.
func (p *plain) lose(m any) {
	defer func() {
		if v := recover(); v != nil {
			p.k.core.events.logError("supervisor: panic in a subscriber to dead letters", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	p.k.core.node.sys.DeadLetter.SendUserMessage(p.pid, m)
}

// last is a message of an actor that ends: whatever it does, it goes on to. The
// engine would take a panic there for a restart, or never tell the parent of the
// end.
func (p *plain) last(next actor.ReceiverFunc, c actor.ReceiverContext, env *actor.MessageEnvelope) {
	p.end.near = true
	defer func() {
		if v := recover(); v != nil {
			p.k.core.events.logError("supervisor: panic in a lifecycle message", "actor", p.pid,
				"message", typeName(env.Message), "panic", v, "stack", string(debug.Stack()))
		}
	}()
	next(c, env)
}

// refuseLate lets no child start that the engine would not tell to stop: it has
// told those that there are. To stop the child here would not do: an actor that
// replaces a child when that has ended would go on for ever. It is called on the
// actor's goroutine.
func (p *plain) refuseLate(next actor.SpawnFunc) actor.SpawnFunc {
	return func(sys *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
		if p.end.over != nil {
			return nil, fmt.Errorf("supervisor: spawn %q by an actor that is about to end: %w", id, p.end.over)
		}
		return next(sys, id, props, parent)
	}
}

var _ actor.MessageInvoker = (*plainInvoker)(nil)
