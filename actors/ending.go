// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/messages"
)

// ending is the part of a stop that any goroutine may begin: the loop may be
// stuck in a turn. It is small, because ten thousand workers may stop at a time.
type ending struct {
	begun     time.Time                   // all other times are readings of now
	stages    [stageOver + 1]atomic.Int64 // when each was reached, last; any goroutine
	mu        sync.Mutex                  // guards what follows
	graceEnd  time.Duration               // when the grace ends
	graceOver bool                        // … it has, or there was none
	over      bool
	asked     bool // the supervisor wants to hear of that
	more      atomic.Pointer[endingDetails]
}

// endingDetails is what there is to wait for in an ending, and what there is to tell
// of it that most have not. Guarded by the ending's mu.
type endingDetails struct {
	graceTimer  *time.Timer   // fires at graceEnd
	giveUpTimer *time.Timer   // gives up on tasks that do not return
	round       uint64        // of giveUpTimer: grows when it is set or stopped
	begun       time.Duration // when giveUpTimer was set …
	deadline    time.Duration // … and when it fires
	hooks       *Task         // the OnStop hooks, while they may have to be ended then
	told        []*actor.PID
	lost        []supervision.Abandoned
}

var noDetails endingDetails

// readDetails is for reading. With mu held.
func (e *ending) readDetails() *endingDetails {
	if p := e.more.Load(); p != nil {
		return p
	}
	return &noDetails
}

// changeDetails is for writing. With mu held.
func (e *ending) changeDetails() *endingDetails {
	p := e.more.Load()
	if p == nil {
		p = new(endingDetails)
		e.more.Store(p)
	}
	return p
}

// ending is the worker's, made when it first has to end anything. Any goroutine.
func (mb *mailbox) ending() *ending {
	if e := mb.ends.Load(); e != nil {
		return e
	}
	mb.ends.CompareAndSwap(nil, &ending{begun: time.Now()})
	return mb.ends.Load()
}

// now is a clock of its own: a worker can be told to end before it knows its
// system, which has one. It is never zero.
func (e *ending) now() time.Duration { return time.Since(e.begun) + 1 }

// in is the reading of now after d; what does not fit is for ever.
func (e *ending) in(d time.Duration) time.Duration {
	if at := e.now() + d; at > 0 {
		return at
	}
	return math.MaxInt64
}

// stage is a step of a stop, for the report.
type stage int

const (
	stageEvent   stage = iota // the stop event is set
	stageCut                  // nothing is left to do, or the grace is over
	stageHooks                // the tasks have ended
	stageRelease              // the hooks have returned
	stageOver                 // the engine has let go
)

func (e *ending) noteStage(s stage) { e.stages[s].Store(int64(e.now())) }

// endedAccount is the final account and how the stop went, as far as it has. With
// mu held.
func (e *ending) endedAccount(mb *mailbox) supervision.Ended {
	counts := mb.readCounts()
	if e.over {
		counts = mb.finalCounts()
	}
	// A worker that had failed before, and waited for its restart, had come to
	// some of the stages then: that time is none of the stop.
	event := e.stages[stageEvent].Load()
	between := func(from, to stage) time.Duration {
		begin, end := e.stages[from].Load(), e.stages[to].Load()
		if begin == 0 || end == 0 {
			return 0
		}
		return time.Duration(max(0, end-max(begin, event)))
	}
	return supervision.Ended{
		Counts: supervision.Counts(counts), Abandoned: slices.Clone(e.readDetails().lost),
		Drain: between(stageEvent, stageCut), Unwind: between(stageCut, stageHooks),
		Hooks: between(stageHooks, stageRelease), Release: between(stageRelease, stageOver),
	}
}

// answerWhenStopped answers pid when the worker has stopped.
func (e *ending) answerWhenStopped(mb *mailbox, pid *actor.PID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		mb.sys.send(pid, &messages.Stopped{Counts: mb.finalCounts().message()})
		return
	}
	p := e.changeDetails()
	p.told = append(p.told, pid)
}

// tellStopped is the last act of a worker.
func (mb *mailbox) tellStopped() {
	if s := mb.Supervisor(); s != nil {
		s.SupervisorEnded() // before anybody can find that it is over
	}
	e := mb.ending()
	e.mu.Lock()
	e.over = true
	var told []*actor.PID
	if p := e.more.Load(); p != nil {
		p.round++
		if p.graceTimer != nil {
			p.graceTimer.Stop()
		}
		if p.giveUpTimer != nil {
			p.giveUpTimer.Stop()
		}
		told, p.told = p.told, nil
	}
	asked := e.asked || mb.keyed
	e.mu.Unlock()
	if asked {
		mb.super.ChildStopped(supervised{mb})
	}
	for _, pid := range told {
		mb.sys.send(pid, &messages.Stopped{Counts: mb.finalCounts().message()})
	}
}

// finalCounts is the account of a worker that is gone: nothing changes in it
// but what is refused.
func (mb *mailbox) finalCounts() Counts {
	c := mb.readCounts()
	c.Pending, c.Accepted = 0, c.Accepted-c.Pending // a refusal that is under way is counted for a moment
	c.Offered = c.Accepted + c.Refused
	return c
}
