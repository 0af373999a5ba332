// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"slices"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/condition"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/supervision"
)

// isStopping reports whether nothing is to be started any more.
func (c *core) isStopping() bool { return c.life.State().IsStopping() }

// beginStop is the stop event, or the end after a failure.
func (c *core) beginStop(t *actors.Task, cause error) {
	if !c.isStopping() {
		c.cause = cause
		c.handleEvent(t, life.SupervisorStopAsked)
	}
}

// handleEvent is the only way to change the life of the supervisor: it looks up what
// the event leads to, and does what is to be done.
func (c *core) handleEvent(t *actors.Task, e life.SupervisorEvent) {
	is, effects := c.life.On(e)
	c.life = is
	if effects.Has(life.SupervisorTellStopping) {
		c.stopBeganAt = time.Now()
	}
	if is.State() != c.shown.state {
		c.node.mu.Lock()
		c.shown = shownLife{is.State(), c.stopBeganAt, c.cause}
		c.node.mu.Unlock()
	}
	if effects.Has(life.SupervisorTellStopping) {
		emitEvent(c.events, StopPhase{At: At{Supervisor: c.node.pid.Id}, Phase: "stopping", Err: c.cause})
	}
	if effects.Has(life.SupervisorWakeAll) {
		c.allEnded.Broadcast()
		for _, k := range c.children {
			k.changed.Broadcast()
			k.lookAtStarter(t)
		}
	}
	if effects.Has(life.SupervisorStopAll) {
		c.startTask(t, "stop", c.stopChildren)
	}
	if effects.Has(life.SupervisorTellOver) {
		c.finished.Resolve(struct{}{})
		if c.startTimer != nil {
			c.startTimer.Stop()
		}
		close(c.finishedChan)
		c.queue.postFunc(func(*actors.Task) {}) // dispatchMessages checks
	}
}

// stopChildren stops the children one after the other, the last one first: what
// drains can still ask those that started before it. Those of a Dynamic do
// not know each other and stop side by side.
func (c *core) stopChildren(t *actors.Task) error {
	children := c.orderedChildren()
	c.childrenAtStop = children
	together := 1
	if c.isDynamic() {
		together = len(children)
		// Before the rows are made, so that they end meanwhile.
		for _, k := range slices.Backward(children) {
			c.askChildToStop(t, k)
		}
	}
	c.rows.makeRows(children)
	for left := children; len(left) > 0; left = left[:len(left)-together] {
		if err := c.stopAndAwait(t, left[len(left)-together:]...); err != nil {
			return err
		}
	}
	c.emitStopped()
	c.flushCallbacks(t)
	c.handleEvent(t, life.SupervisorHasStopped)
	return nil
}

// emitStopped emits the event that all children are gone or abandoned.
func (c *core) emitStopped() {
	c.stopTook = time.Since(c.stopBeganAt)
	emitEvent(c.events, StopPhase{At: At{Supervisor: c.node.pid.Id}, Phase: "stopped", Took: c.stopTook, Err: c.cause})
}

// flushLimit is how long the end of a supervisor waits for its OnEvent and
// its OnCrash.DeadLetter.
const flushLimit = time.Second

// flushCallbacks gives the users' functions some time for what is queued, before
// others learn of the end.
func (c *core) flushCallbacks(t *actors.Task) {
	waits := []*actors.Future[actors.None]{c.deadLetterCalls.whenIdle()}
	if c.events.hook != nil { // else it is the parent's to wait
		waits = append(waits, c.events.hookCalls.whenIdle())
	}
	timer := c.afterFunc(flushLimit, func() {
		for _, f := range waits {
			f.Cancel()
		}
	})
	defer timer.Stop()
	for _, f := range waits {
		_, _ = actors.Await(t, f)
	}
}

// askChildToStop begins to stop a child.
func (c *core) askChildToStop(t *actors.Task, k *child) { k.handleEvent(t, life.ChildStopAsked) }

// enforceGrace sees to a child that was told to stop: it ends its grace,
// or leaves it behind when it should have unwound and run its hooks long ago.
// It returns how long there is to wait then; actors.Forever: until something changes.
func (c *core) enforceGrace(t *actors.Task, k *child) time.Duration {
	grace, spent := k.shutdownGrace(), time.Since(k.stateSince)
	if c.life.State().HasNoGrace() || grace != actors.Forever && spent >= grace {
		k.handleEvent(t, life.ChildGraceOver)
	}
	killing := k.life.State() == life.ChildKilling
	switch {
	case !killing && grace == actors.Forever, killing && k.kind == KindSupervisor:
		return actors.Forever
	case !killing:
		return grace - spent
	case c.isOverdue(k.killedAt + k.unwindLimit()):
		c.abandonChild(t, k)
		return actors.Forever
	}
	return k.unwindLimit() - (c.sinceStart() - k.killedAt)
}

// stopAndAwait stops children side by side, and returns when the last of them is gone
// or had to be abandoned.
func (c *core) stopAndAwait(t *actors.Task, children ...*child) error {
	for _, k := range slices.Backward(children) {
		c.askChildToStop(t, k)
	}
	// Of many, which are all there are, only the last that ends wakes the task: a
	// promise for each was a tenth of the time of a stop (bench: stop/workers).
	ended := &c.allEnded
	if len(children) == 1 {
		ended = &children[0].changed
	}
	for {
		next := actors.Forever
		for _, k := range children {
			if k.life.State().IsEnding() {
				next = min(next, c.enforceGrace(t, k))
			}
		}
		for len(children) > 0 && !children[len(children)-1].life.State().IsEnding() {
			children = children[:len(children)-1]
		}
		if len(children) == 0 {
			return nil
		}
		if err := c.waitAtMost(t, ended, next); err != nil {
			return err
		}
	}
}

// waitAtMost waits for a change, or until so much time has passed.
func (c *core) waitAtMost(t *actors.Task, changed *condition.Condition, most time.Duration) error {
	if most != actors.Forever {
		defer c.afterFunc(most, changed.Broadcast).Stop()
	}
	return changed.Wait(t)
}

// abandonChild gives up on a child that does not end: a plain actor in a handler that
// does not return, or a worker whose own children do not.
func (c *core) abandonChild(t *actors.Task, k *child) {
	k.process.Stop(actors.NoGrace) // should it return after all
	k.abandonActor(t, &supervision.Abandoned{Name: "actor " + k.pid.Id, Since: k.stateSince})
}

// ownStopGrace is what a supervisor's own tasks, which run no code of users,
// have to end in when its actor is cut off, and its children with it.
const ownStopGrace = time.Minute

// endAtCutOff is the hook at the end of an incarnation, which most of the time
// finds that all is over. Else its actor was told to end at once, by somebody
// who has used the engine's Stop: so are its children.
func (c *core) endAtCutOff(t *actors.Task) error {
	if c.life.State() != life.SupervisorOver {
		c.cutOffChildren(t)
	}
	return nil
}

// cutOffInSetup is the same in a setup, for which there is no hook, and whose task has
// been ended.
func (c *core) cutOffInSetup(t *actors.Task, why error) error {
	_ = t.Cleanup(ownStopGrace, func(t *actors.Task) error {
		c.cutOffChildren(t)
		return nil
	})
	return why
}

// cutOffChildren handles what comes by itself: dispatchMessages has been ended, too.
func (c *core) cutOffChildren(t *actors.Task) {
	c.handleEvent(t, life.SupervisorCutOff)
	limit := time.Duration(0)
	left := c.orderedChildren()
	for _, k := range left {
		c.askChildToStop(t, k)
		if k.life.State().IsEnding() {
			k.handleEvent(t, life.ChildCutOff)
			limit = max(limit, k.unwindLimit())
		}
	}
	by := c.sinceStart() + limit // after all have been told
	defer c.afterFunc(limit, func() {}).Stop()
	_ = c.serveUntil(t, func() bool {
		for len(left) > 0 && !left[len(left)-1].life.State().HasActor() {
			left = left[:len(left)-1]
		}
		return len(left) == 0 || c.isOverdue(by)
	})
	for _, k := range left {
		if k.life.State().HasActor() {
			c.abandonChild(t, k)
		}
	}
	c.emitStopped()
	c.handleEvent(t, life.SupervisorHasStopped)
}
