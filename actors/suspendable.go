// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/asynkron/protoactor-go/ctxext"

	"github.com/protoloop/protoloop/internal/taskwait"
)

// suspendable is a Task as package loopsync suspends it.
type suspendable Task

var _ taskwait.Task = (*suspendable)(nil)

// ExtensionID is the engine's.
func (p *suspendable) ExtensionID() ctxext.ContextExtensionID { return taskwait.TaskID }

// Enter is package taskwait's, and so are the others here.
func (p *suspendable) Enter(what string) taskwait.Visit {
	t := (*Task)(p)
	if t == nil || t.attached == nil {
		panic("actors: " + what + " called with a Task that is not one of a worker")
	}
	t.checkCurrent(what)
	v := taskwait.Visit{Caller: p, Task: (*suspendable)(t.coroutineTask()), Loop: t.mb, Worker: t.mb.pid.Id, Ended: t.endCause()}
	if t.inc != nil {
		v.Incarnation = t.inc.n
	}
	return v
}

func (p *suspendable) NewSpot(ahead func() (holder, next taskwait.Task)) taskwait.Spot {
	s := &spot{}
	if ahead != nil {
		s.waits.list = func() (all []*Task) {
			holder, next := ahead()
			if t, ok := holder.(*suspendable); ok {
				all = append(all, (*Task)(t))
			}
			// What the next one waits for is waited for by this one, too. It
			// adds something only if an exclusive task keeps it from going on.
			if t, ok := next.(*suspendable); ok && t.mb.holder.Load() != nil {
				all = append(all, (*Task)(t))
			}
			return all
		}
		s.more().deps = &s.waits
	}
	return s
}

func (p *suspendable) Wait(what string, s taskwait.Spot) error {
	return s.(*spot).awaitSpot((*Task)(p), what)
}

func (p *suspendable) IsRunning() bool { return p.lt.Running() }

func (p *suspendable) HasEnded() (ended, lost bool) { return p.lt.Ended(), p.lt.Lost() }

func (p *suspendable) TaskName() string { return (*Task)(p).name() }

// spot is a future that completes when it is woken.
type spot struct {
	Future[None]
	waits deps
}

// Wake is package taskwait's.
func (s *spot) Wake() { s.resolve(struct{}{}, nil) }

func (s *spot) awaitSpot(t *Task, what string) error {
	t.checkCurrent(what)
	if err := t.endCause(); err != nil {
		return err
	}
	if s.waits.list != nil { // it may get what others wait for behind it
		(*waiter)(t.coroutineTask()).Probe()
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
