// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"time"

	"github.com/protoloop/protoloop/internal/loop"
)

// Cleanup runs fn, within the caller's turn and on its coroutine, with a task
// that is alive although the caller's may have been ended: for deferred code
// that has to await. After grace, or when its worker has to give up on it,
// fn's awaits fail with ErrTimeout or the worker's reason. It returns fn's
// error. In Stopped, where nothing can be awaited, they fail at once.
func (t *Task) Cleanup(grace time.Duration, fn func(t *Task) error) error {
	t.checkCurrent("Cleanup")
	if fn == nil {
		panic("actors: Cleanup called with a nil function")
	}
	if t.coroutineTask().has(isOffLoop) {
		return fn(t)
	}
	u := newCleanup(t, fn)
	s := u.scope()
	s.deadline = t.mb.sys.in(grace)
	t.system().clock.addDeadline(s.deadline, u)
	t.mb.enterAgain(u)
	defer func() {
		u.noteEnded()
		t.mb.enterAgain(t)
	}()
	return fn(u)
}

// newCleanup makes a task that uses the coroutine of t and shares its
// message, but not its end.
func newCleanup(t *Task, fn func(t *Task) error) *Task {
	u := &Task{attached: t.attached, lifetime: cleanup, inc: &incarnation{n: t.inc.n, actor: t.inc.actor}}
	s := u.scope()
	s.set().view = t.coroutineTask()
	if ps := t.ext.Load(); ps != nil {
		if v := ps.inheritedByWork(); v != nil {
			s.inheritValues(v)
		}
	}
	u.lt.Body = &cleanupBody{u, fn}
	t.mb.sparse().cleanups.add(u)
	return u
}

// cleanupBody gives a Cleanup its name; it never runs by itself.
type cleanupBody struct {
	*Task
	fn func(t *Task) error
}

func (b *cleanupBody) future() completer { return nil }
func (b *cleanupBody) label() string     { return "cleanup " + funcName(b.fn) }
func (b *cleanupBody) Run(*loop.Task)    {}

// Done is never called.
func (b *cleanupBody) Done(*loop.Task, loop.How) {}

// CameBack is never called.
func (b *cleanupBody) CameBack(*loop.Task) {}
