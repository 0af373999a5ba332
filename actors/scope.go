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
	over       bool // the task has ended; it stays for its kids' sake
	left       bool // … and has left the tree

	deadline time.Duration // reading of the system's clock; 0: none
	base     context.Context
	ctx      context.Context
	end      context.CancelCauseFunc
	stopBase func() bool

	name    string
	replyTo *actor.PID    // where answers that are sent to a PID arrive
	request atomic.Uint64 // its key in the system's replies; 0: none
}

func (t *Task) scope() *scope {
	if s := t.ext.Load(); s != nil {
		return s
	}
	t.ext.CompareAndSwap(nil, &scope{})
	return t.ext.Load()
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
	if cs.base == nil && ps.base != nil {
		cs.base = context.WithoutCancel(ps.base)
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
		end := s.end
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
	switch {
	case t.lifetime == carrier:
		t.over()
	case t.view == nil:
		t.lt.WakeNow()
	default:
		t.view.lt.WakeNow()
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
	end, stopBase, last := s.end, s.stopBase, s.kids == nil
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

// gone reports whether the task and all its kids have ended, so that its
// deadline is of no interest.
func (t *Task) gone() bool {
	s := t.ext.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over && s.kids == nil
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
	if s.ctx != nil {
		return s.ctx
	}
	base := context.Background()
	if s.base != nil {
		base = context.WithoutCancel(s.base) // its end arrives as a cancel of the task
	}
	base = context.WithValue(base, taskKey{}, t)
	stop := func() {}
	if s.deadline > 0 {
		base, stop = context.WithDeadlineCause(base, t.sys.pool.Time(s.deadline), ErrTimeout)
	}
	ctx, end := context.WithCancelCause(base)
	s.end = func(cause error) {
		if cause == ErrTimeout && s.deadline > 0 && t.sys.pool.Now() >= s.deadline {
			return // the context's own deadline says so better: by Err, too
		}
		end(cause)
		stop()
	}
	if s.ctx = ctx; t.why != nil {
		s.ctx = newHookContext(ctx, t.why)
	}
	if inc := t.inc; inc != nil {
		inc.remember(t)
	}
	if err := t.ended(); err != nil {
		s.end(err)
	}
	return s.ctx
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
		ends = append(ends, t.ext.Load().end)
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
