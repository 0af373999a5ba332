// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/protoloop/protoloop/internal/observe"
)

// kinship is a task's place in the tree of who created what, along which
// cancel and budgets go. Most work that comes from outside has none.
//
// A task that is over leaves the tree, and leaves its kids to its own parent:
// work that makes its successor and ends, again and again, keeps none of its
// ancestors. See mustStay for the exceptions.
type kinship struct {
	parent     atomic.Pointer[Task] // who created it, or has got it since; nil: nobody
	origin     atomic.Pointer[Task] // of a child of Start, or what is offloaded, until it leaves: see messageTask
	prev, next *Task                // its siblings, guarded by the parent's family
}

// noKids is the first of the kids of a task that has had some.
var noKids = new(Task)

// families guard the lists of kids, and who has left them; a task's is found
// by its address. Few tasks have kids, and a mutex in each would be 8 bytes of
// all of them: 1.5 % of the time of a burst of submissions (bench: burst/submit). Whoever
// needs two of them at a time takes them by lockFamilies.
//
// A task that has one kid at a time, because it awaits each, goes without: the
// first kid comes into an empty list, and leaves it if it is alone there, by an
// exchange of the list's head. That is two locked instructions in place of
// nine, and no cache line that all workers write.
var families [64]struct {
	sync.Mutex
	_ [56]byte // of a cache line
}

func (t *Task) familyIndex() uintptr {
	return uintptr(unsafe.Pointer(t)) >> 6 % uintptr(len(families))
}

func (t *Task) familyLock() *sync.Mutex { return &families[t.familyIndex()].Mutex }

// lockFamilies locks those of two tasks, of which the second may be nil.
func lockFamilies(a, b *Task) (unlock func()) {
	i := a.familyIndex()
	j := i
	if b != nil {
		j = b.familyIndex()
	}
	first, second := min(i, j), max(i, j)
	families[first].Lock()
	if second != first {
		families[second].Lock()
	}
	return func() {
		families[first].Unlock()
		if second != first {
			families[second].Unlock()
		}
	}
}

// placeBelow gives the task, which nobody else knows yet, its place below parent.
func (t *Task) placeBelow(parent *Task) {
	if t.kin == nil {
		t.kin = new(kinship)
	}
	if t.kin.parent.Load() != parent { // a member of a group is known by now, and has it
		t.kin.setParent(parent)
	}
}

// setParent is for a task that nobody else knows: a plain store, see presetScope.
func (k *kinship) setParent(p *Task) { *(**Task)(unsafe.Pointer(&k.parent)) = p }

// setOrigin is likewise.
func (k *kinship) setOrigin(o *Task) { *(**Task)(unsafe.Pointer(&k.origin)) = o }

// parent is the task that t is work of, or nil.
func (t *Task) parent() *Task {
	if t.kin == nil {
		return nil
	}
	return t.kin.parent.Load()
}

func (t *Task) has(bit uint32) bool { return t.once.Load()&bit != 0 }

// adoptKid makes kid the work of t: t's cancel and its budget are the kid's too.
// It returns false if t has been ended; the kid then has, too.
func (t *Task) adoptKid(kid *Task) bool {
	t.joinTreeInTurn()
	kid.placeBelow(t)
	if ps := t.ext.Load(); ps != nil {
		kid.inheritBudget(ps)
	}
	kid.markEarly(isSole)
	return t.linkKid(kid)
}

// linkKid puts kid, which is marked as sole, among the kids of t.
func (t *Task) linkKid(kid *Task) bool {
	none := t.kids.Load()
	if none != nil && none != noKids || !t.kids.CompareAndSwap(none, kid) {
		kid.once.And(^isSole)
		mu := t.familyLock()
		mu.Lock()
		t.linkKidsFirst(kid, kid)
		mu.Unlock()
	}
	// Looked at after the child is in: a cancel that came before it missed it.
	if err := t.endCause(); err != nil {
		kid.cancel(err)
		return false
	}
	return true
}

// linkKidsFirst puts those from kid to last before the other kids of t. With family held.
func (t *Task) linkKidsFirst(kid, last *Task) {
	for {
		first := t.kids.Load()
		last.kin.next = nil
		if first != nil && first != noKids {
			last.kin.next = first
		}
		if !t.kids.CompareAndSwap(first, kid) {
			continue // a sole one has come or gone
		}
		if last.kin.next != nil {
			first.kin.prev = last
		}
		return
	}
}

// hasNoKids reports whether t has no kids now.
func (t *Task) hasNoKids() bool {
	first := t.kids.Load()
	return first == nil || first == noKids
}

// becomeChildOf is adopt for a child of Start. As long as it runs its first step,
// which is a part of its parent's turn, it need not be found: it looks for
// its parent's end when it joins. Most children end before.
func (t *Task) becomeChildOf(parent *Task) bool {
	if parent.lifetime == child {
		parent.joinTreeInTurn()
	}
	t.placeBelow(parent)
	// That of a Cleanup or a hook is not the worker's.
	t.inc = parent.inc
	if o := parent.asOrigin(); t.kin.origin.Load() != o { // a member of a group has it
		t.kin.setOrigin(o)
	}
	if ps := parent.ext.Load(); ps != nil {
		t.inheritBudget(ps)
	}
	if err := parent.endCause(); err != nil {
		t.cancel(err)
		return false
	}
	return true
}

// bequeathMessage makes again, which gets t's message anew, a kid of t: whoever ends
// t ends it, and it has what is left of t's budget.
func (t *Task) bequeathMessage(again *Task) {
	again.placeBelow(t)
	if s := t.ext.Load(); s != nil {
		again.inheritBudget(s)
	}
	mu := t.familyLock()
	mu.Lock()
	t.linkKidsFirst(again, again)
	mu.Unlock()
}

// isCut reports whether the future of the task's message has failed because
// somebody has ended it.
func (t *Task) isCut() bool {
	f := t.future()
	return f != nil && f.base().done.Load() && isCut(f.base().failedWith())
}

// isAgain reports whether another task has had the message of t, who is its kid.
func (t *Task) isAgain() bool {
	return t.earlierHandling() != nil
}

// joinTreeInTurn is joinTree in the middle of t's turn, before it makes a context or
// creates work of its own. If the turn has been taken over there is nothing to
// join: the task has left the tree.
func (t *Task) joinTreeInTurn() {
	if t.lifetime == child && !t.has(isJoined) && t.lt.Running() {
		t.lt.OnLoop(t.joinTree)
	}
}

// joinTree puts a child of Start among its parent's kids. In the loop's own
// state: a takeover takes it out.
func (t *Task) joinTree() {
	if t.lifetime == child && !t.has(isJoined) {
		t.once.Or(isJoined | isSole)
		t.holdOrigin()
		if p := t.parent(); p != nil { // else it is detached
			p.linkKid(t)
		}
	}
}

// inheritBudget takes over what is left of a parent's budget, and its values.
func (t *Task) inheritBudget(ps *scope) {
	if d := ps.deadline; d > 0 {
		if s := t.scope(); s.deadline == 0 || d < s.deadline {
			s.deadline = d // the parent's expiry reaches it
		}
	}
	if v := ps.inheritedByWork(); v != nil {
		t.scope().inheritValues(v)
	}
}

// expiresBy reports whether the budget of t, which may be nil, is over by then.
func (t *Task) expiresBy(when time.Duration) bool {
	if t == nil {
		return false
	}
	s := t.ext.Load()
	return s != nil && s.deadline > 0 && s.deadline <= when
}

// cancel ends the task: its future fails, its context ends, every await of
// it returns cause, and so with all work it has created. Any goroutine; the
// first cause counts. Users' callbacks are called on a goroutine of their own.
func (t *Task) cancel(cause error) {
	var later callbacks
	t.endTree(cause, true, &later)
	later.callElsewhere()
}

// endKeepingStash is cancel for a task whose incarnation has ended, or who is abandoned:
// its message, if that was stashed, waits for the next incarnation.
func (t *Task) endKeepingStash(cause error) {
	var later callbacks
	t.endTree(cause, false, &later)
	later.callElsewhere()
}

// endTree goes along a list, and not from task to kid: a tree can be deeper than
// a stack. Users' callbacks are added to later, for one goroutine.
func (t *Task) endTree(cause error, stashed bool, later *callbacks) {
	type ending struct {
		*Task
		now bool // it had not been ended before
	}
	var few [4]ending
	all := append(few[:0], ending{t, false})
	for i := 0; i < len(all); i++ {
		t := all[i].Task
		now := t.endAlone(cause, later)
		all[i].now = now
		// Looked at when its future has failed: handBack marks it last.
		stashed := (stashed || i > 0) && t.has(isStashed)
		for _, k := range t.listKids() {
			if k.isAgain() && stashed || !k.isAgain() && now {
				all = append(all, ending{k, false})
			}
		}
	}
	for _, e := range slices.Backward(all) { // kids first: who goes on finds that they have ended
		switch t := e.Task; {
		case !e.now:
		case t.lifetime == carrier:
			t.noteEnded()
			if t.has(isAtDoor) && t.isCut() {
				n := &node{to: userCallback(t.tellDoor)} // it may be the user's network
				later.append(callbacks{n, n})
			}
		case t.lifetime == aside:
			t.noteEnded()
		default:
			t.loopTask().WakeNow()
		}
	}
}

// endAlone ends the task alone, and does not wake it. It reports false if it had
// been ended before.
func (t *Task) endAlone(cause error, later *callbacks) bool {
	s := t.scope()
	note := &endNote{why: cause}
	if sys := t.system(); sys != nil {
		note.at = sys.pool.Now()
	}
	if !s.cause.CompareAndSwap(nil, note) {
		return false
	}
	t.tellCause(cause, later)
	s.endContext(cause)
	return true
}

// endWithIncarnation is end for a task whose incarnation has ended: what has no scope
// and no kids need not be told the cause, which it has from there. Stopping
// many suspended tasks would otherwise begin with making a scope for each.
func (t *Task) endWithIncarnation(cause error, later *callbacks) {
	if t.ext.Load() != nil || t.kids.Load() != nil {
		t.endTree(cause, false, later)
		return
	}
	t.tellCause(cause, later)
	t.loopTask().WakeNow()
}

// listKids returns the kids that it has now.
func (t *Task) listKids() (all []*Task) {
	if t.hasNoKids() {
		return nil
	}
	mu := t.familyLock()
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

// noteEnded is called when the task has ended: it leaves the tree, at the latest
// when the last of its kids has.
func (t *Task) noteEnded() {
	s := t.ext.Load()
	if s != nil && observe.Observed() {
		t.endWatched(s)
	}
	if s != nil && s.endContext(context.Canceled) && t.inc != nil {
		t.inc.forgetContext(t)
	}
	if t.kids.Load() == nil && t.lifetime <= carrier { // nobody can give it kids: its code is over, and a carrier has none
		if t.lifetime < carrier || t.once.Or(isEnded|hasLeftTree)&isEnded == 0 { // else somebody else knows of it, and ends it
			t.leaveTree()
		}
		return
	}
	t.putInClock() // for its kids' sake
	// The last kid to go looks for isEnded after it has gone: one of the two
	// finds that both are true.
	switch {
	case !t.firstTime(isEnded):
	case t.hasNoKids():
		if t.firstTime(hasLeftTree) {
			t.leaveTree()
		}
	case !t.mustStay(s) && t.firstTime(hasLeftTree):
		t.passKidsToParent()
		t.leaveTree()
	}
}

// mustStay reports whether somebody who knows only t may yet end it although it
// is over. It then stays in the tree, to pass that on to its kids.
func (t *Task) mustStay(s *scope) bool {
	switch f := t.future(); {
	case t.lifetime == cleanup: // the end of its worker
		return true
	case t.has(isStashed): // its asker, for the sake of whoever has the message now
		return !t.isAgain() // of that one; those between leave
	case f != nil && !f.base().done.Load(), f == nil && t.asker() != nil && !t.has(isAnswered): // its asker: a kid is to answer
		return true
	case s == nil:
		return false
	case s.gone.Load() != nil, // the clock
		s.endsAtStop(): // the stop event
		return true
	}
	ctx := t.boundTo()
	if ctx == nil {
		return false
	}
	for _, k := range t.listKids() {
		if !same(k.boundTo(), ctx) {
			return true
		}
	}
	return false // they hear of its end themselves
}

// passKidsToParent makes the kids of t, which is over, those of its parent.
func (t *Task) passKidsToParent() {
	for {
		p := t.parent()
		unlock := lockFamilies(t, p)
		if t.parent() != p { // which has left t itself to another meanwhile
			unlock()
			continue
		}
		first := t.kids.Swap(noKids)
		if first == noKids {
			unlock()
			return
		}
		last := first
		for k := first; k != nil; k = k.kin.next {
			k.once.And(^isSole)
			k.kin.parent.Store(p)
			last = k
		}
		if p != nil {
			p.linkKidsFirst(first, last)
		} else {
			for k := first; k != nil; {
				next := k.kin.next
				k.kin.prev, k.kin.next = nil, nil
				k = next
			}
		}
		unlock()
		if p != nil && p.isCanceled() { // which may not have found them
			for _, k := range p.listKids() {
				if !k.isAgain() || k.isCut() {
					k.cancel(p.endCause())
				}
			}
		}
		return
	}
}

// leaveTree takes a task that is over, and has no kids, out of the tree, and those
// that have only waited for it.
func (t *Task) leaveTree() {
	for t != nil {
		s := t.ext.Load()
		if t.lifetime != carrier && (t.lt.Lost() || t.turn&isDecided == 0) && t.answerUnanswered() {
			return // and ends with its creator until it is answered: see leaveOpen
		}
		if s != nil {
			t.releaseScope(s)
		}
		if s != nil || !t.hasLetGo() {
			t.noteSpendable()
		}
		if t.kin == nil { // it was nobody's
			return
		}
		if t.kin.origin.Load() != nil {
			t.unholdOrigin()
		}
		t = t.leaveParent()
	}
}

// leaveParent takes a task that was left out of its parent's kids. It returns the
// parent if that has to leave now.
func (t *Task) leaveParent() *Task {
	if t.lifetime == child && !t.has(isJoined) { // nobody else can know of it, but for who looks at it
		t.kin.parent.Store(nil)
		return nil
	}
	for {
		p := t.parent()
		if p == nil {
			return nil
		}
		if !t.has(isSole) || !p.kids.CompareAndSwap(t, noKids) {
			mu := p.familyLock()
			mu.Lock()
			if t.parent() != p { // which has left it to another meanwhile
				mu.Unlock()
				continue
			}
			p.removeKid(t)
			last := p.leavesTreeNext() // before a group's node is given another one
			mu.Unlock()
			t.kin.parent.Store(nil)
			return last
		}
		t.kin.parent.Store(nil)
		return p.leavesTreeNext()
	}
}

// leavesTreeNext returns the task if it has only waited for its last kid to leave.
func (t *Task) leavesTreeNext() *Task {
	if t.has(isEnded) && t.hasNoKids() && t.firstTime(hasLeftTree) {
		return t
	}
	return nil
}

// removeKid takes kid from the list. With family held.
func (t *Task) removeKid(kid *Task) {
	k := kid.kin
	switch {
	case k.prev != nil:
		k.prev.kin.next = k.next
	case k.next != nil:
		t.kids.Store(k.next)
	default:
		t.kids.Store(noKids)
	}
	if k.next != nil {
		k.next.kin.prev = k.prev
	}
	k.prev, k.next = nil, nil
}
