// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/internal/keyed"
)

// process is that of the PIDs of all keys. A PID keeps the process that it has found, so this
// one is the same for ever, and finds the worker for each message.
type process struct {
	hub   *hub
	sys   *actor.ActorSystem
	plain *actor.RootContext // without middleware
}

var _ keyed.Door = (*process)(nil)

type counter = atomic.Int64

// Admit is keyed.Door's: requests of ours come this way.
func (p *process) Admit(pid *actor.PID, msg any) (keyed.Worker, proto.Message, error) {
	return p.hub.grid.Load().admit(pid.Id, msg)
}

// CancelCarried is keyed.Door's. No request goes to another node.
func (p *process) CancelCarried(*actor.PID) {}

// SendUserMessage is the engine's: a plain send or request, or one that middleware has seen.
func (p *process) SendUserMessage(pid *actor.PID, m any) {
	env, _ := m.(*actor.MessageEnvelope)
	msg := actor.UnwrapEnvelopeMessage(m)
	w, copied, err := p.Admit(pid, msg)
	if err == nil {
		if copied != nil {
			msg = copied
		}
		if env != nil {
			env = &actor.MessageEnvelope{Header: env.Header, Message: msg, Sender: env.Sender}
		}
		w.Post(msg, env, copied != nil)
		return
	}
	if env == nil || env.Sender == nil {
		p.sys.DeadLetter.SendUserMessage(pid, m)
		return
	}
	p.plain.Send(env.Sender, neverRan(err))
}

// SendSystemMessage refuses what is for actors. Who wants to watch is told at once that there
// is nobody at this PID who could end, and does not wait for ever.
func (p *process) SendSystemMessage(pid *actor.PID, m any) {
	p.hub.grid.Load().refuseControl(pid.Id, m)
	w, is := m.(*actor.Watch)
	if !is || w.Watcher == nil {
		return
	}
	if watcher, ok := p.sys.ProcessRegistry.Get(w.Watcher); ok {
		watcher.SendSystemMessage(w.Watcher, &actor.Terminated{Who: pid, Why: actor.TerminatedReason_NotFound})
	}
}

// Stop refuses that, too.
func (p *process) Stop(pid *actor.PID) { p.hub.grid.Load().refuseControl(pid.Id, &actor.Stop{}) }

func (g *Grid) refuseControl(id string, m any) {
	if k := g.kindOf(id); k != nil {
		k.refused.Add(1)
	} else {
		g.unknown.Add(1)
	}
	g.refusals.log(g, id, m)
}

// refusalLog writes a line a second at most: a stranger may send as many as it likes.
type refusalLog struct {
	next   atomic.Int64 // when the next line may be, in nanoseconds
	missed atomic.Int64 // refusals since the last
}

func (l *refusalLog) log(g *Grid, id string, m any) {
	now := time.Now().UnixNano()
	next := l.next.Load()
	if now < next || !l.next.CompareAndSwap(next, now+int64(time.Second)) {
		l.missed.Add(1)
		return
	}
	g.log.Warn("grid: a message was refused: the kind does not accept it", "key", id, "message", fmt.Sprintf("%T", m), "since the last line", l.missed.Swap(0))
}
