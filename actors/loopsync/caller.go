// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"context"
	"fmt"

	"github.com/protoloop/protoloop/internal/callerctx"
	"github.com/protoloop/protoloop/internal/taskwait"
)

// caller is who waits: a task, or a plain goroutine.
type caller struct {
	what  string
	visit taskwait.Visit  // of a task
	ctx   context.Context // of a plain goroutine; nil: it is a task
}

// plainCaller is a plain goroutine. It panics if ctx is that of a task.
func plainCaller(ctx context.Context, what, instead string) caller {
	if ctx == nil {
		panic("loopsync: " + what + " called with a nil context")
	}
	if c := callerctx.Of(ctx); c != nil && c.InTask() {
		panic(fmt.Sprintf("loopsync: %s called with the context of a task of worker %s: it would block the worker; use %s",
			what, c.WorkerPID().GetId(), instead))
	}
	return caller{what: what, ctx: ctx}
}

func (c *caller) isPlain() bool { return c.ctx != nil }

func (c *caller) newSpot() taskwait.Spot {
	if c.isPlain() {
		return make(goroutineSpot, 1)
	}
	return c.visit.Task.NewSpot(nil)
}

// waitAt waits until the spot is woken, or returns why it waits no longer.
func (c *caller) waitAt(s taskwait.Spot) error {
	if !c.isPlain() {
		return c.visit.Caller.Wait(c.what, s)
	}
	woken := s.(goroutineSpot)
	select {
	case <-woken:
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

// goroutineSpot is where a plain goroutine waits. It has room for one.
type goroutineSpot chan struct{}

// Wake is package taskwait's.
func (s goroutineSpot) Wake() {
	select {
	case s <- struct{}{}:
	default:
	}
}
