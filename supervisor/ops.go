package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/link"
)

// caller is the child that asks for an operation, or that has who asks below it;
// nil: it is somebody else.
type caller = *child

// do runs an operation as a task of the supervisor and waits for it.
func do[T any](ctx context.Context, n *node, what, name string, f func(t *actors.Task, c *core, by caller) (T, error)) (T, error) {
	notInTask(ctx, what, offload)
	type outcome struct {
		v   T
		err error
	}
	c := n.core.Load()
	from := link.CallerOf(ctx)
	done := make(chan outcome, 1)
	c.inbox.post(func(t *actors.Task) {
		c.run(t, what+" "+name, func(t *actors.Task) error {
			o := outcome{err: ErrStopping} // of a panic
			defer func() { done <- o }()
			o.v, o.err = f(t, c, c.above(from))
			return nil
		})
	})
	var none T
	var ended error
	select {
	case o := <-done:
		return o.v, o.err
	case <-c.ended:
		ended = ErrStopping
	case <-n.done:
		ended = ErrStopping
	case <-ctx.Done():
		ended = context.Cause(ctx)
	}
	select {
	case o := <-done: // it was faster
		return o.v, o.err
	default:
		return none, ended
	}
}

// above is the child that pid is, or is below of; nil: there is none.
func (c *core) above(pid *actor.PID) *child {
	if pid == nil {
		return nil
	}
	path, below := strings.CutPrefix(pid.Id, c.node.pid.Id+"/")
	if !below {
		return nil
	}
	name, _, _ := strings.Cut(path, "/")
	return c.kids[name]
}

// add is Add.
func (c *core) add(t *actors.Task, by *child, name string, spec *Child) (*actor.PID, error) {
	if !c.grouped() { // take the name at once: its own lock is free
		return c.addNow(t, name, spec, nil)
	}
	h := holding{l: &c.lock, by: by}
	for {
		if err := h.acquire(t); err != nil {
			return nil, err
		}
		// The lock is free while a backoff lasts; but those that are down come
		// up before a new one, which may need them.
		before := c.held.one()
		if before == nil || c.isStopping() {
			return c.addNow(t, name, spec, &h)
		}
		h.release()
		if err := before.changed.wait(t); err != nil {
			return nil, err
		}
	}
}

func (c *core) addNow(t *actors.Task, name string, spec *Child, h *holding) (*actor.PID, error) {
	release := func() {
		if h != nil {
			h.release()
		}
	}
	defer func() { release() }()
	switch {
	case c.isStopping():
		return nil, ErrStopping
	case c.kids[name] != nil:
		return nil, fmt.Errorf("%w: %q", ErrExists, name)
	}
	k := c.addChild(name, spec)
	if h == nil {
		h = &holding{l: &k.lock}
		if err := h.acquire(t); err != nil {
			return nil, err
		}
	}
	bad, e := c.bringUpAll(t, []*child{k})
	switch {
	case c.isOver(t): // it is in the list: the stop sees to it
		return nil, ErrStopping
	case bad == nil:
		return k.pid, nil
	case bad != k: // a sibling has failed meanwhile, and all of the group restart
		if err := c.deal(t, h, bad, e); err != nil || c.isOver(t) {
			return nil, ErrStopping
		}
		if k.ups > 0 {
			return k.pid, nil
		}
		e = exit{failed: true, err: ErrEnded}
	}
	if err := c.down(t, k); err != nil {
		return nil, err
	}
	c.forget(t, k)
	return nil, &StartError{Supervisor: c.node.pid.Id, Child: name, Err: e.err}
}

// remove is Remove.
func (n *node) remove(ctx context.Context, name string) error {
	_, err := do(ctx, n, "Remove", name, func(t *actors.Task, c *core, by caller) (struct{}, error) {
		return struct{}{}, c.with(t, by, name, func(k *child) error {
			if err := c.down(t, k); err != nil {
				return err
			}
			c.forget(t, k)
			return nil
		})
	})
	return err
}

// errAsked is the cause for what was in flight.
var errAsked = errors.New("supervisor: Restart was called")

// restartOne is Restart.
func (c *core) restartOne(t *actors.Task, by *child, name string) error {
	return c.with(t, by, name, func(k *child) error {
		stop := func() error { return c.rest(t, k, errAsked) }
		if k.kind == KindSupervisor {
			stop = func() error { return c.down(t, k) }
		}
		k.happen(t, life.ChildDecided)
		if k.life.State() == life.ChildUp || k.life.State() == life.ChildOverdue {
			if err := stop(); err != nil {
				return err
			}
		}
		bad, err := c.bringUp(t, k)
		switch {
		case err == nil:
			return nil
		case c.isOver(t):
			return ErrStopping
		case bad == k:
			k.happen(t, life.ChildDecisionDue) // as after any failure
		}
		return &StartError{Supervisor: c.node.pid.Id, Child: name, Err: err}
	})
}

// with runs f for a child while nothing else goes on with it.
func (c *core) with(t *actors.Task, by *child, name string, f func(k *child) error) error {
	k := c.kids[name]
	if k == nil {
		return fmt.Errorf("%w: %q", ErrUnknownChild, name)
	}
	h := holding{l: c.lockOf(k), by: by}
	if err := h.acquire(t); err != nil {
		return err
	}
	defer h.release()
	switch {
	case c.isStopping():
		return ErrStopping
	case k.life.State() == life.ChildRemoved:
		return fmt.Errorf("%w: %q", ErrUnknownChild, name)
	}
	return f(k)
}
