package supervisor

import (
	"time"

	"github.com/protoloop/protoloop/actors"
)

// recover deals with a child that has ended or failed by itself.
func (c *core) recover(t *actors.Task, k *child) error {
	l := c.lockOf(k)
	if err := l.acquire(t); err != nil {
		return err
	}
	defer l.release()
	if c.stopping || k.state != failed && k.state != gone || c.byPID[k.id()] != k {
		return nil // somebody else has dealt with it
	}
	e := exit{failed: k.state == failed && k.failure.Err != nil, err: k.lastErr}
	if !e.failed {
		e.err = nil
	}
	switch decide(k.spec.Restart, e) {
	case failSelf:
		c.beginStop(t, &EscalateError{c.node.pid.Id, k.spec.Name, e.err})
	case letGo:
		return c.letGo(t, k, e.err)
	case restart:
		if c.spend(t, k, e.err) {
			return c.restart(t, k)
		}
	}
	return nil
}

// lockOf is held by what goes on with a child.
func (c *core) lockOf(k *child) *lock {
	if c.spec.Strategy == OneForOne {
		return &k.lock
	}
	return &c.lock
}

// spend takes a restart from the budget; false: there was none left, and the
// supervisor ends.
func (c *core) spend(t *actors.Task, k *child, why error) bool {
	if c.budget.spend(time.Now()) {
		return true
	}
	c.out.emit(BudgetExceeded{k.at(), c.budget.most, c.budget.within, why})
	c.beginStop(t, &IntensityError{c.node.pid.Id, k.spec.Name, c.budget.most, c.budget.within, why})
	return false
}

// letGo is the end of a child that is not restarted.
func (c *core) letGo(t *actors.Task, k *child, why error) error {
	if err := c.stopChild(t, k); err != nil {
		return err
	}
	c.out.emit(ChildEnded{k.at(), why})
	if k.spec.Restart == Temporary || c.many() {
		c.forget(k)
	}
	if !k.spec.Significant || c.stopping {
		return nil
	}
	left := 0
	for _, o := range c.kids {
		if o != k && o.spec.Significant && o.state != gone {
			left++
		}
	}
	if c.spec.AutoShutdown.ends(left) {
		c.beginStop(t, nil)
	}
	return nil
}

// restart brings up a child that is down, and whoever the strategy names. One
// that fails meanwhile counts as one more failure, and all begins again.
func (c *core) restart(t *actors.Task, k *child) error {
	from := len(c.kids) // the first of those that are affected
	for {
		lo, hi := c.spec.Strategy.affected(c.index(k), len(c.kids))
		if from = min(from, lo); c.spec.Strategy == RestForOne {
			lo = from
		}
		group := append([]*child(nil), c.kids[lo:hi]...)
		delay := k.retries.next(k.spec.Backoff, time.Now())
		c.out.emit(ChildRestarting{k.at(), delay, k.retries.n, names(group, k)})
		if len(group) > 1 || delay > 0 {
			if err := c.quiesce(t, group, k); err != nil {
				return err
			}
		}
		if err := c.pause(t, delay); err != nil {
			return err
		}
		bad, err := c.bringUpAll(t, group)
		if bad == nil || isOver(t, err) {
			return err
		}
		k = bad
		switch decide(k.spec.Restart, exit{true, err}) {
		case failSelf:
			c.beginStop(t, &EscalateError{c.node.pid.Id, k.spec.Name, err})
			return nil
		case letGo: // the others are still to come up
			if err := c.letGo(t, k, err); err != nil || c.stopping {
				return err
			}
			if k = c.stillDown(group); k == nil {
				return nil
			}
			continue
		}
		if !c.spend(t, k, err) {
			return nil
		}
	}
}

// stillDown is the first of a group that is yet to come up.
func (c *core) stillDown(group []*child) *child {
	for _, k := range group {
		if k.state != up && k.spec.Restart != Temporary && c.byPID[k.id()] == k {
			return k
		}
	}
	return nil
}

// quiesce brings a group to rest, in the reverse order of their starts. All
// but the one that failed lose what is in flight, and nobody loses its queue;
// a supervisor among them is stopped, as its own children are. Temporary ones
// end here.
func (c *core) quiesce(t *actors.Task, group []*child, because *child) error {
	for i := len(group) - 1; i >= 0; i-- {
		k := group[i]
		switch {
		case c.stopping:
			return ErrStopping
		case k.state == gone || k.state == quiet:
			continue
		case k != because && k.spec.Restart == Temporary:
			if err := c.stopChild(t, k); err != nil {
				return err
			}
			c.forget(k)
			continue
		case k.inner != nil && k.state != failed:
			if err := c.stopChild(t, k); err != nil {
				return err
			}
			continue
		}
		if err := c.rest(t, k, because.lastErr); err != nil {
			return err
		}
	}
	return nil
}

// rest brings one child to rest. A plain actor whose handler does not return
// is left behind: then there is no starting it again either, because its name
// is taken, and that is a failure like others.
func (c *core) rest(t *actors.Task, k *child, why error) error {
	k.proc.Quiesce(why)
	begin := time.Now()
	if _, ok := k.proc.(*plain); ok {
		defer c.after(unwind, func() { k.changed.raise() }).Stop()
	}
	for k.state != quiet && k.state != gone {
		if c.stopping {
			return ErrStopping
		}
		if _, ok := k.proc.(*plain); ok && time.Since(begin) >= unwind {
			c.leave(k)
			return nil
		}
		if err := k.changed.wait(t); err != nil {
			return err
		}
	}
	return nil
}

// pause is the wait before a restart. A stop ends it.
func (c *core) pause(t *actors.Task, d time.Duration) error {
	if d > 0 {
		if _, err := t.SleepOrStop(d); err != nil {
			return err
		}
	}
	if c.stopping {
		return ErrStopping
	}
	return nil
}

// bringUpAll starts a group in order. It returns the first that fails, be it
// in its setup or after it, while others start.
func (c *core) bringUpAll(t *actors.Task, group []*child) (*child, error) {
	for _, k := range group {
		if c.byPID[k.id()] != k || k.state == up {
			continue // a Temporary one, which is gone for good; or one that is up
		}
		begin := time.Now()
		if err := c.bringUp(t, k); err != nil {
			return k, err
		}
		k.restarts++
		k.account.Restarts++
		k.publish()
		c.out.emit(ChildRestarted{k.at(), k.restarts, time.Since(begin)})
		for _, o := range group {
			if o.state == failed {
				if o.failure.Err == nil {
					return o, ErrEnded
				}
				return o, o.failure.Err
			}
		}
	}
	return nil, nil
}

func (c *core) index(k *child) int {
	for i, o := range c.kids {
		if o == k {
			return i
		}
	}
	return len(c.kids)
}

func names(group []*child, but *child) (out []string) {
	for _, k := range group {
		if k != but {
			out = append(out, k.spec.Name)
		}
	}
	return out
}
