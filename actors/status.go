// SPDX-License-Identifier: Apache-2.0

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
	looks  int          // … and has looked so often
}

// statusLooks is how often, at peekAgain from each other, the status of a worker is
// put off because the task whose turn it is has been answered: most often it is about
// to end, and to be counted.
const statusLooks = 200

// askStatus answers a messages.StatusRequest. Any goroutine: whoever asks looks
// himself, so that the loop has no work with it, however many ask, and a worker
// that is blocked has a status.
func (mb *mailbox) askStatus(from *actor.PID) {
	status, held := mb.status(true)
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
	mb.sys.sendNow(from, status)
	if held {
		runtime.Gosched() // the worker has waited for us
	}
}

// tellStatus answers those whose question found the loop between two turns, or
// not begun, or in the end of one.
func (mb *mailbox) tellStatus() {
	s := &mb.sparse().statuses
	s.mu.Lock()
	s.looks++
	patient := s.looks < statusLooks
	s.mu.Unlock()
	status, _ := mb.status(patient)
	if status == nil {
		time.AfterFunc(peekAgain, mb.tellStatus)
		return
	}
	s.mu.Lock()
	askers := s.askers
	s.askers, s.looks = nil, 0
	s.mu.Unlock()
	for _, from := range askers {
		mb.sys.send(from, status)
	}
}

// status is nil if the loop does not stand still, or, for who is patient, if it is at
// a task that has been answered: whoever has the answer would find it in no bucket
// yet. held is that a turn has waited.
func (mb *mailbox) status(patient bool) (status *messages.Status, held bool) {
	s := messages.Status{}
	ends := false
	stood, held := mb.loop.Peek(func(running *loop.Task) {
		ends = patient && isAnsweredTask(running)
		s.State, s.Incarnation, s.InFlight = mb.state(), mb.life.incarnation, int64(mb.loop.InFlight())
	})
	if !stood || ends {
		return nil, false
	}
	s.Worker, s.Queued, s.BlockedTurns = mb.pid.String(), mb.queued(), mb.blockedTurns()
	s.Counts = mb.readCounts().message()
	return &s, held
}

// isAnsweredTask reports whether the asker of a task, which may be nil, has its answer.
func isAnsweredTask(lt *loop.Task) bool {
	if lt == nil {
		return false
	}
	u, ok := lt.Body.(body)
	return ok && u.task().lifetime == offered && u.task().isAnsweredAlready()
}
