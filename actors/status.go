package actors

import (
	"runtime"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/messages"
)

// statuses tracks who has asked for a worker's status and is yet to be told.
type statuses struct {
	mu     sync.Mutex
	askers []*actor.PID // not empty: somebody sees to it
}

// askStatus answers a messages.StatusRequest. Any goroutine: whoever asks looks
// himself, so that the loop has no work with it, however many ask, and a worker
// that is blocked has a status.
func (mb *mailbox) askStatus(from *actor.PID) {
	status, held := mb.status()
	if status == nil {
		s := &mb.sparse().statuses
		s.mu.Lock()
		s.askers = append(s.askers, from)
		first := len(s.askers) == 1
		s.mu.Unlock()
		if first {
			time.AfterFunc(peekAgain, mb.tellStatus)
		}
		return
	}
	mb.sys.send(from, status)
	if held {
		runtime.Gosched() // the worker has waited for us
	}
}

// tellStatus answers those whose question found the loop between two turns, or
// not begun.
func (mb *mailbox) tellStatus() {
	status, _ := mb.status()
	if status == nil {
		time.AfterFunc(peekAgain, mb.tellStatus)
		return
	}
	s := &mb.sparse().statuses
	s.mu.Lock()
	askers := s.askers
	s.askers = nil
	s.mu.Unlock()
	for _, from := range askers {
		mb.sys.send(from, status)
	}
}

// status is nil if the loop does not stand still. held is that a turn has waited.
func (mb *mailbox) status() (status *messages.Status, held bool) {
	s := messages.Status{}
	stood, held := mb.loop.Peek(func(*loop.Task) {
		s.State, s.Incarnation, s.InFlight = mb.state(), mb.life.incarnation, int64(mb.loop.InFlight())
	})
	if !stood {
		return nil, false
	}
	s.Worker, s.Queued, s.BlockedTurns = mb.pid.String(), mb.queued(), mb.blockedTurns.Load()
	s.Counts = mb.readCounts().message()
	return &s, held
}
