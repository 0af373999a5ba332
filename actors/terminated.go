// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
)

// kept is the end of an actor that an incarnation is to hear of if it goes on.
type kept struct {
	m           *actor.Terminated
	incarnation uint64
}

// terminated is the end of an actor that this one watches or is the parent
// of. While the actor lives the engine hears of it first, and then the actor,
// in a task. While it ends it is the other way round: the engine's answer to
// the last child may be that the actor is gone.
func (mb *mailbox) terminated(m *actor.Terminated) {
	if s := mb.Supervisor(); s != nil {
		mb.handleOccurrence(mb.runFrame(m))
		s.ActorTerminated(m.Who)
		return
	}
	if s := mb.rare.Load(); s != nil {
		if _, stray := s.strays.LoadAndDelete(m.Who.Id); stray {
			return
		}
	}
	switch phase := mb.life.Phase(); {
	case phase == life.PhaseRunning, phase == life.PhaseSetup: // which holds it back
		mb.handleOccurrence(mb.runFrame(m))
		mb.tellTerminated(m)
	case (phase == life.PhaseRestarting || phase == life.PhaseReleased) && !mb.isWorker():
		mb.giveUpAfter(mb.opts.StopGrace)
		u := mb.newLifecycle(m)
		u.done = func(*Task, loop.How) { mb.handleOccurrence(mb.runFrame(m)) }
		mb.loop.Go(&u.lt)
	default:
		mb.handleOccurrence(mb.runFrame(m))
		mb.keepTerminated(m)
	}
}

// tellTerminated gives the end of another actor to the handler, in a task. A failure of
// this one may come before the task's turn. On the loop, while the actor lives.
func (mb *mailbox) tellTerminated(m *actor.Terminated) {
	u := mb.newLifecycle(m)
	u.done = func(t *Task, how loop.How) {
		if how != loop.Lost && t.how == life.HowNeverRan {
			mb.keepTerminated(m)
		}
	}
	mb.loop.Go(&u.lt)
}

// keepTerminated remembers the end of another actor while a supervisor has yet to decide
// about a failure of this one: nobody would say it again if it is to go on with
// the state it has. One that restarts or ends does not hear of it.
func (mb *mailbox) keepTerminated(m *actor.Terminated) {
	l := &mb.life
	if l.Phase() != life.PhaseUnwinding || l.Want() > life.WantResume {
		return
	}
	s := mb.sparse()
	s.kept = append(s.kept, kept{m, l.incarnation})
}

// tellKept is the resume.
func (mb *mailbox) tellKept() {
	s := mb.rare.Load()
	if s == nil {
		return
	}
	all := s.kept
	s.kept = nil
	for _, k := range all {
		if k.incarnation == mb.life.incarnation { // else it has restarted since
			mb.tellTerminated(k.m)
		}
	}
}
