package supervisor

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// do runs an operation as a task of the supervisor and waits for it.
func do[T any](ctx context.Context, n *node, name string, f func(t *actors.Task, c *core) (T, error)) (v T, err error) {
	c := n.core.Load()
	result := make(chan struct{})
	c.inbox.post(func(t *actors.Task) {
		c.run(t, name, func(t *actors.Task) error {
			defer close(result)
			v, err = f(t, c)
			return err
		})
	})
	var none T
	select {
	case <-result:
		return v, err
	case <-c.ended:
		return none, ErrStopping
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

func (c *core) add(t *actors.Task, spec Child) (*actor.PID, error) {
	if c.byName(spec.Name) != nil {
		return nil, fmt.Errorf("%w: %q", ErrExists, spec.Name)
	}
	if c.stopping {
		return nil, ErrStopping
	}
	k := c.addChild(spec)
	l := c.lockOf(k)
	if err := l.acquire(t); err != nil {
		return nil, err
	}
	defer l.release()
	if err := c.bringUp(t, k); err != nil {
		if c.stopping { // it is in the list: the stop sees to it
			return nil, ErrStopping
		}
		if stop := c.stopChild(t, k); stop != nil {
			return nil, stop
		}
		c.forget(k)
		return nil, &StartError{c.node.pid.Id, spec.Name, err}
	}
	return k.pid, nil
}

// remove is Remove.
func (n *node) remove(ctx context.Context, name string) error {
	_, err := do(ctx, n, "remove "+name, func(t *actors.Task, c *core) (struct{}, error) {
		return struct{}{}, c.remove(t, name)
	})
	return err
}

func (c *core) remove(t *actors.Task, name string) error {
	return c.with(t, name, func(k *child) error {
		if err := c.stopChild(t, k); err != nil {
			return err
		}
		c.forget(k)
		return nil
	})
}

func (c *core) restartOne(t *actors.Task, name string) error {
	return c.with(t, name, func(k *child) error {
		switch {
		case k.inner != nil && k.state == up:
			if err := c.stopChild(t, k); err != nil {
				return err
			}
		case k.state == up:
			k.lastErr = nil
			if err := c.rest(t, k, errAsked); err != nil {
				return err
			}
		}
		if err := c.bringUp(t, k); err != nil {
			if k.state == failed {
				c.run(t, "restart "+name, func(t *actors.Task) error { return c.recover(t, k) })
			}
			return &StartError{c.node.pid.Id, name, err}
		}
		k.restarts++
		k.account.Restarts++
		k.publish()
		return nil
	})
}

// errAsked is the cause for what was in flight.
var errAsked = fmt.Errorf("supervisor: Restart was called")

// with runs f for a child while nothing else goes on with it.
func (c *core) with(t *actors.Task, name string, f func(k *child) error) error {
	k := c.byName(name)
	if k == nil {
		return fmt.Errorf("%w: %q", ErrUnknownChild, name)
	}
	l := c.lockOf(k)
	if err := l.acquire(t); err != nil {
		return err
	}
	defer l.release()
	switch {
	case c.stopping:
		return ErrStopping
	case c.byName(name) != k:
		return fmt.Errorf("%w: %q", ErrUnknownChild, name)
	}
	return f(k)
}

func (c *core) byName(name string) *child { return c.byPID[c.node.pid.Id+"/"+name] }
