// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"errors"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
)

// restartsTogether reports whether children restart together.
func (c *core) restartsTogether() bool { return c.spec.Strategy != OneForOne }

// lockFor returns the lock that operations on a child take.
func (c *core) lockFor(k *child) *operationLock {
	if c.restartsTogether() {
		return &c.operations
	}
	return &k.operations
}

// affectedBy are the children that restart when k has failed: whom the strategy
// names, and those that are down already because of another failure.
func (c *core) affectedBy(k *child) []*child {
	if !c.restartsTogether() {
		return []*child{k}
	}
	all := c.orderedChildren()
	i := 0
	for ; i < len(all) && all[i] != k; i++ {
	}
	lo, hi := c.spec.Strategy.affectedRange(i, len(all))
	var group []*child
	for i, o := range all {
		if i >= lo && i < hi || o.life.Want().Start() {
			group = append(group, o)
		}
	}
	return group
}

// recoverChild handles the end or failure of a child, unless somebody else has.
func (c *core) recoverChild(t *actors.Task, k *child) error {
	h := lockHolder{lock: c.lockFor(k)}
	if err := h.acquire(t); err != nil {
		return err
	}
	defer h.release()
	if c.isStopping() || !k.life.Want().Decision() {
		return nil
	}
	e := exitReason{}
	if k.life.State().HasFailed() {
		e = exitReasonOf(k.failed().last)
	}
	return c.handleExit(t, &h, k, e)
}

// handleExit does what the restart table says of a child that has ended or failed,
// until all whom it affects are up. One that fails meanwhile is one more failure, and
// all begins again.
func (c *core) handleExit(t *actors.Task, h *lockHolder, k *child, e exitReason) error {
	var group []*child
	for {
		k.handleEvent(t, life.ChildDecided)
		switch decideOnExit(k.spec.Restart, e) {
		case decideEscalate:
			c.beginStop(t, &EscalateError{c.node.pid.Id, k.name, e.err})
			return nil
		case decideLetGo: // the others are still to come up
			if err := c.letChildGo(t, k, e.err); err != nil {
				return err
			}
		case decideRestart:
			r, within := c.countRestart(t, k, e, time.Now())
			if !within {
				return nil
			}
			group = c.affectedBy(k)
			if err := c.prepareRestart(t, h, k, group, r); err != nil {
				if err == errTakenOver {
					return nil
				}
				return err
			}
		}
		if c.isInterrupted(t) {
			return nil
		}
		bad, how := c.startGroup(t, group)
		if bad == nil || c.isInterrupted(t) {
			return nil
		}
		k, e = bad, how
	}
}

// restartAlone is recoverChild for a child that restarts by itself and at once: then there is nothing
// to wait for before its setup, and lookAtStarter sees to what comes of that. A task that waits for it was a
// ninth of the instructions of a restart (bench: restart/worker). false: it is no such child.
func (c *core) restartAlone(t *actors.Task, k *child) bool {
	if c.restartsTogether() || c.isStopping() || k.operations.held || k.life.State() != life.ChildFailed || k.kind == KindSupervisor || k.spec.hasBackoff() {
		return false
	}
	e := exitReasonOf(k.failed().last)
	if decideOnExit(k.spec.Restart, e) != decideRestart {
		return false
	}
	s := k.failures.restarter
	if s == nil {
		s = &startWait{holder: lockHolder{lock: &k.operations}}
		k.failures.restarter = s
	}
	s.holder.takeFree()
	now := k.stateSince // it has just failed
	k.handleEvent(t, life.ChildDecided)
	r, within := c.countRestart(t, k, e, now)
	if !within {
		s.holder.release()
		return true
	}
	alone := [1]*child{k}
	_ = c.prepareRestart(t, &s.holder, k, alone[:], r) // there is nothing to wait for
	s.beginWait(t, k)
	return true
}

// countRestart notes a failure that a restart is to follow, and takes that from the budget; false: there was none left,
// and the supervisor ends.
func (c *core) countRestart(t *actors.Task, k *child, e exitReason, now time.Time) (r RestartRecord, within bool) {
	delay := &k.noteFailed().delay
	if k.wasUp {
		delay.upSince, k.wasUp = c.startedAt.Add(k.upSince), false
	}
	delay.noteFailure(k.spec, now)
	// The tries of one message are one failure: the last of them counts.
	counted := !e.retried && delay.takesRestart(k.spec)
	if counted && !c.spendRestart(t, k, e.err, now) {
		return r, false
	}
	return RestartRecord{At: now, Err: e.err, Counted: counted}, true
}

// spendRestart takes a restart from the budget; false: there was none left, and the
// supervisor ends.
func (c *core) spendRestart(t *actors.Task, k *child, why error, now time.Time) bool {
	c.node.mu.Lock()
	within := c.intensity.countRestart(now)
	c.node.mu.Unlock()
	if within {
		return true
	}
	emitEvent(c.events, BudgetExceeded{k.eventPlace(), c.intensity.maxRestarts, c.intensity.within, why})
	c.beginStop(t, &IntensityError{c.node.pid.Id, k.name, c.intensity.maxRestarts, c.intensity.within, why})
	return false
}

// letChildGo is the end of a child that is not restarted.
func (c *core) letChildGo(t *actors.Task, k *child, why error) error {
	k.handleEvent(t, life.ChildLetGo)
	if err := c.stopAndAwait(t, k); err != nil {
		return err
	}
	emitEvent(c.events, ChildEnded{k.eventPlace(), why})
	if k.spec.Restart == Temporary || c.isDynamic() {
		c.forgetChild(t, k)
	}
	if k.spec.Significant && !c.isStopping() && c.spec.AutoShutdown.endsSupervisor(len(c.significant)) {
		c.beginStop(t, ErrShutdown)
	}
	return nil
}

// errTakenOver: while it waited, another failure has taken over the group.
var errTakenOver = errors.New("supervisor: restarted together with others")

// prepareRestart notes the restart, quiesces the group and waits as long as the backoff of
// the child that has failed says.
func (c *core) prepareRestart(t *actors.Task, h *lockHolder, k *child, group []*child, r RestartRecord) error {
	attempt := k.failed().delay.attempts
	r.Delay, r.With = k.spec.Backoff.Wait(attempt), siblingNames(group, k)
	emitEvent(c.events, ChildRestarting{k.eventPlace(), r.Delay, attempt, r.With})
	k.recordRestart(r)
	h.lock.restartRound++
	for _, o := range group {
		o.handleEvent(t, life.ChildRestartDue)
	}
	if len(group) > 1 || r.Delay > 0 || k.life.State() == life.ChildOverdue {
		if err := c.quiesceGroup(t, group, k, r.Err); err != nil {
			return err
		}
	}
	return c.awaitBackoff(t, h, k, r.Delay)
}

// awaitBackoff waits before a restart. Whatever is done with the child ends the wait:
// a stop, Remove, Restart. So the lock is free meanwhile.
func (c *core) awaitBackoff(t *actors.Task, h *lockHolder, k *child, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	round, begin := h.lock.restartRound, time.Now()
	h.release()
	f := k.noteFailed()
	k.updateShown(func() { f.waitsUntil = begin.Add(d) })
	defer k.updateShown(func() { f.waitsUntil = time.Time{} })
	defer c.afterFunc(d, func() { k.changed.Broadcast() }).Stop()
	for !c.isStopping() && h.lock.restartRound == round && (k.life.State() == life.ChildQuiesced || k.life.State() == life.ChildGone) && time.Since(begin) < d {
		if err := k.changed.Wait(t); err != nil {
			return err
		}
	}
	if c.isStopping() {
		return errStopping
	}
	if err := h.acquire(t); err != nil {
		return err
	}
	switch {
	case c.isStopping():
		return errStopping
	case h.lock.restartRound != round:
		return errTakenOver
	}
	return nil
}

// siblingNames returns the names of the siblings that restart with one.
func siblingNames(group []*child, but *child) (out []string) {
	for _, k := range group {
		if k != but && k.spec.Restart != Temporary {
			out = append(out, k.name)
		}
	}
	return out
}

// quiesceGroup quiesces a group, in the reverse order of their starts. All
// but the one that failed lose what is in flight, and nobody loses its queue;
// a supervisor among them is stopped, as its own children are. Temporary ones
// end here.
func (c *core) quiesceGroup(t *actors.Task, group []*child, because *child, why error) error {
	for i := len(group) - 1; i >= 0; i-- {
		k := group[i]
		switch {
		case c.isStopping():
			return errStopping
		case !k.life.State().HasActor() || k.life.State() == life.ChildQuiesced:
			continue
		case k != because && k.spec.Restart == Temporary:
			if err := c.stopAndAwait(t, k); err != nil {
				return err
			}
			if c.isStopping() {
				return errStopping
			}
			emitEvent(c.events, ChildEnded{At: k.eventPlace()})
			c.forgetChild(t, k)
			continue
		case k.kind == KindSupervisor && !k.life.State().HasFailed():
			if err := c.stopAndAwait(t, k); err != nil {
				return err
			}
			continue
		}
		if err := c.quiesceChild(t, k, why); err != nil {
			return err
		}
	}
	return nil
}

// quiesceChild quiesces one child. One that still runs although its tasks have been
// abandoned long ago is abandoned, too: a plain actor whose handler does not return. It
// cannot be started again then, because its name is taken, and that is a failure like
// others.
func (c *core) quiesceChild(t *actors.Task, k *child, why error) error {
	// Also if it fails or ends meanwhile: it comes up with the others.
	defer func() { k.handleEvent(t, life.ChildQuiesceOver) }()
	k.noteFailed().restartCause = why
	k.handleEventBecause(t, life.ChildQuiesceAsked, why)
	begin, limit := c.sinceStart(), k.unwindLimit()
	alarm := c.afterFunc(limit, func() { k.changed.Broadcast() })
	c.quiescing++
	defer func() {
		c.quiescing--
		alarm.Stop()
	}()
	for stopAsked := false; k.life.State().HasActor() && k.life.State() != life.ChildQuiesced; {
		switch late := c.isOverdue(begin + limit); {
		case c.isStopping():
			return errStopping
		case late && stopAsked, late && isPlainProcess(k.process):
			c.abandonChild(t, k)
			return nil
		case late: // somebody else has told it to end, with a grace of his own
			stopAsked, begin = true, c.sinceStart()
			k.process.Stop(actors.NoGrace)
			alarm = c.afterFunc(limit, func() { k.changed.Broadcast() })
		}
		if err := k.changed.Wait(t); err != nil {
			return err
		}
	}
	return nil
}

// RestartRecord is a restart of a child: one that a supervisor has decided on.
type RestartRecord struct {
	At      time.Time // when it was decided on
	Child   string
	Err     error         // why; nil: it had ended without one
	Stack   []byte        // of a panic
	Task    string        // that failed; empty if unknown
	Attempt int           // since it was last up for long; 1 is the first
	Delay   time.Duration // before it
	With    []string      // names of the siblings that restarted, too
	Counted bool          // against MaxRestarts
}

// maxRestartRecords is how many restarts a supervisor remembers.
const maxRestartRecords = 32

// restartRing tracks the last restarts of a supervisor's children. It is guarded by the
// node's mu.
type restartRing struct {
	total   int64
	records []RestartRecord // without their stacks, which are those of the errors
	next    int             // where the next one goes, once it is full
}

func (r *restartRing) addRecord(e RestartRecord) {
	r.total++
	if len(r.records) < maxRestartRecords {
		r.records = append(r.records, e)
		return
	}
	r.records[r.next] = e
	r.next = (r.next + 1) % maxRestartRecords
}

// recordRestart notes a restart of the child, which its last failure, if it has failed, has led
// to. On the loop.
func (k *child) recordRestart(e RestartRecord) {
	f := k.failed()
	e.Child, e.Attempt = k.name, f.delay.attempts
	if f.last != nil {
		e.Task = f.last.Task
	}
	n := k.core.node
	n.mu.Lock()
	defer n.mu.Unlock()
	n.restarts.addRecord(e)
}

// listRecords returns them, the oldest first.
func (r *restartRing) listRecords() []RestartRecord {
	out := make([]RestartRecord, 0, len(r.records))
	out = append(out, r.records[r.next:]...)
	return append(out, r.records[:r.next]...)
}
