package actors

import (
	"context"
	"sync"
	"unsafe"
)

// kinship is a task's place in the tree of who created what, along which
// cancel and budgets go. Most work that comes from outside has none.
type kinship struct {
	parent     *Task // who created it; constant
	prev, next *Task // its siblings, guarded by the parent's family
	sole       bool  // it was the only kid when it became one, and so is the last of the list; constant
}

// noKids is the first of the kids of a task that has had some.
var noKids = new(Task)

// families guard the lists of kids, and who has left them; a task's is found
// by its address. Few tasks have kids, and a mutex in each would be 8 bytes of
// all of them: 1.5 % of the time of a burst of submissions. No two of them are
// ever held at a time.
//
// A task that has one kid at a time, because it awaits each, goes without: the
// first kid comes into an empty list, and leaves it if it is alone there, by an
// exchange of the list's head. That is two locked instructions in place of
// nine, and no cache line that all workers write.
var families [64]struct {
	sync.Mutex
	_ [56]byte // of a cache line
}

func (t *Task) family() *sync.Mutex {
	return &families[uintptr(unsafe.Pointer(t))>>6%uintptr(len(families))].Mutex
}

// related gives the task its place below parent.
func (t *Task) related(parent *Task) {
	if t.kin == nil {
		t.kin = new(kinship)
	}
	t.kin.parent = parent
}

func (t *Task) has(bit uint32) bool { return t.once.Load()&bit != 0 }

// adopt makes kid the work of t: t's cancel and its budget are the kid's too.
// It returns false if t has been ended; the kid then has, too.
func (t *Task) adopt(kid *Task) bool {
	t.join()
	kid.related(t)
	if ps := t.ext.Load(); ps != nil {
		kid.inherit(ps)
	}
	return t.link(kid)
}

// link puts kid among the kids of t.
func (t *Task) link(kid *Task) bool {
	if none := t.kids.Load(); none == nil || none == noKids {
		kid.kin.sole = true
		if !t.kids.CompareAndSwap(none, kid) {
			kid.kin.sole = false
		}
	}
	if !kid.kin.sole {
		mu := t.family()
		mu.Lock()
		t.lead(kid)
		mu.Unlock()
	}
	// Looked at after the child is in: a cancel that came before it missed it.
	if err := t.ended(); err != nil {
		kid.cancel(err)
		return false
	}
	return true
}

// lead puts kid before the other kids of t. With family held.
func (t *Task) lead(kid *Task) {
	for {
		first := t.kids.Load()
		kid.kin.next = nil
		if first != nil && first != noKids {
			kid.kin.next = first
		}
		if !t.kids.CompareAndSwap(first, kid) {
			continue // a sole one has come or gone
		}
		if kid.kin.next != nil {
			first.kin.prev = kid
		}
		return
	}
}

// childless reports whether t has no kids now.
func (t *Task) childless() bool {
	first := t.kids.Load()
	return first == nil || first == noKids
}

// startedBy is adopt for a child of Start. As long as it runs its first step,
// which is a part of its parent's turn, it need not be found: it looks for
// its parent's end when it joins. Most children end before.
func (t *Task) startedBy(parent *Task) bool {
	parent.join()
	t.related(parent)
	if ps := parent.ext.Load(); ps != nil {
		t.inherit(ps)
	}
	if err := parent.ended(); err != nil {
		t.cancel(err)
		return false
	}
	return true
}

// bequeath makes again, which gets t's message anew, a kid of t: whoever ends
// t ends it, and it has what is left of t's budget.
func (t *Task) bequeath(again *Task) {
	again.related(t)
	if s := t.ext.Load(); s != nil {
		again.inherit(s)
	}
	mu := t.family()
	mu.Lock()
	t.lead(again)
	mu.Unlock()
}

// isAgain reports whether another task has had the message of t, who is its kid.
func (t *Task) isAgain() bool {
	return t.again() != nil
}

// join is joinTree in the middle of t's turn, before it makes a context or
// creates work of its own. If the turn has been taken over there is nothing to
// join: the task has left the tree.
func (t *Task) join() {
	if t.lifetime == child && !t.has(isJoined) && t.lt.Running() {
		t.lt.OnLoop(t.joinTree)
	}
}

// joinTree puts a child of Start among its parent's kids. In the loop's own
// state: a takeover takes it out.
func (t *Task) joinTree() {
	if t.lifetime == child && !t.has(isJoined) {
		t.once.Or(isJoined)
		t.kin.parent.link(t)
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
	t.end(cause)
	if !t.has(isStashed) { // looked at when its future has failed: handBack marks it last
		return
	}
	for _, k := range t.listKids() {
		if k.isAgain() {
			k.cancel(cause)
		}
	}
}

// end is cancel for a task whose incarnation has ended, or who is abandoned:
// its message, if that was stashed, waits for the next incarnation.
func (t *Task) end(cause error) {
	s := t.scope()
	if !s.cause.CompareAndSwap(nil, &cause) {
		return
	}
	t.tell(cause)
	if m := s.more.Load(); m != nil { // whoever makes a context from here on sees the cause
		m.mu.Lock()
		end := s.seldom().end
		m.mu.Unlock()
		if end != nil {
			end(cause)
		}
	}
	for _, k := range t.listKids() {
		if !k.isAgain() {
			k.cancel(cause)
		}
	}
	if t.lifetime == carrier || t.lifetime == aside {
		t.over()
	} else {
		t.coroutine().WakeNow()
	}
}

// cutOff is end for a task whose incarnation has ended: what has no scope
// and no kids need not be told the cause, which it has from there. Stopping
// many suspended tasks would otherwise begin with making a scope for each.
func (t *Task) cutOff(cause error) {
	if t.ext.Load() != nil || t.kids.Load() != nil {
		t.end(cause)
		return
	}
	t.tell(cause)
	t.coroutine().WakeNow()
}

// listKids returns the kids that it has now.
func (t *Task) listKids() (all []*Task) {
	if t.childless() {
		return nil
	}
	mu := t.family()
	mu.Lock()
	defer mu.Unlock()
	k := t.kids.Load()
	if k == noKids {
		return nil
	}
	for ; k != nil; k = k.kin.next {
		all = append(all, k)
	}
	return all
}

// over is called when the task has ended: it leaves the tree when the last of
// its kids has.
func (t *Task) over() {
	s := t.ext.Load()
	if s != nil && s.seldom() != &noRare {
		m := s.more.Load()
		m.mu.Lock()
		end := s.seldom().end
		m.mu.Unlock()
		if end != nil {
			end(context.Canceled)
			if t.inc != nil {
				t.inc.forget(t)
			}
		}
	}
	if t.kids.Load() == nil && t.lifetime < carrier {
		t.leave(s) // nobody else can know of it any more, nor give it kids
		return
	}
	t.inClock() // for its kids' sake
	// The last kid to go looks for isOver after it has gone: one of the two
	// finds that both are true.
	if t.first(isOver) && t.childless() && t.first(hasLeft) {
		t.leave(s)
	}
}

// leave takes a task that is over, and has no kids, out of the tree.
func (t *Task) leave(s *scope) {
	if t.unanswered(s) {
		return // and ends with its creator until it is answered: see leaveOpen
	}
	if s != nil {
		t.forgotten(s)
	}
	t.unlink()
}

// unlink takes a task that was left out of its creator's kids.
func (t *Task) unlink() {
	k := t.kin
	if k == nil || k.parent == nil || t.lifetime == child && !t.has(isJoined) {
		return
	}
	p := k.parent
	if k.sole && p.kids.CompareAndSwap(t, noKids) {
		if p.has(isOver) && p.first(hasLeft) {
			p.leave(p.ext.Load())
		}
		return
	}
	mu := p.family()
	mu.Lock()
	switch {
	case k.prev != nil:
		k.prev.kin.next = k.next
	case k.next != nil:
		p.kids.Store(k.next)
	default:
		p.kids.Store(noKids)
	}
	if k.next != nil {
		k.next.kin.prev = k.prev
	}
	k.prev, k.next = nil, nil
	last := p.childless() && p.has(isOver) && p.first(hasLeft)
	mu.Unlock()
	if last {
		p.leave(p.ext.Load())
	}
}
