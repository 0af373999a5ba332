package supervisor

import (
	"errors"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
)

// grouped reports whether children restart together.
func (c *core) grouped() bool { return c.spec.Strategy != OneForOne }

// lockOf is held by what goes on with a child.
func (c *core) lockOf(k *child) *lock {
	if c.grouped() {
		return &c.lock
	}
	return &k.lock
}

// affected are the children that restart when k has failed: whom the strategy
// names, and those that are down already because of another failure.
func (c *core) affected(k *child) []*child {
	if !c.grouped() {
		return []*child{k}
	}
	all := c.ordered()
	i := 0
	for ; i < len(all) && all[i] != k; i++ {
	}
	lo, hi := c.spec.Strategy.affected(i, len(all))
	var group []*child
	for i, o := range all {
		if i >= lo && i < hi || o.life.Want().Start() {
			group = append(group, o)
		}
	}
	return group
}

// recover deals with a child that has ended or failed by itself.
func (c *core) recover(t *actors.Task, k *child) error {
	h := holding{l: c.lockOf(k)}
	if err := h.acquire(t); err != nil {
		return err
	}
	defer h.release()
	if c.isStopping() || !k.life.Want().Decision() {
		return nil // somebody else has dealt with it
	}
	e := exit{}
	if k.life.State().HasFailed() {
		e = exitOf(k.failure)
	}
	return c.deal(t, &h, k, e)
}

// deal does what the table says, until all who are concerned are up. One that
// fails meanwhile counts as one more failure, and all begins again.
func (c *core) deal(t *actors.Task, h *holding, k *child, e exit) error {
	var group []*child
	for {
		k.happen(t, life.ChildDecided)
		switch decide(k.spec.Restart, e) {
		case failSelf:
			c.beginStop(t, &EscalateError{c.node.pid.Id, k.name, e.err})
			return nil
		case letGo: // the others are still to come up
			if err := c.letGo(t, k, e.err); err != nil {
				return err
			}
		case restart:
			// The tries of one message are one failure: the last of them counts.
			if !e.retried && !c.spend(t, k, e.err) {
				return nil
			}
			group = c.affected(k)
			if err := c.settleDown(t, h, k, group, e.err); err != nil {
				if err == errTaken {
					return nil
				}
				return err
			}
		}
		if c.isOver(t) {
			return nil
		}
		bad, how := c.bringUpAll(t, group)
		if bad == nil || c.isOver(t) {
			return nil
		}
		k, e = bad, how
	}
}

// spend takes a restart from the budget; false: there was none left, and the
// supervisor ends.
func (c *core) spend(t *actors.Task, k *child, why error) bool {
	if c.budget.spend(time.Now()) {
		return true
	}
	emit(c.out, BudgetExceeded{k.at(), c.budget.most, c.budget.within, why})
	c.beginStop(t, &IntensityError{c.node.pid.Id, k.name, c.budget.most, c.budget.within, why})
	return false
}

// letGo is the end of a child that is not restarted.
func (c *core) letGo(t *actors.Task, k *child, why error) error {
	k.happen(t, life.ChildLetGo)
	if err := c.down(t, k); err != nil {
		return err
	}
	emit(c.out, ChildEnded{k.at(), why})
	if k.spec.Restart == Temporary || c.many() {
		c.forget(t, k)
	}
	if k.spec.Significant && !c.isStopping() && c.spec.AutoShutdown.ends(len(c.decisive)) {
		c.beginStop(t, ErrShutdown)
	}
	return nil
}

// errTaken: while it waited, another failure has taken over the group.
var errTaken = errors.New("supervisor: restarted together with others")

// settleDown brings a group to rest and waits as long as the backoff of the
// child that has failed says.
func (c *core) settleDown(t *actors.Task, h *holding, k *child, group []*child, why error) error {
	delay := k.retries.next(k.spec.Backoff, time.Now())
	emit(c.out, ChildRestarting{k.at(), delay, k.retries.n, names(group, k)})
	h.l.round++
	for _, o := range group {
		o.happen(t, life.ChildRestartDue)
	}
	if len(group) > 1 || delay > 0 || k.life.State() == life.ChildOverdue {
		if err := c.quiesce(t, group, k, why); err != nil {
			return err
		}
	}
	return c.pause(t, h, k, delay)
}

// pause is the wait before a restart. Whatever is done with the child ends
// it: a stop, Remove, Restart. So the lock is free meanwhile.
func (c *core) pause(t *actors.Task, h *holding, k *child, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	round, begin := h.l.round, time.Now()
	h.release()
	defer c.after(d, func() { k.changed.raise() }).Stop()
	for !c.isStopping() && h.l.round == round && (k.life.State() == life.ChildQuiet || k.life.State() == life.ChildGone) && time.Since(begin) < d {
		if err := k.changed.wait(t); err != nil {
			return err
		}
	}
	if c.isStopping() {
		return ErrStopping
	}
	if err := h.acquire(t); err != nil {
		return err
	}
	switch {
	case c.isStopping():
		return ErrStopping
	case h.l.round != round:
		return errTaken
	}
	return nil
}

// names are those of the siblings that restart with one.
func names(group []*child, but *child) (out []string) {
	for _, k := range group {
		if k != but && k.spec.Restart != Temporary {
			out = append(out, k.name)
		}
	}
	return out
}
