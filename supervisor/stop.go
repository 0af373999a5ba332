package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// beginStop is the stop event, or the end after a failure.
func (c *core) beginStop(t *actors.Task, cause error) {
	if c.stopping {
		return
	}
	c.stopping, c.cause = true, cause
	c.stopped = time.Now()
	c.out.emit(StopPhase{At: At{Supervisor: c.node.pid.Id}, Phase: "stopping", Err: cause})
	for _, k := range c.kids {
		k.changed.raise()
	}
	c.run(t, "stop", c.stopAll)
}

// stopAll stops the children one after the other, the last one first: what
// drains can still ask those that started before it. Those of a Dynamic do
// not know each other and stop side by side.
func (c *core) stopAll(t *actors.Task) error {
	if c.many() {
		for _, k := range c.kids {
			c.tellStop(k)
		}
	}
	for i := len(c.kids) - 1; i >= 0; i-- {
		if err := c.stopChild(t, c.kids[i]); err != nil {
			return err
		}
	}
	c.took = time.Since(c.stopped)
	c.out.emit(StopPhase{At: At{Supervisor: c.node.pid.Id}, Phase: "stopped", Took: c.took, Err: c.cause})
	c.flush(t)
	c.end()
	return nil
}

// end is the last there is to do.
func (c *core) end() {
	if c.over.Resolve(struct{}{}) {
		close(c.ended)
		c.inbox.post(func(*actors.Task) {}) // dispatch looks
	}
}

// flush gives OnEvent some time to hear of the end before the others do.
func (c *core) flush(t *actors.Task) {
	told := c.out.told()
	if told.Done() {
		return
	}
	timer := c.after(eventsLimit, func() { told.Cancel() })
	defer timer.Stop()
	_, _ = actors.Await(t, told)
}

// tellStop begins to stop a child.
func (c *core) tellStop(k *child) {
	if k.state == gone || k.state == stopping {
		return
	}
	was, grace := k.state, k.spec.graceOf(k.inner != nil)
	k.become(stopping)
	if c.stopping {
		c.out.emit(StopPhase{At: k.at(), Phase: "stopping"})
	}
	switch {
	case grace == Abandon:
		k.proc.Stop(k.proc.StopGrace())
		c.detach(k)
	case k.inner != nil && was != failed && !c.hurry:
		k.proc.Stop(NoLimit) // its grace is that of its children; see waitGone
	case c.hurry || was == failed || was == quiet: // it cannot go on: nothing to drain
		k.hurried = true
		k.cut()
	default:
		k.proc.Stop(grace)
	}
}

// cut ends the grace.
func (k *child) cut() {
	if k.inner != nil && k.state != failed {
		k.proc.Stop(NoLimit)
		k.inner.endGrace()
		return
	}
	k.proc.Stop(-1)
}

// stopChild stops a child and waits until it is gone, or has to be left
// behind.
func (c *core) stopChild(t *actors.Task, k *child) error {
	c.tellStop(k)
	begin := k.since
	if err := c.waitGone(t, k, begin); err != nil {
		return err
	}
	if c.stopping && begin.After(c.stopped.Add(-1)) {
		c.out.emit(StopPhase{At: k.at(), Phase: "stopped", Took: time.Since(begin)})
	}
	return nil
}

// waitGone waits for a child that was told to stop, ends its grace, and leaves
// it behind when it should have unwound and run its hooks long ago.
func (c *core) waitGone(t *actors.Task, k *child, begin time.Time) error {
	grace := k.spec.graceOf(k.inner != nil)
	tick := func(d time.Duration) *time.Timer { return c.after(d, func() { k.changed.raise() }) }
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for k.state == stopping {
		if spent := time.Since(begin); !k.hurried && (c.hurry || spent >= grace) {
			k.hurried = true
			k.cut()
			begin, grace = time.Now(), 0
		}
		next := grace - time.Since(begin)
		if k.hurried {
			next += 2*k.proc.StopGrace() + time.Second
		}
		if k.hurried && k.inner == nil && next <= 0 {
			c.leave(k)
			return nil
		}
		if timer != nil {
			timer.Stop()
		}
		if grace != NoLimit {
			timer = tick(next)
		}
		if err := k.changed.wait(t); err != nil {
			return err
		}
	}
	return nil
}

// leave gives up on a child that does not end: a plain actor in a handler that
// does not return, or a worker whose own children do not.
func (c *core) leave(k *child) {
	if p, ok := k.proc.(*plain); ok {
		p.abandon()
	}
	c.detach(k)
}

// detach lets the engine and us forget a child that still ends, or never will.
func (c *core) detach(k *child) {
	k.detached = true
	if !k.hasAccount {
		k.hasAccount = true
		k.settle(k.proc.Account())
	}
	k.isForgotten = true
	k.become(gone)
	sendSystem(c.node.sys, c.node.pid, &actor.Terminated{Who: k.pid})
}

// hurryUp ends all grace.
func (c *core) hurryUp() {
	c.hurry = true
	for _, k := range c.kids {
		k.changed.raise()
	}
}

// forget drops a child that is gone for good; its account stays.
func (c *core) forget(k *child) {
	i := c.index(k)
	c.kids = append(c.kids[:i:i], c.kids[i+1:]...)
	delete(c.byPID, k.id())
	c.past.add(k.report())
	n := c.node
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.infos, k.spec.Name)
	for i, o := range n.order {
		if o == k.spec.Name {
			n.order = append(n.order[:i:i], n.order[i+1:]...)
			break
		}
	}
}

// kill is for a supervisor whose own actor is cut off, by somebody who stops
// it with the engine's Stop: all children are, too.
func (c *core) kill(t *actors.Task, why error) error {
	limit := time.Duration(0)
	for _, k := range c.kids {
		if k.proc != nil {
			limit = max(limit, 2*k.proc.StopGrace()+time.Second)
		}
	}
	_ = actors.Cleanup(t, limit, func(t *actors.Task) error {
		if !c.stopping {
			c.stopping, c.stopped = true, time.Now()
		}
		c.hurry = true
		left := func() (n int) {
			for _, k := range c.kids {
				if k.state != gone {
					n++
				}
			}
			return n
		}
		for _, k := range c.kids {
			c.tellStop(k)
			if k.state == stopping && !k.hurried {
				k.cut()
			}
		}
		return c.serve(t, func() bool { return left() == 0 })
	})
	for _, k := range c.kids {
		if k.state != gone {
			c.leave(k)
		}
	}
	c.took = time.Since(c.stopped)
	c.end()
	return why
}

// account is the report, so far.
func (c *core) account() Report {
	r := Report{Supervisor: c.node.pid.Id, Children: []ChildReport{}, Phases: []Phase{{"stop", c.took}}}
	if p := c.past; p.Counts != (Counts{}) || p.Restarts > 0 || len(p.Abandoned) > 0 {
		r.add(p)
	}
	for _, k := range c.kids {
		r.add(k.report())
	}
	return r
}
