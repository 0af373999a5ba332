package supervisor

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/link"
	"github.com/protoloop/protoloop/messages"
)

// plain is the process of a plain actor, on the engine's own mailbox (see
// early). A receiver middleware tells what its mailbox does not: when Started
// has been handled, and the stack of a panic. How it ends is in plain_end.go.
//
// Its fields are owned by the supervisor's loop, unless noted.
type plain struct {
	k       *child
	pid     *actor.PID // constant once it is spawned
	watched bool       // the middleware is in
	probe   *actor.PID // of a message that only it sees
	early   *early     // its mailbox, once it has been made

	round     uint64    // Restarts it was told of
	asked     time.Time // to stop
	suspended bool      // it would never come to a PoisonPill

	begun atomic.Uint64 // Restarts it has begun
	alone atomic.Bool   // it was left behind: nobody deals with its failures
	end   plainEnd      // the actor's
}

// plainStopGrace is how long a plain actor that has been told to stop may take for the
// message that it works on.
const plainStopGrace = 5 * time.Second

var _ childProcess = (*plain)(nil)

func isPlain(p childProcess) bool {
	_, is := p.(*plain)
	return is
}

func newPlain(k *child) *plain {
	return &plain{k: k, probe: actor.NewPID("protoloop", "probe")}
}

// props puts the middleware in if the actor turns out to be a plain one.
func (p *plain) props(of *actor.Props) *actor.Props {
	var own *actor.Props
	own = of.Clone(actor.WithOnInit(func(ctx actor.Context) {
		p.pid = ctx.Self()
		if !link.HasLoop(ctx.ActorSystem(), ctx.Self()) {
			own.Configure(actor.WithReceiverMiddleware(p.observe), actor.WithSpawnMiddleware(p.refuseLate))
			p.watched = true
		}
	}))
	p.holdEarly(own)
	return own
}

// plainPanic is the panic of a plain actor on its way through the engine.
type plainPanic struct {
	*actors.PanicError
	round uint64
}

// observe is called on the actor's goroutine.
func (p *plain) observe(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
		switch m := env.Message.(type) {
		case *actor.Started:
			p.end.begin()
			defer p.caught(c, env)
			next(c, env)
			p.k.core.node.postChildEvent(p, func(t *actors.Task, k *child) { k.handleEvent(t, life.ChildSetUp) })
		case *actor.Restarting:
			p.begun.Add(1)
			p.system(&actor.SuspendMailbox{}) // the engine resumes it with the next life
			p.last(next, c, env)
			p.end.over = actors.ErrRestarted
		case *actor.Stopping:
			p.last(next, c, env)
			p.end.over = actors.ErrStopped
		case *actor.Stopped:
			p.last(next, c, env)
		case *actor.Terminated:
			switch {
			case m.Who == p.probe:
				p.k.core.node.postChildEvent(p, func(t *actors.Task, k *child) { k.handleEvent(t, life.ChildQuiesced) })
			case p.end.near:
				p.last(next, c, env)
			default:
				defer p.caught(c, env)
				next(c, env)
			}
		default:
			defer p.caught(c, env)
			next(c, env)
		}
	}
}

// caught keeps the stack of a panic, which the engine drops, tells the asker,
// whom it would leave alone, and lets the engine go on.
func (p *plain) caught(c actor.ReceiverContext, env *actor.MessageEnvelope) {
	v := recover()
	if v == nil {
		return
	}
	err := &actors.PanicError{Value: v, Stack: debug.Stack()}
	if env.Sender != nil {
		f := messages.NewFailure(err, true, false)
		f.Ran, f.RetrySafe = true, false // whatever a Failure that it has panicked with says of somebody else
		c.ActorSystem().Root.Send(env.Sender, f)
	}
	if p.alone.Load() {
		p.k.core.events.logError("supervisor: panic in an actor that was left behind; it stops", "actor", p.pid, "panic", v, "stack", string(err.Stack))
		p.system(&actor.Stop{})
		return
	}
	panic(plainPanic{err, p.begun.Load()})
}

// failure is the engine's, as a worker would tell it; now: it is of the
// incarnation that counts. What fails late, after the suspension of its
// mailbox has overtaken it, was told to restart meanwhile.
func (p *plain) failure(f *actor.Failure) (out link.Failure, now bool) {
	round := p.round
	switch v := f.Reason.(type) {
	case plainPanic:
		out.Err, round = v.PanicError, v.round
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
	now = round == p.round
	p.suspended = p.suspended || now
	return out, now
}

// PID is the actor's.
func (p *plain) PID() *actor.PID { return p.pid }

// StopGrace is how long it may take after the grace.
func (p *plain) StopGrace() time.Duration { return plainStopGrace }

// Account is all there is to say of a plain actor's stop.
func (p *plain) Account() link.Ended {
	if p.asked.IsZero() {
		return link.Ended{}
	}
	return link.Ended{Release: time.Since(p.asked)}
}

// Final is that: the engine has forgotten it.
func (p *plain) Final() (link.Ended, bool) { return p.Account(), true }

func (p *plain) system(m any) { sendSystem(p.k.core.node.sys, p.pid, m) }

func sendSystem(sys *actor.ActorSystem, pid *actor.PID, m any) {
	if process, ok := sys.ProcessRegistry.Get(pid); ok {
		process.SendSystemMessage(pid, m)
	}
}

// Restart is the engine's. It resumes the mailbox, too.
func (p *plain) Restart() {
	p.suspended = false
	p.round++
	p.system(&actor.Restart{})
}

// Quiesce suspends it. The message that it works on runs to its end: nothing
// else can be done about it.
func (p *plain) Quiesce(error) {
	p.suspended = true
	p.system(&actor.SuspendMailbox{})
	p.system(&actor.Terminated{Who: p.probe})
}

// Stop lets it work through its mailbox within the grace. A suspended mailbox
// would never come to that.
func (p *plain) Stop(grace time.Duration) {
	if p.asked.IsZero() {
		p.asked = time.Now()
	}
	if grace <= BrutalKill || p.suspended {
		p.system(&actor.Stop{})
		return
	}
	p.k.core.node.sys.Root.Poison(p.pid)
}

func typeName(m any) string { return fmt.Sprintf("%T", m) }
