package supervisor

import (
	"slices"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/link"
)

// isStopping reports whether nothing is to be started any more.
func (c *core) isStopping() bool { return c.life.State().IsStopping() }

// beginStop is the stop event, or the end after a failure.
func (c *core) beginStop(t *actors.Task, cause error) {
	if !c.isStopping() {
		c.cause = cause
		c.happen(t, life.SupervisorStopAsked)
	}
}

// happen is the only way to change the life of the supervisor: an event goes in, and
// what is to be done is done.
func (c *core) happen(t *actors.Task, e life.SupervisorEvent) {
	is, effects := c.life.On(e)
	c.life = is
	if effects.Has(life.SupervisorTellStopping) {
		c.stopped = time.Now()
		emit(c.out, StopPhase{At: At{Supervisor: c.node.pid.Id}, Phase: "stopping", Err: c.cause})
	}
	if effects.Has(life.SupervisorWakeAll) {
		c.gone.raise()
		for _, k := range c.kids {
			k.changed.raise()
		}
	}
	if effects.Has(life.SupervisorStopAll) {
		c.run(t, "stop", c.stopAll)
	}
	if effects.Has(life.SupervisorTellOver) {
		c.over.Resolve(struct{}{})
		if c.looks != nil {
			c.looks.Stop()
		}
		close(c.ended)
		c.inbox.post(func(*actors.Task) {}) // dispatch looks
	}
}

// stopAll stops the children one after the other, the last one first: what
// drains can still ask those that started before it. Those of a Dynamic do
// not know each other and stop side by side.
func (c *core) stopAll(t *actors.Task) error {
	kids := c.ordered()
	c.all = kids
	together := 1
	if c.many() {
		together = len(kids)
		// Before the sheet is made, so that they end meanwhile.
		for _, k := range slices.Backward(kids) {
			c.tellStop(t, k)
		}
	}
	c.sheet.open(kids)
	for left := kids; len(left) > 0; left = left[:len(left)-together] {
		if err := c.down(t, left[len(left)-together:]...); err != nil {
			return err
		}
	}
	c.tellStopped()
	c.flush(t)
	c.happen(t, life.SupervisorHasStopped)
	return nil
}

func (c *core) tellStopped() {
	c.took = time.Since(c.stopped)
	emit(c.out, StopPhase{At: At{Supervisor: c.node.pid.Id}, Phase: "stopped", Took: c.took, Err: c.cause})
}

// flushLimit is how long the end of a supervisor waits for its OnEvent and
// its OnCrash.DeadLetter.
const flushLimit = time.Second

// flush gives the users' functions some time to hear of the end before the
// others do.
func (c *core) flush(t *actors.Task) {
	waits := []*actors.Future[struct{}]{c.dead.told()}
	if c.out.hook != nil { // else it is the parent's to wait
		waits = append(waits, c.out.calls.told())
	}
	timer := c.after(flushLimit, func() {
		for _, f := range waits {
			f.Cancel()
		}
	})
	defer timer.Stop()
	for _, f := range waits {
		_, _ = actors.Await(t, f)
	}
}

// tellStop begins to stop a child.
func (c *core) tellStop(t *actors.Task, k *child) { k.happen(t, life.ChildStopAsked) }

// press does what is due to a child that was told to stop: it ends its grace,
// or leaves it behind when it should have unwound and run its hooks long ago.
// It returns when to look again; NoLimit: when something has changed.
func (c *core) press(t *actors.Task, k *child) time.Duration {
	grace, spent := k.grace(), time.Since(k.since)
	if c.life.State().HasNoGrace() || grace != NoLimit && spent >= grace {
		k.happen(t, life.ChildGraceOver)
	}
	killing := k.life.State() == life.ChildKilling
	switch {
	case !killing && grace == NoLimit, killing && k.kind == KindSupervisor:
		return NoLimit
	case !killing:
		return grace - spent
	case c.now()-k.cutAt >= k.unwinding():
		c.leave(t, k)
		return NoLimit
	}
	return k.unwinding() - (c.now() - k.cutAt)
}

// down stops children side by side, and returns when the last of them is gone
// or had to be left behind.
func (c *core) down(t *actors.Task, kids ...*child) error {
	for _, k := range slices.Backward(kids) {
		c.tellStop(t, k)
	}
	// Of many, which are all there are, the last that ends rings: a promise for
	// each was a tenth of the time of a stop.
	bell := &c.gone
	if len(kids) == 1 {
		bell = &kids[0].changed
	}
	rung, forced := true, c.life.State().HasNoGrace()
	var alarm *time.Timer
	defer func() {
		if alarm != nil {
			alarm.Stop()
		}
	}()
	for left := len(kids); left > 0; {
		k := kids[left-1]
		if !k.life.State().IsEnding() {
			left--
			continue
		}
		if rung || forced != c.life.State().HasNoGrace() {
			rung, forced = false, c.life.State().HasNoGrace()
			if alarm != nil {
				alarm.Stop()
			}
			next := NoLimit
			for _, o := range kids[:left] {
				if o.life.State().IsEnding() {
					next = min(next, c.press(t, o))
				}
			}
			if next != NoLimit {
				alarm = c.after(next, func() {
					rung = true
					bell.raise()
				})
			}
			continue
		}
		if err := bell.wait(t); err != nil {
			return err
		}
	}
	return nil
}

// leave gives up on a child that does not end: a plain actor in a handler that
// does not return, or a worker whose own children do not.
func (c *core) leave(t *actors.Task, k *child) {
	k.proc.Stop(-1) // should it return after all
	k.leave(t, &link.Abandoned{Name: "actor " + k.pid.Id, Since: k.since})
}
