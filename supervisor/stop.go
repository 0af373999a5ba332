package supervisor

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
)

// beginStop is the stop event, or the end after a failure.
func (c *core) beginStop(t *actors.Task, cause error) {
	if c.stopping {
		return
	}
	c.stopping, c.cause, c.stopped = true, cause, time.Now()
	emit(c.out, StopPhase{At: At{Supervisor: c.node.pid.Id}, Phase: "stopping", Err: cause})
	for _, k := range c.kids {
		k.changed.raise()
	}
	c.run(t, "stop", c.stopAll)
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
			c.tellStop(k)
		}
	}
	c.sheet.open(kids)
	for left := kids; len(left) > 0; left = left[:len(left)-together] {
		if err := c.down(t, left[len(left)-together:]...); err != nil {
			return err
		}
	}
	c.hasStopped()
	c.flush(t)
	c.end()
	return nil
}

func (c *core) hasStopped() {
	c.took = time.Since(c.stopped)
	emit(c.out, StopPhase{At: At{Supervisor: c.node.pid.Id}, Phase: "stopped", Took: c.took, Err: c.cause})
}

// end is the last there is to do.
func (c *core) end() {
	if c.over.Resolve(struct{}{}) {
		if c.looks != nil {
			c.looks.Stop()
		}
		close(c.ended)
		c.inbox.post(func(*actors.Task) {}) // dispatch looks
	}
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
func (c *core) tellStop(k *child) {
	was, grace, due := k.state, k.grace(), k.due
	k.setDue(false)
	if was == gone || was == stopping {
		return
	}
	k.become(stopping)
	emit(c.out, StopPhase{At: k.at(), Phase: "stopping"})
	if was == failed && due && c.cause == nil && !c.hurry && grace != BrutalKill && k.drains(k.failure) { // as in onFailure
		k.proc.Restart()
		was = starting
	}
	switch {
	case was == failed || was == quiet: // it waits for its restart, and cannot go on
		k.cut(false)
	case grace == Abandon:
		k.proc.Stop(k.proc.StopGrace())
		c.detach(k, nil)
	case c.hurry:
		k.cut(true)
	case k.kind == KindSupervisor:
		k.proc.Stop(NoLimit) // its grace is that of its children; see press
	case grace == BrutalKill:
		k.cut(true) // press would, right away
	default:
		k.proc.Stop(grace)
	}
}

// cut ends the grace. A supervisor that works ends that of its children.
func (k *child) cut(works bool) {
	k.hurried, k.cutAt = true, k.core.now()
	if works && k.node != nil {
		k.proc.Stop(NoLimit)
		k.node.endGrace()
		return
	}
	k.proc.Stop(-1)
}

// press does what is due to a child that was told to stop: it ends its grace,
// or leaves it behind when it should have unwound and run its hooks long ago.
// It returns when to look again; NoLimit: when something has changed.
func (c *core) press(k *child) time.Duration {
	grace, spent := k.grace(), time.Since(k.since)
	if !k.hurried && (c.hurry || grace != NoLimit && spent >= grace) {
		k.cut(true)
	}
	switch {
	case !k.hurried && grace == NoLimit, k.hurried && k.kind == KindSupervisor:
		return NoLimit
	case !k.hurried:
		return grace - spent
	case c.now()-k.cutAt >= k.unwinding():
		c.leave(k)
		return NoLimit
	}
	return k.unwinding() - (c.now() - k.cutAt)
}

// down stops children side by side, and returns when the last of them is gone
// or had to be left behind.
func (c *core) down(t *actors.Task, kids ...*child) error {
	for _, k := range slices.Backward(kids) {
		c.tellStop(k)
	}
	// Of many, which are all there are, the last that ends rings: a promise for
	// each was a tenth of the time of a stop.
	bell := &c.gone
	if len(kids) == 1 {
		bell = &kids[0].changed
	}
	rung, hurry := true, c.hurry
	var alarm *time.Timer
	defer func() {
		if alarm != nil {
			alarm.Stop()
		}
	}()
	for left := len(kids); left > 0; {
		k := kids[left-1]
		if k.state != stopping {
			left--
			continue
		}
		if rung || hurry != c.hurry {
			rung, hurry = false, c.hurry
			if alarm != nil {
				alarm.Stop()
			}
			next := NoLimit
			for _, o := range kids[:left] {
				if o.state == stopping {
					next = min(next, c.press(o))
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
func (c *core) leave(k *child) {
	k.proc.Stop(-1) // should it return after all
	c.detach(k, &link.Abandoned{Name: "actor " + k.pid.Id, Since: k.since})
}

// detach lets the engine and us forget a child that still ends, or never will.
func (c *core) detach(k *child, left *link.Abandoned) {
	k.detached = true
	if p, ok := k.proc.(*plain); ok {
		p.alone.Store(true)
	}
	if !k.hasAccount {
		k.hasAccount = true
		e := k.proc.Account()
		if left != nil {
			e.Abandoned = append(e.Abandoned, *left)
		}
		k.settle(e)
	}
	k.isForgotten = true
	k.endsAs(k.state)
	sendSystem(c.node.sys, c.node.pid, &actor.Terminated{Who: k.pid})
}

// hurryUp ends all grace.
func (c *core) hurryUp() {
	c.hurry = true
	c.gone.raise()
	for _, k := range c.kids {
		k.changed.raise()
	}
}
