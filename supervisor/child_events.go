// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"math"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/safeerr"
	"github.com/protoloop/protoloop/internal/supervision"
)

var _ supervision.Supervisor = (*node)(nil)

// AdoptChild is the mailbox's: the child is being spawned, by us.
func (n *node) AdoptChild(p supervision.Child) supervision.Policy {
	k := n.core.Load().spawning
	if k == nil || k.name != n.childName(p.PID()) {
		return supervision.Policy{} // somebody else spawns under our name
	}
	k.updateShown(func() {
		k.process = p
		if k.kind != KindSupervisor {
			k.kind = KindWorker
		}
	})
	return supervision.Policy{Retries: int32(min(k.spec.OnCrash.Retries, math.MaxInt32)), Restart: k.spec.Restart == Permanent}
}

// postChildEvent runs f on the loop for the child with this process, unless that was
// abandoned.
func (n *node) postChildEvent(p childProcess, f func(t *actors.Task, k *child)) {
	n.core.Load().queue.postMessage(loopMessage{tell: f, child: p})
}

// childOf is the child with this process, or nil.
func (c *core) childOf(p childProcess) *child {
	k := c.children[c.node.childName(p.PID())]
	if k == nil || k.process != p || !k.life.State().HasActor() {
		return nil
	}
	return k
}

// ChildReady is the mailbox's.
func (n *node) ChildReady(p supervision.Child) {
	n.postChildEvent(p, func(t *actors.Task, k *child) { k.handleEvent(t, life.ChildSetUp) })
}

// ChildStopping is the mailbox's.
func (n *node) ChildStopping(p supervision.Child) {
	n.postChildEvent(p, func(t *actors.Task, k *child) { k.handleEvent(t, life.ChildLeaves) })
}

// ChildFailed is the mailbox's.
func (n *node) ChildFailed(p supervision.Child, f *supervision.Failure) bool {
	c := n.core.Load()
	c.queue.postMessage(loopMessage{failed: f, child: p})
	_, ended := n.finalReport()
	return !ended
}

// MessageNotHandled is the mailbox's.
func (n *node) MessageNotHandled(p supervision.Child, f *supervision.Failure) {
	c := n.core.Load()
	c.queue.postFunc(func(*actors.Task) {
		if k := c.children[n.childName(p.PID())]; k != nil && k.process == p { // also one that was abandoned
			c.callDeadLetter(k, f)
		}
	})
}

// ChildQuiesced is the mailbox's.
func (n *node) ChildQuiesced(p supervision.Child) {
	n.postChildEvent(p, func(t *actors.Task, k *child) { k.handleEvent(t, life.ChildHasQuiesced) })
}

// ChildStopped is the mailbox's.
func (n *node) ChildStopped(p supervision.Child) {
	n.postChildEvent(p, func(t *actors.Task, k *child) { k.handleTerminated(t) })
}

// PlainFailed is the mailbox's.
func (n *node) PlainFailed(f *actor.Failure) {
	c := n.core.Load()
	c.queue.postFunc(func(t *actors.Task) {
		if k := c.children[n.childName(f.Who)]; k != nil && k.life.State().HasActor() && f.Who.Equal(k.pid) {
			if p, ok := k.process.(*plainProcess); ok {
				if failure, now := p.linkFailure(f); now {
					c.handleFailure(t, k, &failure)
				} else {
					c.emitFailure(k, &failure)
				}
				return
			}
		}
		sendSystem(n.sys, f.Who, &actor.Stop{}) // as in ChildFailed
	})
}

// ActorTerminated is the mailbox's: the engine has forgotten the child.
func (n *node) ActorTerminated(who *actor.PID) {
	n.core.Load().queue.postMessage(loopMessage{forgotten: who})
}

// handleReportedFailure handles the failure of the child with this process, unless that was
// abandoned.
func (c *core) handleReportedFailure(t *actors.Task, p childProcess, f *supervision.Failure) {
	switch k := c.childOf(p); {
	case k != nil:
		c.handleFailure(t, k, f)
	case f.Draining:
		c.logAbandonedFailure(p.PID(), "it goes on", f)
	default: // suspended, it would stay so
		c.logAbandonedFailure(p.PID(), "it stops", f)
		p.Stop(actors.NoGrace)
	}
}

// handleFailure handles the failure of a child, which has suspended itself unless it
// drains.
func (c *core) handleFailure(t *actors.Task, k *child, f *supervision.Failure) {
	c.emitFailure(k, f)
	if !f.Draining {
		k.noteFailed().last = f
		k.handleEvent(t, life.ChildCrashed)
	}
}

// logAbandonedFailure is emitFailure for an abandoned child.
func (c *core) logAbandonedFailure(pid *actor.PID, next string, f *supervision.Failure) {
	c.events.log.ErrorContext(failureContext(f), "supervisor: an abandoned child failed; "+next, "actor", pid, "task", f.Task, "error", f.Err, "stack", string(stackOf(f.Err)))
	c.tellFailure(failure.WorkerFailure, pid, f.Task, f.Err)
}

// startRecovery has somebody deal with a child that has failed or ended by itself, and
// not while it started.
func (c *core) startRecovery(t *actors.Task, k *child) {
	if s := c.startingChild; s != nil {
		s.changed.Broadcast()
	}
	if c.restartAlone(t, k) {
		return
	}
	actors.Start(t, func(t *actors.Task) (error, error) { // as startTask, with a function less
		defer c.recoverPanic(t)
		return c.recoverChild(t, k), nil
	}, actors.Name(k.restartTaskName()))
}

// restartTaskName is the name of a task that restarts it.
func (k *child) restartTaskName() string {
	f := k.noteFailed()
	if f.restartTask == "" {
		f.restartTask = k.core.taskName("restart", k.name)
	}
	return f.restartTask
}

// emitFailure makes an event of a failure, and hands on the message that it
// is about.
func (c *core) emitFailure(k *child, f *supervision.Failure) {
	if f.Err == nil { // its Main has returned: no failure, but it is Permanent
		emitEvent(c.events, ChildEnded{At: k.eventPlace()})
		return
	}
	if c.events.wantsEvent(ChildFailed{}) {
		e := ChildFailed{At: k.eventPlace(), Err: f.Err, Task: f.Task, Retried: f.Retried || f.Stashed, Stack: stackOf(f.Err)}
		if f.Message != nil {
			e.Message = typeName(f.Message)
		}
		c.events.publishEvent(failureContext(f), e)
	}
	c.tellFailure(failure.WorkerFailure, k.failurePID(), f.Task, f.Err)
	if !f.Retried && !f.Stashed {
		c.callDeadLetter(k, f)
	}
}

// failureContext is the context of the task that has failed, for the log.
func failureContext(f *supervision.Failure) context.Context {
	if f.Context != nil {
		return f.Context
	}
	return context.Background()
}

// callDeadLetter hands on a message whose handler has panicked and which will not be
// handled anew.
func (c *core) callDeadLetter(k *child, f *supervision.Failure) {
	call := k.spec.OnCrash.DeadLetter
	if call == nil || f.Message == nil {
		return
	}
	pid := k.failurePID()
	crash := Crash{c.node.pid.Id, k.name, f.Message, f.Sender, f.Err}
	c.deadLetterCalls.Call(func() { call(crash) }, func(v any, stack []byte) {
		c.events.logError("supervisor: OnCrash.DeadLetter panicked", "supervisor", crash.Supervisor, "child", crash.Child, "panic", v, "stack", string(stack))
		c.events.tellPanic(pid, "OnCrash.DeadLetter", v, stack)
	})
}

// stackOf is the stack that comes with an error, if one does.
func stackOf(err error) (stack []byte) {
	if p, ok := safeerr.As[*actors.PanicError](err); ok {
		return p.Stack
	}
	return nil
}
