package actors

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// scope is the part of a task that cancel and budgets need: its place in the
// tree of who created what, its deadline and its context. Most tasks never
// need one.
type scope struct {
	mu sync.Mutex
	// parent created the task. prev and next are its siblings; those three
	// are guarded by the parent's mu.
	parent     *Task
	prev, next *Task
	kids       *Task
	over       bool        // the task has ended; it stays for its kids' sake
	left       bool        // … and has left the tree
	gone       atomic.Bool // the same, for the clock

	deadline  time.Duration // reading of the system's clock; 0: none
	origin    *Task         // whose message it works on; nil: its own
	startedBy *Task         // the top of the chain of Start parents; nil: itself
	replyTo   *actor.PID    // where answers that are sent to a PID arrive
	request   atomic.Uint64 // its key in the system's replies; 0: none
	rare      *rare
}

// rare is what still fewer tasks have.
type rare struct {
	name     string
	view     *Task           // of a Cleanup: the task whose coroutine it uses
	why      error           // of an OnStop hook: what context.Cause says
	failure  error           // what its worker fails of when it has ended
	base     context.Context // of WithContext
	stopBase func() bool
	ctx      context.Context // of Context
	end      context.CancelCauseFunc
}

var noRare rare

// seldom is for reading.
func (s *scope) seldom() *rare {
	if s.rare != nil {
		return s.rare
	}
	return &noRare
}

// set is for writing; by the task itself, or before others know it.
func (s *scope) set() *rare {
	if s.rare == nil {
		s.rare = new(rare)
	}
	return s.rare
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
	if s := t.ext.Load(); s != nil && s.origin != nil {
		return s.origin
	}
	return t
}

// head is the top of the chain of Start parents.
func (t *Task) head() *Task {
	if s := t.ext.Load(); s != nil && s.startedBy != nil {
		return s.startedBy
	}
	return t
}

// top is the task that has the coroutine on which t runs.
func (t *Task) top() *Task {
	if s := t.ext.Load(); s != nil && s.rare != nil && s.rare.view != nil {
		return s.rare.view
	}
	return t
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
	ps, cs := parent.scope(), child.scope()
	ps.mu.Lock()
	cs.parent = parent
	cs.next = ps.kids
	if ps.kids != nil {
		ps.kids.ext.Load().prev = child
	}
	ps.kids = child
	ps.mu.Unlock()
	if ps.deadline > 0 && (cs.deadline == 0 || ps.deadline < cs.deadline) {
		cs.deadline = ps.deadline // the parent's expiry reaches it
	}
	if base := ps.seldom().base; base != nil && cs.seldom().base == nil {
		cs.set().base = context.WithoutCancel(base)
	}
	// Looked at after the child is in: a cancel that came before it missed it.
	if err := parent.ended(); err != nil {
		child.cancel(err)
		return false
	}
	return true
}

// cancel ends the task: its future fails, its context ends, every await of
// it returns cause, and so with all work it has created. Any goroutine; the
// first cause counts.
func (t *Task) cancel(cause error) {
	if !t.cause.CompareAndSwap(nil, &cause) {
		return
	}
	if t.res != nil {
		t.res.fail(cause)
	}
	if s := t.ext.Load(); s != nil {
		s.mu.Lock()
		end := s.seldom().end
		var kids []*Task
		for k := s.kids; k != nil; k = k.ext.Load().next {
			kids = append(kids, k)
		}
		s.mu.Unlock()
		if end != nil {
			end(cause)
		}
		for _, k := range kids {
			k.cancel(cause)
		}
	}
	if t.lifetime == carrier {
		t.over()
	} else {
		t.coroutine().WakeNow()
	}
}

// over is called when the task has ended: it leaves the tree when the last of
// its kids has.
func (t *Task) over() {
	s := t.ext.Load()
	if s == nil {
		t.unanswered(nil)
		return
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.over = true
	rare, last := s.seldom(), s.kids == nil
	end, stopBase := rare.end, rare.stopBase
	s.left = last
	s.mu.Unlock()
	if stopBase != nil {
		stopBase()
	}
	if end != nil {
		end(context.Canceled)
	}
	if inc := t.inc; inc != nil && end != nil {
		inc.forget(t)
	}
	if last {
		t.leave()
	}
}

// leave takes a task that is over, and has no kids, out of the tree.
func (t *Task) leave() {
	s := t.ext.Load()
	s.gone.Store(true)
	t.unanswered(s)
	p := s.parent
	if p == nil {
		return
	}
	ps := p.ext.Load()
	ps.mu.Lock()
	if s.prev != nil {
		s.prev.ext.Load().next = s.next
	} else {
		ps.kids = s.next
	}
	if s.next != nil {
		s.next.ext.Load().prev = s.prev
	}
	s.prev, s.next = nil, nil
	last := ps.over && ps.kids == nil && !ps.left
	ps.left = ps.left || last
	ps.mu.Unlock()
	if last {
		p.leave()
	}
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
		base, stop = context.WithDeadlineCause(base, t.sys.pool.Time(s.deadline), ErrTimeout)
	}
	ctx, end := context.WithCancelCause(base)
	r.end = func(cause error) {
		if cause == ErrTimeout && s.deadline > 0 && t.sys.pool.Now() >= s.deadline {
			return // the context's own deadline says so better: by Err, too
		}
		end(cause)
		stop()
	}
	if r.ctx = ctx; r.why != nil {
		r.ctx = newHookContext(ctx, r.why)
	}
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
	t.res.base().call(&node{f: func() {
		inc.mu.Lock()
		delete(inc.open, t)
		inc.mu.Unlock()
		t.closeRequest()
	}})
	if p := inc.cause.Load(); p != nil {
		t.res.fail(*p)
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
	if !inc.cause.CompareAndSwap(nil, &cause) {
		return
	}
	inc.mu.Lock()
	var ends []context.CancelCauseFunc
	for t := range inc.ctxs {
		ends = append(ends, t.ext.Load().rare.end)
	}
	open := slices.Collect(maps.Keys(inc.open))
	inc.mu.Unlock()
	for _, end := range ends {
		end(cause)
	}
	for _, t := range open {
		t.res.fail(cause)
	}
}
