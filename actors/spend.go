// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"runtime"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
)

// The future of a submission, or of a plain request, is a part of its task: an
// allocation less. Who keeps the future keeps the task, so that has to let go of what
// it does not need any more: its message or function, and what it has from its
// options, its context and who asks.
//
// That is done when the task is through: it and its kids have ended, and its future
// is done. Nobody looks at these things then, but for holders: work that it has
// started, whose message its message is, and which may outlive it; its worker, if it
// fails of the task; and its own function, if that was abandoned. The last one to go
// spends the task. Its name is read by anybody at any time, so that stays: of a
// message the type, of a function where it is.

// holdData keeps what the task has. On its loop, before it is through, or by a holder.
func (t *Task) holdData() {
	for {
		s := t.once.Load()
		if s >= ^(holder - 1) { // as many as can be counted: it is never spent
			return
		}
		if t.once.CompareAndSwap(s, s+holder) {
			return
		}
	}
}

// unholdData takes hold back.
func (t *Task) unholdData() {
	for {
		s := t.once.Load()
		if s >= ^(holder - 1) {
			return
		}
		if t.once.CompareAndSwap(s, s-holder) {
			if s-holder < holder && s&isSpendable != 0 {
				t.spendData()
			}
			return
		}
	}
}

// hasLetGo reports whether a task without a scope has nothing left to let go of:
// see completeFunction and spendEarly. It may only answer false although it has.
func (t *Task) hasLetGo() bool {
	s := t.once.Load()
	return s < holder && (s&isFunction != 0 && t.turn&isDecided != 0 || t.isSpent())
}

// noteSpendable is called when the task has left the tree.
func (t *Task) noteSpendable() {
	s := t.once.Load()
	switch {
	case t.lifetime != offered && t.lifetime != child || s&(isFunction|isPosted) == 0: // no future keeps it
	case s < holder && t.kids.Load() == nil, // nobody else has ever known of it
		t.once.Or(isSpendable) < holder:
		t.spendData()
	}
}

// spendEarly lets go of the message if the task is sure to be through as soon as its
// future is done. Afterwards the processor of whoever waits has the memory: 12 ns of a
// request (bench: burst/request).
func (t *Task) spendEarly() {
	s := t.once.Load()
	if t.lifetime == offered && s&isPosted != 0 && s < holder && !t.mb.hooked && t.kids.Load() == nil && t.workerFailure() == nil {
		if _, auto := t.msg.(actor.AutoRespond); !auto { // else its answer is yet to come
			*dataOf(&t.msg) = unsafe.Pointer(&spent)
		}
	}
}

// holdOrigin lets t, who joins the tree, hold the task whose message it works on.
func (t *Task) holdOrigin() {
	if o := t.kin.origin.Load(); o != nil && o.lifetime != grouping { // a group's node does it for all in it
		o.holdData()
	}
}

// unholdOrigin takes that back, when t has left the tree.
func (t *Task) unholdOrigin() {
	if t.lt.Lost() { // who was abandoned may still ask for it
		return
	}
	o := t.kin.origin.Load()
	if o.lifetime == grouping {
		return
	}
	if t.lifetime == grouping || t.has(isJoined) {
		o.unholdData()
	}
	if t.lifetime == child {
		t.kin.origin.Store(nil) // or its future would keep that
	}
}

// noteFunctionBack is called twice if the task is abandoned, in either order: on its loop, and
// when its function returns after all. In between the function may look at everything.
func (t *Task) noteFunctionBack(abandoned bool) {
	if abandoned {
		t.holdData()
	}
	if !t.firstTime(isFunctionBack) {
		t.unholdData()
	}
}

// spent is what the message of a task that was spent points to.
var spent byte

// dataOf is the second word of an interface. The first is its type.
func dataOf(p *any) *unsafe.Pointer { return &(*[2]unsafe.Pointer)(unsafe.Pointer(p))[1] }

func (t *Task) isSpent() bool { return *dataOf(&t.msg) == unsafe.Pointer(&spent) }

// spendData lets go of all that the task has.
func (t *Task) spendData() {
	if t.once.Load()&isFunction == 0 {
		if !t.isSpent() {
			*dataOf(&t.msg) = unsafe.Pointer(&spent) // see typeIn
		}
	} else if t.turn&isDecided == 0 { // it may not have returned: see completeFunction
		mu := &t.future().base().mu
		mu.Lock()
		if codeIn(&t.msg) == nil {
			spendFunction(&t.msg)
		}
		mu.Unlock()
	}
	if s := t.ext.Load(); s != nil {
		s.spendAllButName()
	}
}

// typeIn is the name of the type of *p, whatever becomes of its second word meanwhile.
func typeIn(p *any) string {
	var m any
	*(*unsafe.Pointer)(unsafe.Pointer(&m)) = *(*unsafe.Pointer)(unsafe.Pointer(p))
	return typeOf(m)
}

// isSame reports whether both are the same value in the same place.
func isSame(p, q *any) bool {
	return *(*[2]unsafe.Pointer)(unsafe.Pointer(p)) == *(*[2]unsafe.Pointer)(unsafe.Pointer(q))
}

// spendFunction leaves of *fn, a function, where its code is, without what it has
// captured.
func spendFunction(fn *any) {
	data := dataOf(fn)
	*data = *(*unsafe.Pointer)(*data)
}

// codeIn is the code of a function that was spent, or nil. The data of another one is
// no code.
func codeIn(fn *any) *runtime.Func {
	pc := uintptr(*dataOf(fn))
	if f := runtime.FuncForPC(pc); f != nil && f.Entry() == pc {
		return f
	}
	return nil
}
