package actors

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/loop"
)

// system is what all workers and futures of one actor system share. It is
// registered as a process of the actor system, under replyID, which decides
// who makes it and lets it live as long.
type system struct {
	as    *actor.ActorSystem
	pool  *loop.Pool
	clock clock
	token string // of messages.Stop

	mu      sync.RWMutex
	workers map[string]*mailbox // by PID id

	cache     pidCache
	replies   replies
	bells     sync.Pool    // of nodes; see core.bell
	unseen    *throttle    // of log lines about failures nobody looked at
	exclusive atomic.Int64 // what can be part of a ring: tasks that hold a worker, workers with MaxInFlight, waits for a Mutex
	rings     sync.Mutex   // taken to decide that a ring has closed
}

// withWorkers lists the systems that have workers, so that a call finds its
// system without the process registry, which hashes its id twice.
// Actor systems have extensions for this, but reading one races with its
// registration. It holds nothing that its workers do not hold anyway.
var withWorkers struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*system]
}

func systemOf(as *actor.ActorSystem) *system {
	if list := withWorkers.list.Load(); list != nil {
		for _, s := range *list {
			if s.as == as {
				return s
			}
		}
	}
	if p, ok := as.ProcessRegistry.GetLocal(replyID); ok {
		return p.(*replyProcess).sys
	}
	s := &system{as: as, pool: loop.NewPool(), token: newToken(), workers: map[string]*mailbox{}, unseen: &throttle{}}
	s.clock.init(s.pool)
	s.replies.init(s)
	if _, added := as.ProcessRegistry.Add(&replyProcess{sys: s}, replyID); !added {
		p, _ := as.ProcessRegistry.GetLocal(replyID)
		return p.(*replyProcess).sys
	}
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

// add makes mb known as the worker of its PID.
func (s *system) add(mb *mailbox) {
	s.mu.Lock()
	s.workers[mb.pid.Id] = mb
	s.cache.fit(len(s.workers))
	first := len(s.workers) == 1
	s.mu.Unlock()
	if first {
		withWorkers.mu.Lock()
		defer withWorkers.mu.Unlock()
		s.setWithWorkers()
	}
}

// remove forgets a worker that has ended.
func (s *system) remove(mb *mailbox) {
	s.mu.Lock()
	if s.workers[mb.pid.Id] == mb {
		delete(s.workers, mb.pid.Id)
	}
	last := len(s.workers) == 0
	s.mu.Unlock()
	s.cache.forget(mb)
	if last {
		s.clock.clean()
		withWorkers.mu.Lock()
		defer withWorkers.mu.Unlock()
		s.setWithWorkers()
	}
}

// setWithWorkers puts s into the list if it has workers, and takes it out if it
// has none. With withWorkers.mu held.
func (s *system) setWithWorkers() {
	s.mu.RLock()
	n := len(s.workers)
	s.mu.RUnlock()
	var list []*system
	if old := withWorkers.list.Load(); old != nil {
		for _, o := range *old {
			if o != s {
				list = append(list, o)
			}
		}
	}
	if n > 0 {
		list = append(list, s)
	}
	withWorkers.list.Store(&list)
}

// worker returns the mailbox of a local worker, or nil.
func (s *system) worker(pid *actor.PID) *mailbox {
	if mb := s.cache.find(pid); mb != nil {
		return mb
	}
	mb := s.lookUp(pid)
	if mb != nil {
		s.cache.remember(pid, mb)
	}
	return mb
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
