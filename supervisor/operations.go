// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/callerctx"
	"github.com/protoloop/protoloop/internal/condition"
	"github.com/protoloop/protoloop/internal/life"
)

// caller is the child that asks for an operation, or that has who asks below it;
// nil: it is somebody else.
type caller = *child

// runOperation runs an operation as a task of the supervisor and waits for it.
func runOperation[T any](ctx context.Context, n *node, what, name string, f func(t *actors.Task, c *core, by caller) (T, error)) (T, error) {
	notInTask(ctx, what, offload)
	c, from := n.core.Load(), askingWorker(ctx)
	done := make(chan outcome[T], 1)
	c.queue.postFunc(func(t *actors.Task) {
		c.startTask(t, c.taskName(what, name), func(t *actors.Task) error {
			o := outcome[T]{err: errStopping} // of a panic
			defer func() { done <- o }()
			o.v, o.err = f(t, c, c.callerChild(from))
			return nil
		})
	})
	o, _ := awaitOutcome(ctx, c, done)
	return o.v, o.err
}

// outcome is what an operation returns.
type outcome[T any] struct {
	v   T
	err error
}

// awaitOutcome waits for the outcome of an operation, and reports whether there has been one:
// else the supervisor has ended before, or ctx.
func awaitOutcome[T any](ctx context.Context, c *core, done <-chan outcome[T]) (o outcome[T], came bool) {
	select {
	case o = <-done:
		return o, true
	case <-c.finishedChan:
		o.err = errStopping
	case <-ctx.Done():
		o.err = context.Cause(ctx)
	}
	select {
	case o = <-done: // it was faster
		return o, true
	default:
		return o, false
	}
}

// askingWorker is the worker that ctx comes from, or nil.
func askingWorker(ctx context.Context) *actor.PID {
	if by := callerctx.Of(ctx); by != nil {
		return by.WorkerPID()
	}
	return nil
}

// callerChild is the child that pid is, or is below of; nil: there is none.
func (c *core) callerChild(pid *actor.PID) *child {
	if pid == nil {
		return nil
	}
	path, below := strings.CutPrefix(pid.Id, c.node.prefix)
	if !below {
		return nil
	}
	name, _, _ := strings.Cut(path, "/")
	return c.children[name]
}

// addChild is Add.
func (c *core) addChild(t *actors.Task, by *child, name string, spec *Child) (*actor.PID, error) {
	if !c.restartsTogether() { // take the name at once: its own lock is free
		return c.addLocked(t, name, spec, nil)
	}
	h := lockHolder{lock: &c.operations, asker: by}
	for {
		if err := h.acquire(t); err != nil {
			return nil, err
		}
		// The lock is free while a backoff lasts; but those that are down come
		// up before a new one, which may need them.
		before := c.toStart.anyMember()
		if before == nil || c.isStopping() {
			return c.addLocked(t, name, spec, &h)
		}
		h.release()
		if err := before.changed.Wait(t); err != nil {
			return nil, err
		}
	}
}

func (c *core) addLocked(t *actors.Task, name string, spec *Child, h *lockHolder) (*actor.PID, error) {
	release := func() {
		if h != nil {
			h.release()
		}
	}
	defer func() { release() }()
	if err := c.refuseChild(name); err != nil {
		return nil, err
	}
	k := c.registerChild(name, spec)
	if h == nil {
		h = &lockHolder{lock: &k.operations}
		if err := h.acquire(t); err != nil {
			return nil, err
		}
	}
	bad, e := c.startGroup(t, []*child{k})
	return c.finishAdd(t, h, k, bad, e)
}

// refuseChild is why a child of that name cannot be added now, or nil.
func (c *core) refuseChild(name string) error {
	switch {
	case c.isStopping():
		return errStopping
	case c.children[name] != nil:
		return &ExistsError{Supervisor: c.node.pid.Id, Child: name, PID: c.node.childPID(name)}
	}
	return nil
}

// finishAdd is the end of an Add whose child k has been told to start: bad is who of its group
// has failed meanwhile, and how, or nil.
func (c *core) finishAdd(t *actors.Task, h *lockHolder, k, bad *child, e exitReason) (*actor.PID, error) {
	switch {
	case c.isInterrupted(t): // it is in the list: the stop sees to it
		return nil, errStopping
	case bad == nil:
		return k.pid, nil
	case bad != k: // a sibling has failed meanwhile, and all of the group restart
		if err := c.handleExit(t, h, bad, e); err != nil || c.isInterrupted(t) {
			return nil, errStopping
		}
		if k.upCount > 0 {
			return k.pid, nil
		}
		e = exitReason{failed: true, err: ErrEnded}
	}
	if err := c.stopAndAwait(t, k); err != nil {
		return nil, err
	}
	c.forgetChild(t, k)
	return nil, &StartError{Supervisor: c.node.pid.Id, Child: k.name, Err: e.err}
}

// removeChild is Remove.
func (n *node) removeChild(ctx context.Context, name string) error {
	_, err := runOperation(ctx, n, "Remove", name, func(t *actors.Task, c *core, by caller) (struct{}, error) {
		return struct{}{}, c.withChild(t, by, name, func(k *child) error {
			if err := c.stopAndAwait(t, k); err != nil {
				return err
			}
			c.forgetChild(t, k)
			return nil
		})
	})
	return err
}

// errAsked is the cause for what was in flight.
var errRestartAsked = errors.New("supervisor: Restart was called")

// restartChild is Restart.
func (c *core) restartChild(t *actors.Task, by *child, name string) error {
	return c.withChild(t, by, name, func(k *child) error { return c.restartLocked(t, k) })
}

// restartLocked is restartChild while nothing else goes on with the child.
func (c *core) restartLocked(t *actors.Task, k *child) error {
	stop := func() error { return c.quiesceChild(t, k, errRestartAsked) }
	if k.kind == KindSupervisor {
		stop = func() error { return c.stopAndAwait(t, k) }
	}
	k.handleEvent(t, life.ChildDecided)
	k.recordRestart(RestartRecord{At: time.Now(), Err: errRestartAsked})
	if k.life.State().HasComeUp() || k.life.State() == life.ChildOverdue {
		if err := stop(); err != nil {
			return err
		}
	}
	bad, err := c.startChild(t, k)
	switch {
	case err == nil:
		return nil
	case c.isInterrupted(t):
		return errStopping
	case bad == k:
		k.handleEvent(t, life.ChildDecisionDue) // as after any failure
	}
	return &StartError{Supervisor: c.node.pid.Id, Child: k.name, Err: err}
}

// withChild runs f for a child while nothing else goes on with it.
func (c *core) withChild(t *actors.Task, by *child, name string, f func(k *child) error) error {
	k := c.children[name]
	if k == nil {
		return fmt.Errorf("%w: %q", ErrUnknownChild, name)
	}
	h := lockHolder{lock: c.lockFor(k), asker: by}
	if err := h.acquire(t); err != nil {
		return err
	}
	defer h.release()
	switch {
	case c.isStopping():
		return errStopping
	case k.life.State() == life.ChildRemoved:
		return fmt.Errorf("%w: %q", ErrUnknownChild, name)
	}
	return f(k)
}

// operationLock keeps operations on the same children apart. On the loop.
type operationLock struct {
	held         bool
	restartRound uint32 // grows with each restart of theirs
	released     condition.Condition
}

// lockHolder is a lock as one operation holds it.
type lockHolder struct {
	lock  *operationLock
	asker *child // that has asked for the operation; nil: none has
	held  bool
}

// acquire waits for the lock. It fails if that would be to wait for itself.
func (h *lockHolder) acquire(t *actors.Task) error {
	for h.lock.held {
		if k := h.asker; k != nil && k.life.State() == life.ChildStarting && k.core.lockFor(k) == h.lock {
			return fmt.Errorf("%w: %q", ErrInSetup, k.name)
		}
		if err := h.lock.released.Wait(t); err != nil {
			return err
		}
	}
	h.takeFree()
	return nil
}

// takeFree takes a lock that is free.
func (h *lockHolder) takeFree() { h.lock.held, h.held = true, true }

// release does nothing the second time.
func (h *lockHolder) release() {
	if h.held {
		h.lock.held, h.held = false, false
		h.lock.released.Broadcast()
	}
}
