package supervisor

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/link"
)

// onFailure: a child has failed, and has suspended itself unless it drains.
func (c *core) onFailure(t *actors.Task, k *child, f *link.Failure) {
	c.tellFailure(k, f)
	if !f.Draining {
		k.failure = f
		k.happen(t, life.ChildCrashed)
	}
}

// tellLeftBehind is tellFailure for a child that nobody waits for any more.
func (c *core) tellLeftBehind(pid *actor.PID, next string, f *link.Failure) {
	c.out.error("supervisor: a child that was left behind failed; "+next, "actor", pid, "task", f.Task, "error", f.Err, "stack", string(stackOf(f.Err)))
}

// askDecision: a child has failed or ended by itself, and not while it started.
func (c *core) askDecision(t *actors.Task, k *child) {
	if s := c.starting; s != nil {
		s.changed.raise()
	}
	c.run(t, "restart "+k.name, func(t *actors.Task) error { return c.recover(t, k) })
}

// tellFailure makes an event of a failure, and hands on the message that it
// is about.
func (c *core) tellFailure(k *child, f *link.Failure) {
	if f.Err == nil { // its Main has returned: no failure, but it is Permanent
		emit(c.out, ChildEnded{At: k.at()})
		return
	}
	if c.out.hears(ChildFailed{}) {
		e := ChildFailed{At: k.at(), Err: f.Err, Task: f.Task, Retried: f.Retried || f.Stashed, Stack: stackOf(f.Err)}
		if f.Message != nil {
			e.Message = typeName(f.Message)
		}
		c.out.tell(e)
	}
	if !f.Retried && !f.Stashed {
		c.deadLetter(k, f)
	}
}

// deadLetter hands on a message whose handler has panicked and which will not be
// handled anew.
func (c *core) deadLetter(k *child, f *link.Failure) {
	call := k.spec.OnCrash.DeadLetter
	if call == nil || f.Message == nil {
		return
	}
	crash := Crash{c.node.pid.Id, k.name, f.Message, f.Sender, f.Err}
	c.dead.call(func() { call(crash) }, func(v any, stack []byte) {
		c.out.error("supervisor: OnCrash.DeadLetter panicked", "supervisor", crash.Supervisor, "child", crash.Child, "panic", v, "stack", string(stack))
	})
}

// stackOf is the stack that comes with an error, if one does.
func stackOf(err error) (stack []byte) {
	defer func() { _ = recover() }() // see is
	var p *actors.PanicError
	if errors.As(err, &p) {
		stack = p.Stack
	}
	return stack
}

// is is errors.Is for errors of users, whose methods may panic.
func is(err, target error) (yes bool) {
	defer func() { _ = recover() }()
	return errors.Is(err, target)
}
