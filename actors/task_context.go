// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"sync"
	"time"

	"github.com/protoloop/protoloop/internal/callerctx"
	"github.com/protoloop/protoloop/internal/safeerr"
)

// taskContext is the context of a task. Most are asked for a value, or for the deadline,
// and for no more: until somebody waits for its end, derives another one from it, or asks
// why it has ended, it is this alone. Those of package context that it is then made of are
// eleven allocations, and were a tenth of the time of an order (bench: order/worker-0s).
type taskContext struct {
	task *Task
	base context.Context // whose values it has, or nil

	mu    sync.Mutex
	std   context.Context // what there is to wait for; nil: not yet
	end   context.CancelCauseFunc
	stop  context.CancelFunc // of its timer, or nil
	ended error              // why it has ended, if that was before std
}

var _ context.Context = (*taskContext)(nil)

// standardKey is the key by which package context finds its own contexts in others, to
// derive from them without a goroutine and to know the cause of their end. If it has another
// way by now, this is nil, and std is made for each key that is asked for.
var standardKey = func() any {
	var probe keyProbe
	_ = context.Cause(&probe)
	return probe.key
}()

// keyProbe is an ended context that notes what it is asked for.
type keyProbe struct{ key any }

func (*keyProbe) Deadline() (at time.Time, ok bool) { return }
func (*keyProbe) Done() <-chan struct{}             { return closedChan }
func (*keyProbe) Err() error                        { return context.Canceled }
func (p *keyProbe) Value(key any) any               { p.key = key; return nil }

func (c *taskContext) Deadline() (at time.Time, ok bool) {
	if d := c.deadline(); d > 0 {
		return c.task.system().pool.Time(d), true
	}
	return at, false
}

func (c *taskContext) deadline() time.Duration { return c.task.ext.Load().deadline }

func (c *taskContext) Done() <-chan struct{} { return c.standard().Done() }

func (c *taskContext) Err() error {
	if d := c.deadline(); d <= 0 || c.task.system().pool.Now() < d {
		c.mu.Lock()
		alive := c.std == nil && c.ended == nil && c.task.endCause() == nil
		c.mu.Unlock()
		if alive {
			return nil
		}
	}
	return c.standard().Err()
}

func (c *taskContext) Value(key any) any {
	if callerctx.IsKey(key) {
		return callerctx.Caller((*callingTask)(c.task))
	}
	if standardKey == nil || key == standardKey {
		if v := c.standard().Value(key); v != nil || key == standardKey {
			return v
		}
	}
	if c.base != nil {
		return c.base.Value(key)
	}
	return nil
}

// String is for whoever prints a context.
func (c *taskContext) String() string { return "actors.Task(" + c.task.name() + ").Context" }

// standard is the context that there is to wait for.
func (c *taskContext) standard() context.Context {
	c.mu.Lock()
	var ended error
	if c.std == nil {
		ended = c.makeStandard()
	}
	c.mu.Unlock()
	if ended != nil {
		c.endContext(ended)
	}
	return c.std
}

// makeStandard returns why it has to end again, or nil. With mu held.
func (c *taskContext) makeStandard() (ended error) {
	t, base, ended := c.task, context.Background(), c.ended
	if ended == nil {
		ended = t.endCause()
	}
	if d := c.deadline(); d > 0 && (ended == nil || c.endsByDeadline(ended)) {
		base, c.stop = context.WithDeadlineCause(base, t.system().pool.Time(d), t.expiryCause())
	}
	c.std, c.end = context.WithCancelCause(base)
	if ended != nil {
		c.end(ended)
		return nil
	}
	inc := t.inc
	if inc == nil {
		return nil
	}
	inc.rememberContext(t)
	if ended = t.endCause(); ended != nil && t.loopTask().Lost() { // its end has come before, and forgets nothing more
		inc.forgetContext(t)
	}
	return ended
}

// endContext ends the context; the first cause counts.
func (c *taskContext) endContext(cause error) {
	c.mu.Lock()
	std, end, stop := c.std, c.end, c.stop
	if std == nil && c.ended == nil {
		c.ended = cause
	}
	c.mu.Unlock()
	switch {
	case std == nil:
	case stop == nil:
		end(cause)
	case c.endsByDeadline(cause):
		<-std.Done()
	default:
		end(cause)
		stop()
	}
}

// endsByDeadline reports whether cause says that the deadline is over, as it is: the
// context's own timer says so better, by Err, too.
func (c *taskContext) endsByDeadline(cause error) bool {
	d := c.deadline()
	return d > 0 && safeerr.Is(cause, ErrTimeout) && c.task.system().pool.Now() >= d
}

// context is the task's, the same at each call.
func (s *scope) context(t *Task) context.Context {
	t.joinTreeInTurn()
	m := s.own()
	var c *taskContext
	if m == nil { // one allocation for both
		x := &struct {
			more more
			ctx  taskContext
		}{}
		m, c = s.withIn(&x.more), &x.ctx
	}
	base := s.base()
	if m.ctx.Load() == nil {
		if c == nil {
			c = new(taskContext)
		}
		c.task, c.base = t, base
		if m.ctx.CompareAndSwap(nil, c) {
			if t.lifetime == aside { // the end of its incarnation finds it by this
				c.standard()
			}
			return c
		}
	}
	c = m.ctx.Load()
	if base == nil || same(c.base, base) {
		return c
	}
	return &rebasedContext{c, base}
}

// endContext ends the context of the task, if it has made one: one that is made from here
// on sees the cause. It reports whether there was one.
func (s *scope) endContext(cause error) bool {
	m := s.more.Load()
	if m == nil {
		return false
	}
	c := m.ctx.Load()
	if c == nil {
		return false
	}
	c.endContext(cause)
	return true
}
