package actors

import (
	"context"
	"sync"
	"sync/atomic"
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
	joined  bool        // a child of Start is among its parent's kids; see join
}

// adopt makes kid the work of t: t's cancel and its budget are the kid's too.
// It returns false if t has been ended; the kid then has, too.
func (t *Task) adopt(kid *Task) bool {
	t.join()
	kid.tree.parent = t
	if ps := t.ext.Load(); ps != nil {
		kid.inherit(ps)
	}
	return t.link(kid)
}

// link puts kid among the kids of t.
func (t *Task) link(kid *Task) bool {
	pt, ct := &t.tree, &kid.tree
	pt.mu.Lock()
	ct.next = pt.kids
	if pt.kids != nil {
		pt.kids.tree.prev = kid
	}
	pt.kids = kid
	pt.mu.Unlock()
	if !pt.hasKids.Load() {
		pt.hasKids.Store(true)
	}
	// Looked at after the child is in: a cancel that came before it missed it.
	if err := t.ended(); err != nil {
		kid.cancel(err)
		return false
	}
	return true
}

// startedBy is adopt for a child of Start. As long as it runs its first step,
// which is a part of its parent's turn, it need not be found: it looks for
// its parent's end when it joins. Most children end before.
func (t *Task) startedBy(parent *Task) bool {
	parent.join()
	t.tree.parent = parent
	if ps := parent.ext.Load(); ps != nil {
		t.inherit(ps)
	}
	if err := parent.ended(); err != nil {
		t.cancel(err)
		return false
	}
	return true
}

// join puts a child of Start among its parent's kids: before it awaits, makes
// a context or creates work of its own.
func (t *Task) join() {
	if t.lifetime == child && !t.tree.joined {
		t.tree.joined = true
		t.tree.parent.link(t)
	}
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
	if s != nil && s.rare.Load() != nil {
		s.mu.Lock()
		end := s.rare.Load().end
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
	t.inClock() // for its kids' sake
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
	if p == nil || t.lifetime == child && !t.tree.joined {
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
