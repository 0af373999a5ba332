// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/callerctx"
	"github.com/protoloop/protoloop/internal/safeerr"
)

// scope is what tasks with a budget, and few others, need.
type scope struct {
	cause    atomicError          // why the task has been ended, once it has
	gone     atomic.Pointer[mark] // to be cleared when the task has ended, and its kids; nil: no deadline of its own
	deadline time.Duration        // reading of the system's clock; 0: none
	more     atomic.Pointer[more]
}

// more is what a budget alone does not need: a request with a Timeout is in the
// next smaller size of allocations without it.
type more struct {
	mu    sync.Mutex // guards making a reply, and rare
	reply atomic.Pointer[replyTo]
	rare  atomic.Pointer[rare]
}

// with is for writing.
func (s *scope) with() *more {
	for {
		if m := s.more.Load(); m != nil {
			return m
		}
		s.more.CompareAndSwap(nil, new(more)) // spend may take it back
	}
}

// replyTo is where the task's answer goes, or nil.
func (s *scope) replyTo() *replyTo {
	if m := s.more.Load(); m != nil {
		return m.reply.Load()
	}
	return nil
}

// attachTo makes t a task of mb, which may be nil.
func (t *Task) attachTo(mb *mailbox) {
	if mb != nil {
		t.attached = &mb.view
	}
}

// system is the task's; nil for one that is still on its way to a worker.
func (t *Task) system() *system {
	if t.attached != nil && t.mb.named() {
		return t.mb.sys
	}
	if s := t.ext.Load(); s != nil {
		if to := s.replyTo(); to != nil {
			return to.sys
		}
	}
	return nil
}

// rare is what still fewer tasks have. The mu of more guards the second half;
// the first is set before others know the task, or is its own.
type rare struct {
	name    string
	view    *Task                  // of a Cleanup: the task whose coroutine it uses
	why     error                  // of an OnStop hook: why the incarnation ends
	env     *actor.MessageEnvelope // of a request that has come the long way, by middleware
	failure error                  // what its worker fails of when it has ended
	base    context.Context        // of WithContext

	bound *boundCall      // by base
	stop  *stopCall       // by UntilStop
	ctx   context.Context // of Context
	end   context.CancelCauseFunc
}

var noRare rare

// hasMoreThanName is called with the mu of more held.
func (r *rare) hasMoreThanName() bool {
	return r.view != nil || r.why != nil || r.env != nil || r.failure != nil || r.base != nil ||
		r.bound != nil || r.stop != nil || r.ctx != nil || r.end != nil
}

// seldom is for reading.
func (s *scope) seldom() *rare {
	if m := s.more.Load(); m != nil {
		if r := m.rare.Load(); r != nil {
			return r
		}
	}
	return &noRare
}

// set is for writing.
func (s *scope) set() *rare {
	m := s.with()
	if m.rare.Load() == nil {
		m.rare.CompareAndSwap(nil, new(rare))
	}
	return m.rare.Load()
}

// spendAllButName lets go of the rest.
func (s *scope) spendAllButName() {
	m := s.more.Load()
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rare.Load()
	if r == nil || r.name == "" {
		s.more.Store(nil)
		return
	}
	if r.hasMoreThanName() { // a new one, because others may read this one
		m.rare.Store(&rare{name: r.name})
	}
	m.reply.Store(nil)
}

// boundTo is the context whose end ends the task by itself, or nil.
func (s *scope) boundTo() context.Context {
	m := s.more.Load()
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := s.seldom(); r.bound != nil {
		return r.base
	}
	return nil
}

// isBoundTo reports whether the end of ctx ends the task by itself.
func (t *Task) isBoundTo(ctx context.Context) bool {
	s := t.ext.Load()
	return s != nil && same(s.boundTo(), ctx)
}

// presetScope gives a task that nobody else knows yet its scope. A plain store: the
// atomic one is a locked exchange, 20 ns of a request with a Timeout (bench:
// burst/request-timeout).
func (t *Task) presetScope(s *scope) {
	*(**scope)(unsafe.Pointer(&t.ext)) = s
}

func (t *Task) scope() *scope {
	if s := t.ext.Load(); s != nil {
		return s
	}
	t.ext.CompareAndSwap(nil, &scope{})
	return t.ext.Load()
}

// messageTask is the task whose message t works on. Where that is no message, it need not
// be the task that began: nothing is known of that when it has ended.
func (t *Task) messageTask() *Task {
	for {
		switch t.lifetime {
		case child, aside, grouping:
			o := t.kin.origin.Load()
			if o == nil {
				return t
			}
			t = o
		case cleanup:
			t = t.coroutineTask()
		default:
			return t
		}
	}
}

// asOrigin is what a child of Start of t has as its origin: the group that it is
// part of, if it is, or else the task whose message it works on. A function has
// none.
func (t *Task) asOrigin() *Task {
	switch t = t.coroutineTask(); {
	case t.lifetime == child:
		return t.kin.origin.Load()
	case t.lifetime == grouping, t.message() != nil:
		return t
	}
	return nil
}

// coroutineTask is the task that has the coroutine on which t runs.
func (t *Task) coroutineTask() *Task {
	if s := t.ext.Load(); s != nil {
		return s.coroutineTask(t)
	}
	return t // inlined: most tasks have no scope
}

func (s *scope) coroutineTask(t *Task) *Task {
	if of := s.seldom().view; of != nil {
		return of
	}
	return t
}

// expiryCause is the cause of the end of a context when the task's budget is used
// up. It is made with the context, long before, and so names nothing; see
// expired.
func (t *Task) expiryCause() error {
	if why := t.hookOf(); why != nil {
		return because(why, ErrTimeout)
	}
	return ErrTimeout
}

// hookOf is why the incarnation ends whose OnStop hook t is, or nil.
func (t *Task) hookOf() error {
	if s := t.ext.Load(); s != nil {
		return s.seldom().why
	}
	return nil
}

// failWorkerAtEnd lets the worker fail when the task has ended.
func (t *Task) failWorkerAtEnd(err error) { t.scope().set().failure = err }

func (t *Task) workerFailure() error {
	if s := t.ext.Load(); s != nil {
		return s.seldom().failure
	}
	return nil
}

// releaseScope is the very end of a task: it and its kids have ended, and its
// future is done.
func (t *Task) releaseScope(s *scope) {
	if m := s.gone.Load(); m != nil {
		t.system().clock.dropDeadline(m, t)
	}
	if s.seldom() != &noRare {
		if t.lifetime == cleanup {
			t.mb.sparse().cleanups.remove(t)
		}
		m := s.more.Load()
		m.mu.Lock()
		b, stop := s.seldom().bound, s.seldom().stop
		if b != nil {
			s.seldom().bound = nil // it may be another call's next
		}
		if stop != nil {
			s.seldom().stop = nil
		}
		m.mu.Unlock()
		if stop != nil {
			stop.event.removeWaiter(&stop.node)
		}
		if b != nil {
			b.release(t)
		}
	}
	t.closeRequest()
}

func (s *scope) context(t *Task) context.Context {
	t.joinTreeInTurn()
	m := s.with()
	m.mu.Lock()
	defer m.mu.Unlock()
	r := s.set()
	if r.ctx != nil {
		return r.ctx
	}
	base := context.Background()
	if r.base != nil {
		base = context.WithoutCancel(r.base) // its end arrives as a cancel of the task
	}
	base = callerctx.With(base, (*callingTask)(t))
	stop := func() {}
	if s.deadline > 0 {
		base, stop = context.WithDeadlineCause(base, t.system().pool.Time(s.deadline), t.expiryCause())
	}
	ctx, end := context.WithCancelCause(base)
	r.end = func(cause error) {
		if s.deadline > 0 && safeerr.Is(cause, ErrTimeout) && t.system().pool.Now() >= s.deadline {
			<-ctx.Done() // its own deadline, which is due, says so better: by Err, too
			return
		}
		end(cause)
		stop()
	}
	r.ctx = ctx
	if inc := t.inc; inc != nil {
		inc.rememberContext(t)
	}
	if err := t.endCause(); err != nil {
		r.end(err)
		if t.inc != nil && t.loopTask().Lost() { // its end has come before, and forgets nothing more
			t.inc.forgetContext(t)
		}
	}
	return r.ctx
}
