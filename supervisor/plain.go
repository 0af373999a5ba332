package supervisor

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
	"github.com/protoloop/protoloop/messages"
)

// plain is the process of a plain actor, on the engine's own mailbox. A
// receiver middleware tells what its mailbox does not: when Started has been
// handled, and the stack of a panic. It keeps panics in Stopping, Stopped and
// Restarting from the engine, which would take them for a restart, or never
// tell the parent of the end.
type plain struct {
	k       *child
	pid     *actor.PID
	watched bool       // the middleware is in
	probe   *actor.PID // of a message that only it sees

	mu      sync.Mutex
	stack   []byte // of the panic that the engine will report next
	asked   time.Time
	ended   time.Time
	left    []link.Abandoned
	suspend bool
}

// unwind is how long a plain actor that has been told to stop may take for the
// message that it works on.
const unwind = 5 * time.Second

var _ process = (*plain)(nil)

func newPlain(k *child) *plain {
	return &plain{k: k, probe: actor.NewPID("protoloop", "probe")}
}

// props puts the middleware in if the actor turns out to be a plain one.
func (p *plain) props(of *actor.Props) *actor.Props {
	var own *actor.Props
	own = of.Clone(actor.WithOnInit(func(ctx actor.Context) {
		if !link.HasLoop(ctx.ActorSystem(), ctx.Self()) {
			own.Configure(actor.WithReceiverMiddleware(p.observe))
			p.watched = true
		}
	}))
	return own
}

func (p *plain) observe(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
		switch m := env.Message.(type) {
		case *actor.Started:
			defer p.caught(c, env)
			next(c, env)
			p.k.core.node.tell(p, func(_ *actors.Task, k *child) { k.ready() })
		case *actor.Stopping, *actor.Stopped, *actor.Restarting:
			defer func() {
				if v := recover(); v != nil {
					p.k.core.out.log.Error("supervisor: panic in a lifecycle message", "actor", p.pid,
						"message", typeName(m), "panic", v, "stack", string(debug.Stack()))
				}
			}()
			next(c, env)
		case *actor.Terminated:
			if m.Who == p.probe {
				p.k.core.node.tell(p, func(_ *actors.Task, k *child) { k.quieted() })
				return
			}
			defer p.caught(c, env)
			next(c, env)
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
	p.mu.Lock()
	p.stack = err.Stack
	p.mu.Unlock()
	if env.Sender != nil {
		c.ActorSystem().Root.Send(env.Sender, messages.NewFailure(err, true, false))
	}
	panic(v)
}

// failure is the engine's, as a worker would tell it.
func (p *plain) failure(f *actor.Failure) link.Failure {
	p.mu.Lock()
	stack := p.stack
	p.stack, p.suspend = nil, true
	p.mu.Unlock()
	m, out := f.Message, link.Failure{Err: &actors.PanicError{Value: f.Reason, Stack: stack}}
	if env, ok := m.(*actor.MessageEnvelope); ok {
		m, out.Sender = env.Message, env.Sender
	}
	if _, lifecycle := m.(actor.SystemMessage); !lifecycle {
		out.Message = m
	}
	out.Task = typeName(f.Message)
	return out
}

// PID is the actor's.
func (p *plain) PID() *actor.PID { return p.pid }

// StopGrace is how long it may take after the grace.
func (p *plain) StopGrace() time.Duration { return unwind }

// Account is all there is to say of a plain actor's stop.
func (p *plain) Account() link.Ended {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := link.Ended{Abandoned: p.left}
	if !p.asked.IsZero() {
		e.Release = time.Since(p.asked)
	}
	return e
}

// abandon notes that it did not stop.
func (p *plain) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = append(p.left, link.Abandoned{Name: fmt.Sprintf("actor %s", p.pid.Id), Since: p.asked})
}

func (p *plain) system(m any) { sendSystem(p.k.core.node.sys, p.pid, m) }

func sendSystem(sys *actor.ActorSystem, pid *actor.PID, m any) {
	if process, ok := sys.ProcessRegistry.Get(pid); ok {
		process.SendSystemMessage(pid, m)
	}
}

// Restart is the engine's. It resumes the mailbox, too.
func (p *plain) Restart() {
	p.mu.Lock()
	p.suspend = false
	p.mu.Unlock()
	p.system(&actor.Restart{})
}

// Quiesce suspends it. The message that it works on runs to its end: nothing
// else can be done about it.
func (p *plain) Quiesce(error) {
	p.mu.Lock()
	p.suspend = true
	p.mu.Unlock()
	p.system(&actor.SuspendMailbox{})
	p.system(&actor.Terminated{Who: p.probe})
}

// Stop lets it work through its mailbox within the grace. A suspended mailbox
// would never come to that.
func (p *plain) Stop(grace time.Duration) {
	p.mu.Lock()
	if p.asked.IsZero() {
		p.asked = time.Now()
	}
	suspended := p.suspend
	p.mu.Unlock()
	if grace <= BrutalKill || suspended {
		p.system(&actor.Stop{})
		return
	}
	p.k.core.node.sys.Root.Poison(p.pid)
}

func typeName(m any) string { return fmt.Sprintf("%T", m) }
