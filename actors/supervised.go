// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/callerctx"
	"github.com/protoloop/protoloop/internal/engine"
	"github.com/protoloop/protoloop/internal/supervision"
)

// supervised is a mailbox as package supervisor sees it.
type supervised struct{ mb *mailbox }

var _ supervision.Child = supervised{}

// quiesce is a control message: end what is in flight and hold.
type quiesce struct{ cause error }

func (s supervised) PID() *actor.PID { return s.mb.pid }
func (s supervised) Restart()        { s.mb.loop.PostControl(&actor.Restart{}) }

// SpawnCallsUsers is so for all but plain workers: their producer and mailbox are ours.
func (s supervised) SpawnCallsUsers() bool {
	return !s.mb.isWorker() || engine.SpawnCalls(s.mb.raw(), decorate)
}

func (s supervised) StopGrace() time.Duration { return s.mb.opts.StopGrace }

// Stop closes the gate itself, so that the supervisor is not told what it says.
func (s supervised) Stop(grace time.Duration) {
	s.mb.closeGate()
	s.mb.requestStop(grace)
}

// Quiesce also sets the time for a turn in which the loop is stuck: it would
// not see the message. The incarnation is left to the loop to finish: what
// began before that would be ended, and lose its place in the queue.
func (s supervised) Quiesce(cause error) {
	if s.mb.gate.Load() == gateOpen {
		s.mb.giveUpAfter(s.mb.opts.StopGrace)
	}
	s.mb.loop.PostControl(quiesce{cause})
}

// Account is the loop's to tell, once it has ended; before that it is the
// counts alone.
func (s supervised) Account() supervision.Ended {
	e := s.mb.ending()
	e.mu.Lock()
	own := e.endedAccount(s.mb)
	e.mu.Unlock()
	return s.addMore(own)
}

// addMore adds what the worker accounts for beside itself.
func (s supervised) addMore(own supervision.Ended) supervision.Ended {
	rare := s.mb.rare.Load()
	if rare == nil {
		return own
	}
	if more := rare.accounts.Load(); more != nil {
		e := (*more)()
		own.Counts = supervision.Counts(Counts(own.Counts).Plus(Counts(e.Counts)))
		own.Abandoned = append(own.Abandoned, e.Abandoned...)
	}
	return own
}

// Final is that of the end. Most workers have ended when their supervisor asks,
// and then that is all there is to tell.
func (s supervised) Final() (supervision.Ended, bool) {
	e := s.mb.ending()
	e.mu.Lock()
	if !e.over {
		e.asked = true
		e.mu.Unlock()
		return supervision.Ended{}, false
	}
	own := e.endedAccount(s.mb)
	e.mu.Unlock()
	return s.addMore(own), true
}

var _ supervision.Actor = (*mailbox)(nil)

// Supervise is package supervision's.
func (mb *mailbox) Supervise(make func(before supervision.Supervisor) supervision.Supervisor) {
	after := make(mb.Supervisor())
	mb.sparse().supervises.Store(&after)
}

// callingTask is a task that a context is of.
type callingTask Task

func (t *callingTask) WorkerPID() *actor.PID { return t.mb.pid }
func (t *callingTask) InTask() bool          { return true }

// callingOffload is what a worker has offloaded, which a context is of.
type callingOffload mailbox

func (mb *callingOffload) WorkerPID() *actor.PID { return mb.pid }
func (mb *callingOffload) InTask() bool          { return false }

// taskIn returns the task whose own context ctx is or comes from, or nil.
func taskIn(ctx context.Context) *Task {
	t, _ := callerctx.Of(ctx).(*callingTask)
	return (*Task)(t)
}

// beAdopted finds the supervisor that spawns this worker, if one does.
func (mb *mailbox) beAdopted() {
	parent := mb.raw().Parent()
	if parent == nil { // a keyed one has its owner already
		return
	}
	up := mb.sys.lookUp(parent)
	if up == nil {
		return
	}
	if s := up.Supervisor(); s != nil {
		mb.super = s
		mb.policy = s.AdoptChild(supervised{mb})
	}
}

// errReturned is the failure that is none: a Main that returned nil under a
// supervisor that restarts it.
var errReturned = errors.New("its Main has returned")

// returned is the normal end of a Main, or an Exit with a nil reason.
func (mb *mailbox) returned(t *Task) {
	switch {
	case mb.gate.Load() != gateOpen: // it stops already, within a grace that may be longer
	case mb.policy.Restart:
		t.failWorkerAtEnd(errReturned)
	default:
		mb.requestStop(mb.ownGrace())
	}
}

// tellStopping tells the supervisor that the gate is closed. Any goroutine: before the
// engine has registered the actor nobody knows of a supervisor yet, and one that starts
// is told again when it has come up.
func (mb *mailbox) tellStopping() {
	if mb.registered() && mb.super != nil {
		mb.super.ChildStopping(supervised{mb})
	}
}

// tellReady tells the supervisor that setup has succeeded.
func (mb *mailbox) tellReady() {
	if mb.super == nil {
		return
	}
	mb.super.ChildReady(supervised{mb})
	if mb.gate.Load() != gateOpen {
		mb.tellStopping()
	}
}

// reportToSupervisor tells the supervisor of a failure. It takes the place of the engine's
// way through the parent's strategy.
func (mb *mailbox) reportToSupervisor(t *Task, reason error) {
	mb.super.ChildFailed(supervised{mb}, mb.failureOf(t, reason))
}

// failureOf is reason, of a task t or of none, as a supervisor is told it.
func (mb *mailbox) failureOf(t *Task, reason error) *supervision.Failure {
	f := &supervision.Failure{Err: reason, Incarnation: mb.life.incarnation}
	if reason == errReturned {
		f.Err = nil
	}
	if t != nil {
		f.Task, f.Message, f.Context = t.name(), t.message(), t.base()
		if env := t.envelope(); env != nil {
			f.Sender = env.Sender
		}
		if t.lifetime == internal {
			f.Message = nil
		}
		f.Retried = t.has(isRetried)
		f.Stashed = t.has(isStashed) && !f.Retried
	}
	return f
}
