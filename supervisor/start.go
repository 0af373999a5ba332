// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
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

// startCall is a Start or a GetOrStart of a Dynamic. Unlike other operations it begins in the
// turn in which messages are handled, which must not wait. So it spawns the child and leaves
// the rest to the event that tells of the end of its setup. What does not go that way, a setup
// that fails or takes too long, or a child that is there but not up, goes on in a task of its own, as
// all other operations do. A task for each start was half of its time (bench: start/dynamic).
type startCall struct {
	core       *core
	what, name string
	spec       *Child
	get        bool       // a child that is there will do
	from       *actor.PID // the worker that asks, or nil
	outcome    chan outcome[*actor.PID]
	begin      func(t *actors.Task) // beginStart; made once
	startWait
}

// startWait waits for the end of a child's start, without a task: see lookAtStarter.
type startWait struct {
	call   *startCall    // whose it is; nil: a restart's, see restartAlone
	holder lockHolder    // the lock of the child that starts
	limit  time.Duration // how long its setup may take
}

// runStartCall is runOperation for a start.
func (n *node) runStartCall(ctx context.Context, what, name string, spec *Child, get bool) (*actor.PID, error) {
	notInTask(ctx, what, offload)
	s, _ := n.startCalls.Get().(*startCall)
	if s == nil {
		s = &startCall{outcome: make(chan outcome[*actor.PID], 1)}
		s.begin = s.beginStart
	}
	c := n.core.Load()
	s.core, s.what, s.name, s.spec, s.get, s.from = c, what, name, spec, get, askingWorker(ctx)
	c.queue.postFunc(s.begin)
	o, came := awaitOutcome(ctx, c, s.outcome)
	if came { // else it is still to come
		*s = startCall{outcome: s.outcome, begin: s.begin}
		n.startCalls.Put(s)
	}
	return o.v, o.err
}

// answerCaller is the end of the call, for whose caller it is the next one then.
func (s *startCall) answerCaller(pid *actor.PID, err error) {
	s.outcome <- outcome[*actor.PID]{pid, err}
}

// beginStart is called where messages are handled.
func (s *startCall) beginStart(t *actors.Task) {
	c := s.core
	if !s.get {
		s.startNewChild(t)
		return
	}
	switch k := c.children[s.name]; {
	case k == nil && !c.isStopping():
		s.startNewChild(t)
	case c.isStopping():
		s.answerCaller(nil, errStopping)
	case k.life.State() == life.ChildUp:
		s.answerCaller(k.pid, nil)
	default:
		s.goOnInTask(t, func(t *actors.Task) (*actor.PID, error) {
			return c.getOrStartChild(t, c.callerChild(s.from), s.name, s.spec)
		})
	}
}

// startNewChild adds the child, whose lock is free.
func (s *startCall) startNewChild(t *actors.Task) {
	c, name := s.core, s.name
	if err := c.refuseDynamicChild(name); err != nil {
		s.answerCaller(nil, err)
		return
	}
	if name == "" {
		name = c.freeName()
	}
	k := c.registerChild(name, s.spec)
	k.unnamed, k.sameTime = s.name == "", true // its start is now
	s.holder = lockHolder{lock: &k.operations}
	s.holder.takeFree()
	s.call = s
	s.beginWait(t, k)
}

// beginWait begins the start of a child whose lock it holds.
func (s *startWait) beginWait(t *actors.Task, k *child) {
	c := k.core
	limit, err := c.beginChildStart(t, k)
	switch {
	case err != nil:
		s.startFailed(t, k, k, err)
	case k.startResult == startPending:
		k.starter, s.limit = s, limit
		if k.kind != KindSupervisor { // whose children have their own
			c.armStartTimer(k.startedAt + limit)
		}
	default:
		s.endStart(k, nil)
	}
}

// lookAtStarter lets what waits for the child's start go on, if that is over.
func (k *child) lookAtStarter(t *actors.Task) {
	s, c := k.starter, k.core
	if s == nil {
		return
	}
	switch {
	case c.isStopping(): // it is in the list: the stop sees to it
		s.endStart(k, errStopping)
	case k.startResult == startedUp:
		s.endStart(k, nil)
	case k.startResult == startedNot, k.kind != KindSupervisor && c.sinceStart()-k.startedAt >= s.limit:
		k.starter = nil
		s.startFailed(t, k, nil, nil)
	}
}

// startFailed goes on, in a task, after a start that has failed with err, or else is over: then the task asks how.
func (s *startWait) startFailed(t *actors.Task, k, bad *child, err error) {
	c := k.core
	failure := func(t *actors.Task) (*child, exitReason) {
		if err == nil {
			bad, err = c.awaitChildStart(t, k, c.sinceStart(), s.limit)
		}
		return bad, exitReason{failed: true, err: err}
	}
	if s.call != nil {
		s.call.goOnInTask(t, func(t *actors.Task) (*actor.PID, error) {
			bad, e := failure(t)
			return c.finishAdd(t, &s.holder, k, bad, e)
		})
		return
	}
	c.startTask(t, k.restartTaskName(), func(t *actors.Task) error {
		defer s.holder.release()
		bad, e := failure(t)
		if bad == nil || c.isInterrupted(t) {
			return nil
		}
		return c.handleExit(t, &s.holder, bad, e)
	})
}

// endStart is the end of a start that has succeeded, or that a stop has ended.
func (s *startWait) endStart(k *child, err error) {
	k.starter = nil
	s.holder.release()
	switch {
	case s.call == nil:
	case err != nil:
		s.call.answerCaller(nil, err)
	default:
		s.call.answerCaller(k.pid, nil)
	}
}

// goOnInTask is the rest of a call that has to wait.
func (s *startCall) goOnInTask(t *actors.Task, f func(t *actors.Task) (*actor.PID, error)) {
	s.core.startTask(t, s.core.taskName(s.what, s.name), func(t *actors.Task) error {
		o := outcome[*actor.PID]{err: errStopping} // of a panic
		defer func() {
			s.holder.release()
			s.answerCaller(o.v, o.err)
		}()
		o.v, o.err = f(t)
		return nil
	})
}
