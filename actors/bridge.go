// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/protoloop/protoloop/internal/park"
)

func init() {
	park.Enter = func(task any, what string) park.Task { return task.(*Task).enter(what) }
	park.NewSpot = newSpot
	park.Wait = func(task any, what string, s park.Spot) error { return s.(*spot).wait(task.(*Task), what) }
	park.Gone = func(id any) (ended, lost bool) { lt := &id.(*Task).lt; return lt.Ended(), lt.Lost() }
	park.Name = func(id any) string { return id.(*Task).name() }
}

func (t *Task) enter(what string) park.Task {
	if t == nil || t.attached == nil {
		panic("actors: " + what + " called with a Task that is not one of a worker")
	}
	t.current(what)
	p := park.Task{ID: t.top(), Loop: t.mb, Worker: t.mb.pid.Id, Ended: t.ended()}
	if t.inc != nil {
		p.Incarnation = t.inc.n
	}
	return p
}

// spot is a future that completes when it is woken.
type spot struct {
	Future[None]
	waits deps
}

func newSpot(ahead func() (holder, next any)) park.Spot {
	s := &spot{}
	if ahead != nil {
		s.waits.list = func() (all []*Task) {
			holder, next := ahead()
			if t, ok := holder.(*Task); ok {
				all = append(all, t)
			}
			// What the next one waits for is waited for by this one, too. It
			// adds something only if an exclusive task keeps it from going on.
			if t, ok := next.(*Task); ok && t.mb.holder.Load() != nil {
				all = append(all, t)
			}
			return all
		}
		s.more().deps = &s.waits
	}
	return s
}

// Wake is package park's.
func (s *spot) Wake() { s.resolve(struct{}{}, nil) }

func (s *spot) wait(t *Task, what string) error {
	t.current(what)
	if err := t.ended(); err != nil {
		return err
	}
	if s.waits.list != nil { // it may get what others wait for behind it
		(*waiter)(t.top()).Probe()
	}
	err := t.noteAwaited(&s.core)
	if err == nil {
		err = t.suspend(&s.core, behindWoken)
	}
	if err != nil {
		t.forgetAwaited()
	}
	return err
}
