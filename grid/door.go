// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/internal/keyed"
)

// process is that of the PIDs of all keys. A PID keeps the process that it has found, so this
// one is the same for ever, and finds the worker for each message.
type process struct {
	hub *hub
	sys *actor.ActorSystem
}

var _ keyed.Door = (*process)(nil)

type counter = atomic.Int64

// Admit is keyed.Door's: requests of ours come this way.
func (p *process) Admit(pid *actor.PID, msg any) (keyed.Worker, proto.Message, error) {
	return p.hub.grid.Load().admit(pid.Id, msg)
}

// CancelCarried is keyed.Door's.
func (p *process) CancelCarried(reply *actor.PID) {
	if n := p.hub.grid.Load().network(); n != nil {
		n.asking.cancel(reply)
	}
}

// SendUserMessage is the engine's: a plain send or request, one that middleware has seen, one to a key of another
// node, and the answer to one from there.
func (p *process) SendUserMessage(pid *actor.PID, m any) {
	g := p.hub.grid.Load()
	if strings.HasPrefix(pid.Id, answerPrefix) {
		if n := g.network(); n != nil {
			n.answering.answer(pid, m)
		}
		return
	}
	env, _ := m.(*actor.MessageEnvelope)
	msg := actor.UnwrapEnvelopeMessage(m)
	w, copied, err := g.admit(pid.Id, msg)
	if err == nil && w == nil {
		g.network().send(pid.Id, msg, env)
		return
	}
	if err == nil {
		if copied != nil {
			msg = copied
		}
		if env != nil {
			env = &actor.MessageEnvelope{Header: env.Header, Message: msg, Sender: env.Sender}
		}
		work := w.Post(msg, env, copied != nil)
		if n := g.network(); n != nil && env != nil && env.Sender != nil && env.Sender.Address == Address && env.Sender.Id == n.answering.id {
			n.answering.passed(env.Sender, work)
		}
		return
	}
	if env == nil || env.Sender == nil {
		p.sys.DeadLetter.SendUserMessage(pid, m)
		return
	}
	p.hub.plain.Send(env.Sender, neverRan(err))
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
	name, is := m.(typeName)
	if !l.mayLog() {
		return
	}
	if !is {
		name = typeName(fmt.Sprintf("%T", m))
	}
	g.log.Warn("grid: a message was refused: the kind does not accept it", "key", id, "message", string(name), "since the last line", l.missed.Swap(0))
}

// typeName is of a message that another node has sent, and that this one did not look into.
type typeName string

func (l *refusalLog) mayLog() bool {
	now := time.Now().UnixNano()
	next := l.next.Load()
	if now < next || !l.next.CompareAndSwap(next, now+int64(time.Second)) {
		l.missed.Add(1)
		return false
	}
	return true
}
