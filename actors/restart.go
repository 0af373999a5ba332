package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// fail is the failure of the worker by a task that has just ended.
func (mb *mailbox) fail(t *Task, err error) {
	stopping := mb.gate.Load() != gateOpen // looked at once: it may close at any moment
	switch p := mb.life.phase; {
	case p != phaseRunning && p != phaseSetup:
		if why := t.ended(); why != nil && saysOnly(err, endsBy(why)...) {
			return // a setup that was cut off
		}
		mb.logger().Error("actors: a task failed while the worker ended", "task", t.name(), "error", err, "stack", stackIn(err))
	case p == phaseRunning && stopping:
		mb.failedInDrain(t, err)
	default:
		if mb.super == nil { // which tells it itself
			mb.logger().Error("actors: the worker failed", "task", t.name(), "error", err, "stack", stackIn(err))
		}
		mb.failed(t, err, stopping)
	}
}

// failedInDrain is the failure of a task after the stop event: it is that
// task's alone. What else was accepted goes on with the state as it is. A
// restart would throw that away, but would cut off what is in flight, and run
// setup and all Backgrounds for a worker that is about to end.
func (mb *mailbox) failedInDrain(t *Task, err error) {
	if mb.super != nil {
		f := mb.failureOf(t, err)
		f.Draining = true
		if mb.super.Failed(supervised{mb}, f) {
			return
		}
	}
	mb.logger().Error("actors: a task failed while the worker drains; it goes on with what it has accepted", "task", t.name(), "error", err, "stack", stackIn(err))
}

// failed suspends the mailbox, ends what is in flight and asks the supervisor
// what to do, all before anything else can run.
//
// t is the task that failed, or nil. One that fails while the worker is stopping
// has left no incarnation that could drain.
func (mb *mailbox) failed(t *Task, reason error, stopping bool) {
	l := &mb.life
	l.failures++
	mb.cut(because(ErrRestarted, reason))
	if stopping {
		l.wantStop = true
	} else {
		mb.escalate(t, reason)
	}
	mb.advance()
}

// suspended reports whether the supervisor has yet to decide about a failure.
func (l *lifecycle) suspended() bool { return l.failures > l.resolved }

// resume goes on after a failure with the state as it is. Backgrounds and the
// Main, which live as long as the worker, begin anew; one that has failed
// itself does not, or it might fail for ever.
func (mb *mailbox) resume() {
	l := &mb.life
	mb.calm()
	inc := mb.newIncarnation(l.incarnation)
	mb.inc.Store(inc)
	if l.setupOK {
		l.phase = phaseRunning
		mb.loop.Hold(false)
		if a, ok := inc.actor.(*workerActor); ok && a.rest != nil {
			for _, b := range a.rest.background {
				if b.cut {
					b.begin(mb)
				}
			}
		}
		return
	}
	l.phase = phaseSetup
	mb.loop.Go(&mb.newSetup().lt)
}

// escalate asks the supervisor. Without a parent the worker decides itself.
func (mb *mailbox) escalate(t *Task, reason error) {
	if mb.super != nil {
		mb.loop.PostControl(&actor.SuspendMailbox{})
		mb.report(t, reason)
		return
	}
	if mb.raw().Parent() != nil {
		defer func() { // a strategy runs in the caller when the parent is a guardian
			if p := recover(); p != nil {
				mb.logger().Error("actors: the parent's strategy panicked; the worker stops", "panic", p)
				mb.life.wantStop = true
			}
		}()
		mb.invoker().EscalateFailure(mb.escalated(reason), nil)
		return
	}
	mb.loop.PostControl(&actor.SuspendMailbox{})
	directive := actor.StopDirective
	if matches(reason, ErrDoNotRestart, ErrEscalate) || mb.supervises.Load() != nil || !mb.sparse().restarts.spend(time.Now()) {
		mb.life.wantStop = true
	} else {
		directive = actor.RestartDirective
		mb.life.wantRestart = true
	}
	mb.sys.publish(&actor.SupervisorEvent{Child: mb.pid, Reason: reason, Directive: directive})
}

// escalated is the reason as the parent's strategy sees it: under a plain
// actor what was passed to panic, as from the engine itself.
func (mb *mailbox) escalated(reason error) any {
	if p, ok := reason.(*PanicError); ok && !mb.isWorker() {
		return p.Value
	}
	return reason
}

// restartBudget is a sliding window: at most 10 restarts in 10 s.
type restartBudget struct{ at []time.Time }

func (b *restartBudget) spend(now time.Time) bool {
	const most, within = 10, 10 * time.Second
	kept := b.at[:0]
	for _, t := range b.at {
		if now.Sub(t) < within {
			kept = append(kept, t)
		}
	}
	b.at = kept
	if len(b.at) >= most {
		return false
	}
	b.at = append(b.at, now)
	return true
}
