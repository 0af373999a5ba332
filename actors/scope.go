// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
)

// scope is what tasks with a budget, and few others, need.
type scope struct {
	cause    atomicEnd            // why the task has been ended, once it has
	gone     atomic.Pointer[mark] // to be cleared when the task has ended, and its kids; nil: no deadline of its own
	deadline time.Duration        // reading of the system's clock; 0: none
	more     atomic.Pointer[more]
}

// more is what a budget alone does not need: a request with a Timeout is in the
// next smaller size of allocations without it.
//
// Each field is a part of every request to a plain actor: see carried.
type more struct {
	reply  atomic.Pointer[replyTo]
	rare   atomic.Pointer[rare]
	ctx    atomic.Pointer[taskContext] // of Context
	values atomic.Pointer[values]      // of the task, and of its work
}

// values are those of a context. They are the same for all calls that are made with it, and for
// all work that inherits them: they share one, as their more, until one of them needs another. One
// of its own for each was a fifth of the allocations of an order (bench: order/worker-0s), and a
// quarter of the memory of a request (bench: burst/request-context).
type values struct {
	more // has these values, and nothing else
	base context.Context
}

// valuesOf has the values of ctx, for several tasks.
func valuesOf(ctx context.Context) *values {
	if ctx == context.Background() {
		return noValues // an allocation less
	}
	v := new(values)
	v.init(ctx)
	return v
}

var noValues = func() *values {
	v := new(values)
	v.init(context.Background())
	return v
}()

// init is for one that nobody else knows yet.
func (v *values) init(ctx context.Context) {
	v.base = ctx
	v.presetValues(v)
}

// isInherited reports whether several tasks share it.
func (m *more) isInherited() bool {
	v := m.values.Load()
	return v != nil && &v.more == m
}

// presetValues is for one that nobody else knows yet: a plain store, see presetScope.
func (m *more) presetValues(v *values) { *(**values)(unsafe.Pointer(&m.values)) = v }

// with is for writing.
func (s *scope) with() *more { return s.withIn(nil) }

// hasOnlyBudget reports whether the task, which has not been ended, has a deadline, and nothing of
// its own but perhaps a context.
func (s *scope) hasOnlyBudget() bool {
	if s.cause.Load() != nil || s.deadline == 0 {
		return false
	}
	m := s.more.Load()
	return m == nil || m.isInherited()
}

// isReleased reports whether there is nothing for releaseScope to do, nor for spendData: no scope, or one with
// a deadline that the clock does not watch.
func (s *scope) isReleased() bool {
	return s == nil || s.gone.Load() == nil && s.more.Load() == nil
}

// withIn is with, in the memory of room if there is none yet; nil: it is to be made.
func (s *scope) withIn(room *more) *more {
	for {
		m := s.more.Load()
		if m != nil && !m.isInherited() {
			return m
		}
		if room == nil {
			room = new(more)
		}
		if m != nil {
			room.presetValues(m.values.Load())
		}
		s.more.CompareAndSwap(m, room) // spend may take it back
	}
}

// own is for reading what no other task has: nil if there is nothing of that.
func (s *scope) own() *more {
	if m := s.more.Load(); m != nil && !m.isInherited() {
		return m
	}
	return nil
}

// base is the context whose values the task has, or nil.
func (s *scope) base() context.Context {
	if v := s.inheritedByWork(); v != nil {
		return v.base
	}
	return nil
}

// inheritedByWork is what the task's work inherits, or nil. It is apart from the task, which a future
// may keep for longer than the context.
func (s *scope) inheritedByWork() *values {
	m := s.more.Load()
	if m == nil {
		return nil
	}
	v := m.values.Load()
	if v == nil {
		if r := m.rare.Load(); r != nil {
			if w := r.watched.Load(); w != nil {
				v = w.valuesIn(m)
			}
		}
	}
	return v
}

// inheritValues gives the task, which nobody else knows yet, the values that its creator hands on,
// unless it has some.
func (s *scope) inheritValues(v *values) {
	if m := s.more.Load(); m == nil || m.values.Load() == nil {
		s.setValues(v)
	}
}

// setValues gives the task, which nobody else knows yet, these values.
func (s *scope) setValues(v *values) {
	if own := s.own(); own != nil {
		own.presetValues(v)
	} else {
		s.presetMore(&v.more)
	}
}

// presetMore is for a task that nobody else knows yet: a plain store, see presetScope.
func (s *scope) presetMore(m *more) { *(**more)(unsafe.Pointer(&s.more)) = m }

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
			return to.seg.table.sys
		}
	}
	return nil
}

// rare is what still fewer tasks have. What mu does not guard is set before others know
// the task, or is its own.
type rare struct {
	mu      sync.Mutex
	stop    *stopCall // by UntilStop; guarded by mu
	name    string
	view    *Task                   // of a Cleanup: the task whose coroutine it uses
	why     error                   // of an OnStop hook: why the incarnation ends
	env     *actor.MessageEnvelope  // of a request that has come the long way, by middleware
	failure error                   // what its worker fails of when it has ended
	watched atomic.Pointer[watched] // of a task that is observed
	bound   atomic.Pointer[values]  // of the context that may end the task, when its values are another's; see boundTo
}

var noRare rare

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
	if s.more.Load() == nil {
		s.more.CompareAndSwap(nil, newMoreWithRare())
	}
	m := s.with()
	if m.rare.Load() == nil {
		m.rare.CompareAndSwap(nil, new(rare))
	}
	return m.rare.Load()
}

// newMoreWithRare makes both in one allocation.
func newMoreWithRare() *more {
	x := &struct {
		more more
		rare rare
	}{}
	x.more.presetRare(&x.rare)
	return &x.more
}

// presetRare is for one that nobody else knows yet: a plain store, see presetScope.
func (m *more) presetRare(r *rare) { *(**rare)(unsafe.Pointer(&m.rare)) = r }

// presetWatched is likewise.
func (r *rare) presetWatched(w *watched) { *(**watched)(unsafe.Pointer(&r.watched)) = w }

// presetBound is likewise.
func (r *rare) presetBound(v *values) { *(**values)(unsafe.Pointer(&r.bound)) = v }

// spendAllButName lets go of the rest.
func (s *scope) spendAllButName() {
	m := s.more.Load()
	switch {
	case m == nil:
		return
	case m.isInherited():
		s.more.Store(nil)
		return
	}
	var named *more // a new one, because others may read this one
	r := m.rare.Load()
	if r != nil && r.name != "" {
		if m.hasOnlyName(r) {
			return
		}
		named = newMoreWithRare()
		named.rare.Load().name = r.name
	}
	s.more.Store(named)
	if r != nil {
		if w := r.watched.Load(); w != nil {
			w.spend()
		}
	}
	letGoOf(&m.reply) // m may be a part of the task, and would keep these
	letGoOf(&m.rare)
	letGoOf(&m.ctx)
	letGoOf(&m.values)
}

// letGoOf spares most of the exchanges, which are locked.
func letGoOf[T any](p *atomic.Pointer[T]) {
	if p.Load() != nil {
		p.Store(nil)
	}
}

// hasOnlyName reports whether there is nothing but r, and in that nothing but a name.
func (m *more) hasOnlyName(r *rare) bool {
	if m.reply.Load() != nil || m.ctx.Load() != nil || m.values.Load() != nil || r.watched.Load() != nil || r.bound.Load() != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view == nil && r.why == nil && r.env == nil && r.failure == nil && r.stop == nil
}

// boundTo is the context whose end ends the task by itself, or nil.
func (t *Task) boundTo() context.Context {
	if r := t.roomForContext(); r != nil && r.bound.watch.Load() != nil {
		if v := t.boundValues(); v != nil {
			return v.base
		}
	}
	return nil
}

// boundValues has the context that WithContext has given the task, which has a contextRoom; nil: it
// is spent.
func (t *Task) boundValues() *values {
	m := t.ext.Load().more.Load()
	if m == nil {
		return nil
	}
	v := m.values.Load() // first: see keepBoundValues
	if r := m.rare.Load(); r != nil {
		if bound := r.bound.Load(); bound != nil {
			return bound
		}
	}
	return v
}

// keepBoundValues goes before the task gets values of another context.
func (t *Task) keepBoundValues() {
	if t.roomForContext() == nil {
		return
	}
	if v := t.boundValues(); v != nil {
		t.rareScope().bound.CompareAndSwap(nil, v)
	}
}

// isBoundTo reports whether the end of ctx ends the task by itself.
func (t *Task) isBoundTo(ctx context.Context) bool { return same(t.boundTo(), ctx) }

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

// rareScope is the rare part of its scope, for writing. Most tasks have none of it, and then
// it takes one allocation.
func (t *Task) rareScope() *rare {
	if t.ext.Load() == nil {
		x := &struct {
			scope scope
			more  more
			rare  rare
		}{}
		x.more.presetRare(&x.rare)
		x.scope.presetMore(&x.more)
		t.ext.CompareAndSwap(nil, &x.scope)
	}
	return t.scope().set()
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
func (t *Task) failWorkerAtEnd(err error) { t.rareScope().failure = err }

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
	if r := t.roomForContext(); r != nil {
		r.bound.releaseCall(t)
	}
	m := s.own()
	if m == nil { // most often
		return
	}
	if r := m.rare.Load(); r != nil {
		if t.lifetime == cleanup {
			t.mb.sparse().cleanups.remove(t)
		}
		r.mu.Lock()
		stop := r.stop
		r.stop = nil
		r.mu.Unlock()
		if stop != nil {
			stop.event.removeWaiter(&stop.node.Waiter)
		}
	}
	t.closeRequest()
}
