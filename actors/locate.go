// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/engine"
	"github.com/protoloop/protoloop/internal/oneline"
)

// caller returns the task that s stands for, or nil, and its system.
func caller(s actor.SenderContext, what string) (*Task, *system) {
	switch s := s.(type) {
	case nil:
		panic("actors: " + what + " called with a nil sender: use a root context, an actor's context or a Task")
	case *Task:
		if s.attached == nil {
			panic("actors: a Task was used that is not one of a worker")
		}
		if s.lt.Ended() {
			s.checkCurrent(what)
		}
		return s, s.mb.sys
	case *loopContext:
		if s.over() {
			return s.task(), s.mb.sys
		}
		return s.mb.current.Load(), s.mb.sys
	}
	return nil, systemOf(s.ActorSystem())
}

// plainSender reports whether what s sends can go straight to a worker: no
// sender middleware wants to see it.
func plainSender(s actor.SenderContext, from *Task) bool {
	if from != nil {
		return !from.mb.sends
	}
	rc, ok := s.(*actor.RootContext)
	return ok && engine.SendsPlainly(rc)
}

func pidOf(pid *actor.PID, what string) *actor.PID {
	if pid == nil {
		panic("actors: " + what + " called with a nil PID")
	}
	return pid
}

// worker returns the mailbox of a local worker, or nil.
//
// A PID that somebody has used keeps its process, which leads to the mailbox; the engine finds
// the process so, too. The system's lock and a hash of the id for each call were 8 % of the
// instructions of a request to a plain actor (bench: burst/plain).
func (s *system) worker(pid *actor.PID) *mailbox {
	if m, known := engine.MailboxKept(pid); known {
		mb, ok := m.(*mailbox)
		if !ok {
			return nil
		}
		if mb.registered() && mb.gate.Load() != gateStopped && mb.sys == s {
			return mb
		}
	}
	mb := s.lookUp(pid)
	if mb != nil {
		s.keepProcess(pid, mb)
	}
	return mb
}

// keepProcess lets a PID of mb keep its process.
func (s *system) keepProcess(pid *actor.PID, mb *mailbox) {
	p, _ := s.as.ProcessRegistry.GetLocal(pid.Id)
	if engine.MailboxOf(p) != actor.Mailbox(mb) {
		return // it has ended meanwhile
	}
	s.mu.Lock()
	if mb.process == nil {
		mb.process = p
	}
	s.mu.Unlock()
	engine.KeepProcess(pid, &mb.process)
}

// lookUp is worker for somebody who will not ask again.
func (s *system) lookUp(pid *actor.PID) *mailbox {
	if !s.local(pid) {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.workers[pid.Id]
}

// ownMailbox is lookUp for what the engine tells an actor, which has self. A worker that has
// stopped may share its name with another by then.
func (s *system) ownMailbox(self *actor.PID) *mailbox {
	if !s.local(self) {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if mb := s.former[self]; mb != nil {
		return mb
	}
	return s.workers[self.Id]
}

// locate looks in the process registry for a worker that the system does not
// know: it may be on the way there, and have nothing but its name yet. If it
// is none it says what it is.
func (s *system) locate(pid *actor.PID) (*mailbox, error) {
	if !s.local(pid) {
		return nil, fmt.Errorf("%w: %s is on another machine, where a function cannot be sent", ErrNotWorker, oneline.PID(pid, ""))
	}
	p, ok := s.as.ProcessRegistry.GetLocal(pid.Id)
	if !ok {
		return nil, noSuchActor(pid)
	}
	if mb, ok := engine.MailboxOf(p).(*mailbox); ok {
		return mb, nil
	}
	return nil, fmt.Errorf("%w: %s is a plain actor: spawn it with actors.Spawn, actors.Props or actors.EventLoop", ErrNotWorker, oneline.PID(pid, ""))
}

func (s *system) isWorker(pid *actor.PID) bool { return s.worker(pid) != nil }
