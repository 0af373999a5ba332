// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/safeerr"
)

// failWorker is the failure of the worker by a task that has just ended.
func (mb *mailbox) failWorker(t *Task, err error) {
	mb.keepFailure(failure.WorkerFailure, t.name(), err, stackOf(err))
	mb.handleOccurrence(occurrence{event: life.TaskFailed, facts: mb.whetherStopping(), err: err, task: t})
}

// reportFailure logs a failure that the worker ends because of. A supervisor tells
// it itself.
func (mb *mailbox) reportFailure(t *Task, err error) {
	if mb.super == nil {
		mb.logger().ErrorContext(t.logContext(), "actors: the worker failed", "task", t.name(), "error", err, "stack", stackIn(err))
		mb.tellTaskFailure(failure.WorkerFailure, t, err)
	}
}

// reportInEnd is the failure of a task while its incarnation ends anyway.
func (mb *mailbox) reportInEnd(t *Task, err error) {
	if t.saysItsEnd(err) {
		return // a setup that was cut off
	}
	mb.logger().ErrorContext(t.logContext(), "actors: a task failed while the worker ended", "task", t.name(), "error", err, "stack", stackIn(err))
	mb.tellTaskFailure(failure.WorkerFailure, t, err)
}

// reportInDrain is the failure of a task after the stop event: it is that
// task's alone. What else was accepted goes on with the state as it is. A
// restart would throw that away, but would cut off what is in flight, and run
// setup and all Backgrounds for a worker that is about to end.
func (mb *mailbox) reportInDrain(t *Task, err error) {
	if mb.super != nil {
		f := mb.failureOf(t, err)
		f.Draining = true
		if mb.super.ChildFailed(supervised{mb}, f) {
			return
		}
	}
	mb.logger().ErrorContext(t.logContext(), "actors: a task failed while the worker drains; it goes on with what it has accepted", "task", t.name(), "error", err, "stack", stackIn(err))
	mb.tellTaskFailure(failure.WorkerFailure, t, err)
}

// A worker without a parent restarts itself so often.
const (
	maxOwnRestarts    = 10
	ownRestartsWithin = 10 * time.Second
)

// escalate asks the supervisor what to do after a failure, of task t or of none, and
// returns what is decided at once: without a parent the worker decides itself.
func (mb *mailbox) escalate(t *Task, reason error) (decided occurrence) {
	if mb.super != nil {
		mb.reportToSupervisor(t, reason)
		return occurrence{}
	}
	mb.life.unsuspended++
	if mb.raw().Parent() != nil {
		defer func() { // a strategy runs in the caller when the parent is a guardian
			if p := recover(); p != nil {
				mb.logger().Error("actors: the parent's strategy panicked; the worker stops", "panic", p)
				mb.tellPanic("the parent's strategy", newPanicError(p))
				decided.event = life.ForcedStopAsked
			}
		}()
		mb.invoker().EscalateFailure(mb.escalatedReason(reason), nil)
		return occurrence{}
	}
	mb.loop.PostControl(&actor.SuspendMailbox{})
	directive := actor.RestartDirective
	decided.event = life.RestartAsked
	if safeerr.Is(reason, errDoNotRestart, errEscalate) || mb.Supervisor() != nil || !mb.sparse().restarts.Count(time.Now(), maxOwnRestarts, ownRestartsWithin) {
		directive = actor.StopDirective
		decided.event = life.ForcedStopAsked
	}
	mb.sys.publish(&actor.SupervisorEvent{Child: mb.pid, Reason: reason, Directive: directive})
	return decided
}

// escalatedReason is the reason as the parent's strategy sees it: under a plain
// actor what was passed to panic, as from the engine itself.
func (mb *mailbox) escalatedReason(reason error) any {
	if p, ok := reason.(*PanicError); ok && !mb.isWorker() {
		return p.Value
	}
	return reason
}
