// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"
	"math"
	"sync"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/callqueue"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/observe"
	"github.com/protoloop/protoloop/internal/persystem"
	"github.com/protoloop/protoloop/internal/ring"
	"github.com/protoloop/protoloop/internal/safelog"
	"github.com/protoloop/protoloop/internal/snapshot"
)

// system is what all workers and futures of one actor system share. It is
// registered as a process of the actor system, under replyID, which decides
// who makes it and lets it live as long.
type system struct {
	as    *actor.ActorSystem
	plain *actor.RootContext // without middleware: no code of a user's runs in what it does
	pool  *loop.Pool
	clock clock
	token string // of messages.Stop

	mu      sync.RWMutex
	workers map[string]*mailbox     // by PID id
	former  map[*actor.PID]*mailbox // whose name another has by now, by the engine's own PID; nil: there is none

	contexts      contexts
	idlers        idlers
	replies       replies
	signalNodes   sync.Pool // of nodes; see takeSignalNode
	unseen        *throttle // of log lines about failures nobody looked at
	valuesLog     throttle  // of those about context values
	remoteLimit   *persystem.RemoteLimit
	remoteBuffers sync.Pool
	inspections   sync.Pool // see takeInspection
	kinds         kinds
	watch         *observe.Slot
	failures      *failure.Hooks
	failuresWeak  weak.Pointer[failure.Hooks] // for what the hooks may lead to: see failureNote
	rings         ring.Graph
	calls         callqueue.Queue // see send
}

func systemOf(as *actor.ActorSystem) *system {
	if s := withWorkers.first.Load(); s != nil && s.as == as {
		return s
	}
	return systemOfMany(as)
}

// systemOfMany is systemOf for all but the first with workers, and the only one
// that makes a system.
func systemOfMany(as *actor.ActorSystem) *system {
	if as == nil {
		panic("actors: called with a nil actor system")
	}
	if s := withWorkers.find(as); s != nil {
		return s
	}
	if p, ok := as.ProcessRegistry.GetLocal(replyID); ok {
		return p.(*replyProcess).sys
	}
	s := &system{as: as, plain: actor.NewRootContext(as, nil), pool: loop.NewPool(), token: newToken(), workers: map[string]*mailbox{}, unseen: &throttle{},
		remoteLimit: persystem.Of[persystem.RemoteLimit](as), failures: failure.Of(as), watch: observe.Of(as)}
	s.failuresWeak = weak.Make(s.failures)
	s.clock.initDeadlines(s.pool)
	s.replies.initTable(s)
	if _, added := as.ProcessRegistry.Add(&replyProcess{sys: s}, replyID); !added {
		p, _ := as.ProcessRegistry.GetLocal(replyID)
		return p.(*replyProcess).sys
	}
	snapshot.Register(as, s)
	return s
}

// introduce tells mb its system and its PID, if nobody has yet. Whoever gives it
// work of ours before the engine has registered it does so first.
func (s *system) introduce(mb *mailbox, pid *actor.PID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !mb.named() {
		mb.sys, mb.pid = s, pid
		mb.spawned.CompareAndSwap(0, isNamed)
	}
}

// add makes mb known as the worker of its PID. The engine lets a name be taken before it has
// told the actor which had it that it has stopped: see ownMailbox.
func (s *system) add(mb *mailbox) {
	s.mu.Lock()
	if old := s.workers[mb.pid.Id]; old != nil {
		if s.former == nil {
			s.former = map[*actor.PID]*mailbox{}
		}
		s.former[old.raw().Self()] = old
	}
	s.workers[mb.pid.Id] = mb
	first := len(s.workers) == 1
	s.mu.Unlock()
	if first {
		s.listIfWorking()
	}
}

// remove forgets a worker that has ended.
func (s *system) remove(mb *mailbox) {
	s.mu.Lock()
	if s.workers[mb.pid.Id] == mb {
		delete(s.workers, mb.pid.Id)
	} else if delete(s.former, mb.raw().Self()); len(s.former) == 0 {
		s.former = nil
	}
	mb.kind.noteGone(mb)
	last := len(s.workers)+len(s.former) == 0
	s.mu.Unlock()
	if last {
		s.clock.sweepAll()
		s.listIfWorking()
	}
}

// listIfWorking puts s into withWorkers if it has workers, and takes it out if
// it has none.
func (s *system) listIfWorking() {
	withWorkers.mu.Lock()
	defer withWorkers.mu.Unlock()
	s.mu.RLock()
	n := len(s.workers) + len(s.former)
	s.mu.RUnlock()
	withWorkers.put(s, n > 0)
}

// sendNow and deadLetterNow are the engine's, for a turn, and for whoever gives a worker
// something: code of users may be called there, and holds up who has led to it. It is
// sender middleware of the root context, subscribers to the event stream, the actor
// system's log handler, the remote.
//
// An answer to a request of our own goes there straight, past all of that.
func (s *system) sendNow(pid *actor.PID, m any) {
	if s.isReply(pid) {
		if t := s.askerOf(pid); t != nil {
			t.answerRequest(m, teller{})
		}
		return
	}
	defer s.survive(engineCalls)
	s.as.Root.Send(pid, m)
}

func (s *system) deadLetterNow(pid *actor.PID, m any) {
	defer s.survive(engineCalls)
	s.as.DeadLetter.SendUserMessage(pid, m)
}

// send, deadLetter and publish are for everybody else, first of all for a loop in its
// own state. It could not be taken over if that code blocks, and a panic or a Goexit
// would end more than the worker. So one goroutine of the system calls it, in order: see
// callqueue. What blocks there holds up what comes behind it, but no loop.
func (s *system) send(pid *actor.PID, m any) {
	if s.isReply(pid) {
		if t := s.askerOf(pid); t != nil {
			t.answerRequest(m, teller{elsewhere: true})
		}
		return
	}
	s.queueCall(func() { s.as.Root.Send(pid, m) })
}

func (s *system) deadLetter(pid *actor.PID, m any) {
	s.queueCall(func() { s.as.DeadLetter.SendUserMessage(pid, m) })
}

func (s *system) publish(event any) {
	s.queueCall(func() { s.as.EventStream.Publish(event) })
}

// engineCalls is what the engine calls of others' code when it sends or publishes.
const engineCalls = "a sender middleware, a subscriber to the event stream, or a log handler,"

func (s *system) queueCall(f func()) {
	s.calls.Call(f, func(v any, stack []byte) { s.logPanic(engineCalls, v, stack) })
}

// survive is deferred around a call of others' code, which it names, that has nobody
// to fail.
func (s *system) survive(code string) {
	if p := recover(); p != nil {
		err := newPanicError(p)
		s.logPanic(code, err.Value, err.Stack)
	}
}

func (s *system) logPanic(code string, v any, stack []byte) {
	safelog.Contain(s.as.Logger()).Error("actors: "+code+" panicked", "panic", v, "stack", string(stack))
	s.failures.Tell(failure.Failure{Kind: failure.CallbackPanic, Err: fmt.Errorf("actors: %s panicked: %w", code, &PanicError{v, stack}), Stack: stack})
}

// in is the reading of the clock after d; what does not fit is for ever.
func (s *system) in(d time.Duration) time.Duration {
	if at := s.pool.Now() + max(d, 0); at > 0 {
		return at
	}
	return math.MaxInt64
}

// local reports whether the PID is of this process.
func (s *system) local(pid *actor.PID) bool {
	return pid.Address == "nonhost" || pid.Address == s.as.ProcessRegistry.Address
}
