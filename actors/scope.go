package actors

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// tree is a task's place in the tree of who created what, along which cancel
// and budgets go.
type tree struct {
	mu         sync.Mutex
	parent     *Task // who created it; nil: nobody who can be cancelled
	prev, next *Task // its siblings, guarded by the parent's mu
	kids       *Task // the first of them

	hasKids atomic.Bool // kids was not nil, once
	over    bool        // the task has ended; it stays for its kids' sake
	left    bool        // … and has left the tree
}

// scope is what tasks with a budget, and few others, need.
type scope struct {
	gone     atomic.Pointer[mark] // to be set when the task has ended, and its kids; nil: no deadline of its own
	deadline time.Duration        // reading of the system's clock; 0: none
	mu       sync.Mutex           // guards replyTo and ctx
	replyTo  *actor.PID           // where answers that are sent to a PID arrive
	request  atomic.Uint64        // its key in the system's replies; 0: none
	sys      *system              // of a task without a mailbox
	rare     atomic.Pointer[rare]
}

// attach makes t a task of mb, which may be nil.
func (t *Task) attach(mb *mailbox) {
	if mb != nil {
		t.attached = &mb.view
	}
}

// system is the task's.
func (t *Task) system() *system {
	if t.attached != nil {
		return t.mb.sys
	}
	return t.ext.Load().sys
}

// rare is what still fewer tasks have. The scope's mu guards the second half;
// the first is set before others know the task, or is its own.
type rare struct {
	name    string
	view    *Task           // of a Cleanup: the task whose coroutine it uses
	why     error           // of an OnStop hook: why the incarnation ends
	failure error           // what its worker fails of when it has ended
	base    context.Context // of WithContext

	stopBase func() bool
	ctx      context.Context // of Context
	end      context.CancelCauseFunc
}

var noRare rare

// seldom is for reading.
func (s *scope) seldom() *rare {
	if r := s.rare.Load(); r != nil {
		return r
	}
	return &noRare
}

// set is for writing.
func (s *scope) set() *rare {
	if s.rare.Load() == nil {
		s.rare.CompareAndSwap(nil, new(rare))
	}
	return s.rare.Load()
}

func (t *Task) scope() *scope {
	if s := t.ext.Load(); s != nil {
		return s
	}
	t.ext.CompareAndSwap(nil, &scope{})
	return t.ext.Load()
}

// of is the task whose message t works on.
func (t *Task) of() *Task {
	for {
		switch t.lifetime {
		case child, aside:
			t = t.tree.parent
		case cleanup:
			t = t.top()
		default:
			return t
		}
	}
}

// head is the top of the chain of Start parents.
func (t *Task) head() *Task {
	for t.lifetime == child {
		t = t.tree.parent.top()
	}
	return t
}

// top is the task that has the coroutine on which t runs.
func (t *Task) top() *Task {
	if s := t.ext.Load(); s != nil && s.seldom().view != nil {
		return s.seldom().view
	}
	return t
}

// expiry is the cause when the task's budget is used up.
func (t *Task) expiry() error {
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

// fails lets the worker fail when the task has ended.
func (t *Task) fails(err error) { t.scope().set().failure = err }

func (t *Task) failure() error {
	if s := t.ext.Load(); s != nil {
		return s.seldom().failure
	}
	return nil
}

// adopt makes child the work of parent: the parent's cancel and its budget
// are the child's too. It returns false if the parent has been ended; the
// child then has, too.
func (parent *Task) adopt(child *Task) bool {
	pt, ct := &parent.tree, &child.tree
	pt.mu.Lock()
	ct.parent = parent
	ct.next = pt.kids
	if pt.kids != nil {
		pt.kids.tree.prev = child
	}
	pt.kids = child
	pt.mu.Unlock()
	if !pt.hasKids.Load() {
		pt.hasKids.Store(true)
	}
	if ps := parent.ext.Load(); ps != nil {
		child.inherit(ps)
	}
	// Looked at after the child is in: a cancel that came before it missed it.
	if err := parent.ended(); err != nil {
		child.cancel(err)
		return false
	}
	return true
}

// inherit takes over what is left of a parent's budget, and its values.
func (t *Task) inherit(ps *scope) {
	if d := ps.deadline; d > 0 {
		if s := t.scope(); s.deadline == 0 || d < s.deadline {
			s.deadline = d // the parent's expiry reaches it
		}
	}
	if base := ps.seldom().base; base != nil {
		if s := t.scope(); s.seldom().base == nil {
			s.set().base = context.WithoutCancel(base)
		}
	}
}

// cancel ends the task: its future fails, its context ends, every await of
// it returns cause, and so with all work it has created. Any goroutine; the
// first cause counts.
func (t *Task) cancel(cause error) {
	if !t.cause.CompareAndSwap(nil, &cause) {
		return
	}
	t.tell(cause)
	if s := t.ext.Load(); s != nil {
		s.mu.Lock()
		end := s.seldom().end
		s.mu.Unlock()
		if end != nil {
			end(cause)
		}
	}
	if t.tree.hasKids.Load() {
		var kids []*Task
		t.tree.mu.Lock()
		for k := t.tree.kids; k != nil; k = k.tree.next {
			kids = append(kids, k)
		}
		t.tree.mu.Unlock()
		for _, k := range kids {
			k.cancel(cause)
		}
	}
	if t.lifetime == carrier || t.lifetime == aside {
		t.over()
	} else {
		t.coroutine().WakeNow()
	}
}

// over is called when the task has ended: it leaves the tree when the last of
// its kids has.
func (t *Task) over() {
	tr, s := &t.tree, t.ext.Load()
	if s != nil {
		s.mu.Lock()
		end := s.seldom().end
		s.mu.Unlock()
		if end != nil {
			end(context.Canceled)
			if t.inc != nil {
				t.inc.forget(t)
			}
		}
	}
	if !tr.hasKids.Load() && t.lifetime < carrier {
		t.leave(s) // nobody else can know of it any more, nor give it kids
		return
	}
	tr.mu.Lock()
	if tr.over {
		tr.mu.Unlock()
		return
	}
	tr.over = true
	last := tr.kids == nil
	tr.left = last
	tr.mu.Unlock()
	if last {
		t.leave(s)
	}
}

// leave takes a task that is over, and has no kids, out of the tree.
func (t *Task) leave(s *scope) {
	if !t.unanswered(s) && s != nil {
		t.forgotten(s)
	}
	p := t.tree.parent
	if p == nil {
		return
	}
	pt := &p.tree
	pt.mu.Lock()
	if t.tree.prev != nil {
		t.tree.prev.tree.next = t.tree.next
	} else {
		pt.kids = t.tree.next
	}
	if t.tree.next != nil {
		t.tree.next.tree.prev = t.tree.prev
	}
	t.tree.prev, t.tree.next = nil, nil
	last := pt.over && pt.kids == nil && !pt.left
	pt.left = pt.left || last
	pt.mu.Unlock()
	if last {
		p.leave(p.ext.Load())
	}
}

// forgotten is the very end of a task: it and its kids have ended, and its
// future is done.
func (t *Task) forgotten(s *scope) {
	if m := s.gone.Load(); m != nil {
		m.Store(1)
	}
	s.mu.Lock()
	stop := s.seldom().stopBase
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	t.closeRequest()
}

// taskKey finds the task in a context.
type taskKey struct{}

// taskIn returns the task whose own context ctx is or comes from, or nil.
func taskIn(ctx context.Context) *Task {
	t, _ := ctx.Value(taskKey{}).(*Task)
	return t
}

func (s *scope) context(t *Task) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.set()
	if r.ctx != nil {
		return r.ctx
	}
	base := context.Background()
	if r.base != nil {
		base = context.WithoutCancel(r.base) // its end arrives as a cancel of the task
	}
	base = context.WithValue(base, taskKey{}, t)
	stop := func() {}
	if s.deadline > 0 {
		base, stop = context.WithDeadlineCause(base, t.system().pool.Time(s.deadline), t.expiry())
	}
	ctx, end := context.WithCancelCause(base)
	r.end = func(cause error) {
		if s.deadline > 0 && errors.Is(cause, ErrTimeout) && t.system().pool.Now() >= s.deadline {
			return // the context's own deadline says so better: by Err, too
		}
		end(cause)
		stop()
	}
	r.ctx = ctx
	if inc := t.inc; inc != nil {
		inc.remember(t)
	}
	if err := t.ended(); err != nil {
		r.end(err)
	}
	return r.ctx
}

// incarnation is one life of a worker, from one start to the next.
type incarnation struct {
	n     uint64
	cause atomicError // why it has been ended

	mu   sync.Mutex
	ctxs map[*Task]struct{} // tasks that have made a context
	open map[*Task]struct{} // requests to be answered by somebody who has their sender's PID
}

// leaveOpen keeps a request whose handler has returned: whoever has its
// sender's PID may answer it for as long as the incarnation lives.
func (inc *incarnation) leaveOpen(t *Task) {
	inc.mu.Lock()
	if inc.open == nil {
		inc.open = map[*Task]struct{}{}
	}
	inc.open[t] = struct{}{}
	inc.mu.Unlock()
	t.future().base().call(&node{f: func() {
		inc.mu.Lock()
		delete(inc.open, t)
		inc.mu.Unlock()
		t.forgotten(t.ext.Load())
	}})
	if p := inc.cause.Load(); p != nil {
		t.future().fail(*p)
	}
}

func (inc *incarnation) remember(t *Task) {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	if inc.ctxs == nil {
		inc.ctxs = map[*Task]struct{}{}
	}
	inc.ctxs[t] = struct{}{}
}

func (inc *incarnation) forget(t *Task) {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	delete(inc.ctxs, t)
}

// finish ends the incarnation: from now on every await of its tasks returns
// cause, and their contexts end. Any goroutine.
func (inc *incarnation) finish(cause error) {
	first := cause
	inc.cause.CompareAndSwap(nil, &first)
	cause = *inc.cause.Load()
	// Also if another call has been first: it may not be through yet.
	inc.mu.Lock()
	var ends []context.CancelCauseFunc
	for t := range inc.ctxs {
		ends = append(ends, t.ext.Load().seldom().end)
	}
	open := slices.Collect(maps.Keys(inc.open))
	inc.mu.Unlock()
	for _, end := range ends {
		end(cause)
	}
	for _, t := range open {
		t.future().fail(cause)
	}
}
