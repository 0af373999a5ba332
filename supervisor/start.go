// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/panicstack"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/internal/taskwait"
)

// startChildren starts the children in order. If one does not start it stops those
// that have, and returns why.
func (c *core) startChildren(t *actors.Task) error {
	h := lockHolder{lock: &c.operations}
	if err := h.acquire(t); err != nil {
		return err
	}
	defer h.release()
	for i := range c.spec.Children {
		spec := &c.spec.Children[i]
		c.registerChild(spec.Name, spec)
	}
	bad, e := c.startInOrder(t)
	if bad != nil {
		c.notStarted = bad.name
	}
	switch {
	case taskEnded(t) != nil: // cut off: the actor is told to end at once
		return c.cutOffInSetup(t, taskEnded(t))
	case bad == nil || c.isStopping():
	case bad.startResult == startedUp: // … and has failed while another one started
		if err := c.handleExit(t, &h, bad, e); taskEnded(t) != nil {
			return c.cutOffInSetup(t, err)
		}
	default:
		c.beginStop(t, &StartError{Supervisor: c.node.pid.Id, Child: bad.name, Err: e.err})
	}
	h.release()
	if !c.isStopping() {
		return nil
	}
	if _, err := actors.Await(t, c.finished.Future()); err != nil {
		return c.cutOffInSetup(t, err)
	}
	return c.failureCause()
}

// startInOrder starts the children one after the other, and returns the first
// that fails.
func (c *core) startInOrder(t *actors.Task) (*child, exitReason) {
	if c.restartsTogether() {
		return c.startGroup(t, c.orderedChildren())
	}
	for _, k := range c.orderedChildren() {
		h := lockHolder{lock: &k.operations}
		if err := h.acquire(t); err != nil {
			return k, exitReason{failed: true, err: err}
		}
		bad, e := c.startGroup(t, []*child{k})
		h.release()
		if bad != nil {
			return bad, e
		}
	}
	return nil, exitReason{}
}

// startGroup starts those of a group that are down, in order. It returns the
// first that fails, and how: be it in its start or, if the group falls and
// rises together, after it, while others start.
func (c *core) startGroup(t *actors.Task, group []*child) (*child, exitReason) {
	for _, k := range group {
		if k.life.Want() != life.ChildWantStart {
			continue // removed; started by Restart, or let go; or to be dealt with by itself
		}
		bad, err := c.startChild(t, k)
		if err == nil {
			continue
		}
		if last := bad.failed().last; bad != k && last != nil {
			return bad, exitReasonOf(last)
		}
		return bad, exitReason{failed: true, err: err}
	}
	return nil, exitReason{}
}

// startChild starts a child, or its next incarnation, and waits until its setup
// has succeeded. On an error the child that it returns is down or failed, or
// the supervisor is stopping.
func (c *core) startChild(t *actors.Task, k *child) (*child, error) {
	limit, err := c.beginChildStart(t, k)
	if err != nil {
		return k, err
	}
	return c.awaitChildStart(t, k, k.startedAt, limit)
}

// beginChildStart is startChild up to where there is to wait for the child's setup, and for
// how long.
func (c *core) beginChildStart(t *actors.Task, k *child) (limit time.Duration, err error) {
	if c.isStopping() {
		return 0, errStopping
	}
	limit = k.spec.startTimeout()
	if k.life.State().HasFailed() { // what is in flight unwinds first
		limit += min(k.process.StopGrace(), actors.Forever/4)
	}
	if f := k.failures; f != nil {
		switch {
		case f.last != nil:
			f.restartCause = f.last.Err
		case f.spawnErr != nil:
			f.restartCause = f.spawnErr
		}
		f.spawnErr, f.last = nil, nil
	}
	k.startResult = startPending
	k.handleEvent(t, life.ChildStartAsked)
	if err := k.failed().spawnErr; err != nil {
		k.updateShown(func() { k.failures.lastErr = err })
		k.emitChildFailed(ChildFailed{Err: err, Stack: stackOf(err)})
		return limit, err
	}
	return limit, nil
}

// awaitChildStart is the rest of startChild. now is what sinceStart has read last.
func (c *core) awaitChildStart(t *actors.Task, k *child, now, limit time.Duration) (*child, error) {
	if c.restartsTogether() {
		c.startingChild = k
		defer func() { c.startingChild = nil }()
	}
	for k.startResult == startPending {
		switch bad := c.failedSibling(k); {
		case c.isStopping():
			return k, errStopping
		case bad != nil:
			return bad, ErrEnded
		case k.kind != KindSupervisor && now-k.startedAt >= limit:
			return k, k.failStartTimeout(t, limit)
		case k.kind != KindSupervisor: // whose children have their own
			c.armStartTimer(k.startedAt + limit)
		}
		if err := k.changed.Wait(t); err != nil {
			return k, err
		}
		if k.startResult == startPending {
			now = c.sinceStart()
		}
	}
	switch {
	case c.isStopping():
		return k, errStopping
	case k.startResult == startedUp:
		return nil, nil
	case k.life.State().HasFailed() && k.failures.last.Err != nil:
		return k, k.failures.last.Err
	case k.life.State().HasFailed():
		return k, ErrEnded
	}
	f := k.noteFailed()
	k.updateShown(func() { f.lastErr = ErrEnded })
	k.emitChildFailed(ChildFailed{Err: ErrEnded})
	return k, ErrEnded
}

// armStartTimer wakes those that wait for a start at that time, or before, so that
// they look at the clock. One timer serves all of them, and is not stopped when a start has come to its
// end: most do at once, and a timer for each was 3 % of a restart (bench: restart/worker).
func (c *core) armStartTimer(at time.Duration) {
	if c.startTimerAt != 0 && c.startTimerAt <= at {
		return
	}
	c.startTimerAt = at
	d := at - c.sinceStart()
	if c.startTimer != nil {
		c.startTimer.Reset(max(d, 1))
		return
	}
	c.startTimer = time.AfterFunc(max(d, 1), func() { c.queue.postFunc(c.lookAtStarts) })
}

// lookAtStarts has all that wait for a start look at the clock.
func (c *core) lookAtStarts(t *actors.Task) {
	c.startTimerAt = 0
	for _, k := range c.children {
		if k.life.State() != life.ChildStarting {
			continue
		}
		k.changed.Broadcast()
		if k.lookAtStarter(t); k.starter != nil && k.kind != KindSupervisor {
			c.armStartTimer(k.startedAt + k.starter.limit)
		}
	}
}

// failStartTimeout is the failure of a setup that takes too long.
func (k *child) failStartTimeout(t *actors.Task, limit time.Duration) error {
	err := fmt.Errorf("%w: %v", ErrStartTimeout, limit)
	k.noteFailed().last = &supervision.Failure{Err: err, Task: "setup"}
	k.handleEvent(t, life.ChildStartTimedOut)
	k.emitChildFailed(ChildFailed{Err: err, Task: "setup"})
	return err
}

// failedSibling is a sibling that has failed and must restart together with a child
// that starts. That one may wait for it, and in vain.
func (c *core) failedSibling(k *child) *child {
	if !c.restartsTogether() {
		return nil
	}
	for o := range c.undecided {
		if o.life.State().HasFailed() && (c.spec.Strategy == OneForAll || o.seq < k.seq) &&
			decideOnExit(o.spec.Restart, exitReasonOf(o.failed().last)) != decideLetGo {
			return o
		}
	}
	return nil
}

// spawnActor starts the child's actor.
func (k *child) spawnActor(t *actors.Task) {
	c := k.core
	if k.process != nil || k.kind != KindPlain || k.node != nil {
		k.updateShown(func() { k.process, k.kind, k.node = nil, KindPlain, nil })
	}
	p, pid, err := k.trySpawn(t)
	for k.unnamed && errors.Is(err, actor.ErrNameExists) {
		c.renameChild(k)
		p, pid, err = k.trySpawn(t)
	}
	k.unnamed = false // it keeps the name
	if err != nil {
		k.noteFailed().spawnErr = err
		k.handleEvent(t, life.ChildSpawnFailed)
		return
	}
	k.showPID(pid)
	if k.process != nil {
		c.loopPropsOwn = c.loopProps == k.spec.Props && (c.loopPropsOwn || !k.process.SpawnCallsUsers())
		c.loopProps = k.spec.Props
	} else {
		if p == nil {
			p = newPlainProcess(k)
		}
		p.pid = pid
		k.updateShown(func() { k.process = p })
	}
	k.handleEvent(t, life.ChildSpawned)
	if k.process == childProcess(p) && !p.observed {
		c.events.log.Debug("supervisor: the props of a plain actor spawn it in a way of their own: it counts as up at once", "child", pid.Id)
		k.handleEvent(t, life.ChildSetUp)
	}
}

// trySpawn spawns the child's actor, through p unless that is nil.
func (k *child) trySpawn(t *actors.Task) (p *plainProcess, pid *actor.PID, err error) {
	c := k.core
	if c.loopProps == k.spec.Props && c.loopPropsOwn {
		pid, err = k.spawnOwn(t)
		return nil, pid, err
	}
	if c.loopProps != k.spec.Props {
		p = newPlainProcess(k)
	}
	pid, err = k.spawnInTask(t, p)
	return p, pid, err
}

// showPID shows who the child's actor is.
func (k *child) showPID(pid *actor.PID) { k.updateShown(func() { k.pid = pid }) }

// spawnOwn is spawnNamed where the props are known to call no code of users: there is
// nothing to contain.
func (k *child) spawnOwn(t *actors.Task) (*actor.PID, error) {
	c := k.core
	c.spawning = k
	pid, err := t.SpawnNamed(k.spec.Props, k.name)
	c.spawning = nil
	k.sameTime = err == nil // it took a microsecond or two
	return pid, spawnError(err)
}

// spawnError is an error of the engine's Spawn, or nil.
func spawnError(err error) error {
	if err != nil {
		err = fmt.Errorf("supervisor: spawn: %w", err)
	}
	return err
}

// spawnInTask is spawnNamed in a task of its own: a Goexit in a function of users ends that
// one. It does not wait, and so has ended. Await would only say that t has been cut off
// meanwhile, also if the actor is there, which then nobody would stop and account for.
func (k *child) spawnInTask(t *actors.Task, p *plainProcess) (*actor.PID, error) {
	return actors.Start(t, func(*actors.Task) (*actor.PID, error) { return k.spawnNamed(p) }, actors.Name("spawn")).TryResult()
}

// spawnNamed is the engine's Spawn, through p unless that is nil: the props are
// known to give an event loop. It calls code of users on our loop: the
// producer, and what is called on init.
func (k *child) spawnNamed(p *plainProcess) (pid *actor.PID, err error) {
	c := k.core
	id := c.node.childID(k.name)
	_, taken := c.node.sys.ProcessRegistry.GetLocal(id)
	c.spawning = k
	returned := false
	defer func() {
		c.spawning = nil
		if returned {
			return
		}
		if v := recover(); v != nil { // else it is a Goexit, which the task tells
			err = fmt.Errorf("supervisor: spawn: %w", &actors.PanicError{Value: v, Stack: panicstack.Take(0)})
		}
		if !taken { // what was registered would answer to nothing
			who := c.node.sys.NewLocalPID(id)
			c.node.sys.ProcessRegistry.Remove(who)
			if p != nil && p.mailbox != nil {
				p.mailbox.deadLetterHeld(who)
			}
		}
	}()
	props := k.spec.Props
	if p != nil {
		props = p.observedProps(props)
	}
	pid, err = c.ctx.SpawnNamed(props, k.name)
	returned = true
	return pid, spawnError(err)
}

// isInterrupted reports whether an operation must end without doing anything more.
func (c *core) isInterrupted(t *actors.Task) bool { return c.isStopping() || taskEnded(t) != nil }

// taskEnded is why the task has been ended, or nil. Its context says the same, but
// has to be made.
func taskEnded(t *actors.Task) error { return taskwait.TaskOf(t).Enter("supervisor").Ended }
