// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/observe"
)

// started is a task that Start has made of a function for a task with a budget or a
// context, which it inherits. Its future has memory of its own: whoever keeps that, as a
// receipt, does not keep the task and what it has inherited. It is an allocation beside
// several; a child that inherits nothing is a submission, which saves it: a seventh of
// a Start.
type started[T any] struct {
	work
	fut *Future[T]
}

func (u *started[T]) label() string      { return labelOfFunction(&u.fut.mu, &u.msg) }
func (u *started[T]) labelHeld() string  { return labelOfFunctionHeld(&u.msg) }
func (u *started[T]) codeEntry() uintptr { return codeOfFunction(&u.fut.mu, &u.msg) }
func (u *started[T]) future() completer  { return u.fut }

func (u *started[T]) Run(*loop.Task) {
	t := &u.Task
	if !t.beginTurn() {
		return
	}
	defer t.recoverPanic()
	var v T
	var err error
	if fn, ok := t.msg.(submitted[T]); ok { // see submission.Run
		v, err = fn(t)
	} else {
		err = t.msg.(submittedErr)(t)
	}
	if err != nil {
		err = returned(err)
		t.endIfExpired(err)
	}
	t.concludeFuture(u.fut.completeFunction(&u.msg, v, err), err)
}

// newStarted makes one, with what it needs in the same allocation.
func newStarted[T any](fn any, needs need) *started[T] {
	var u *started[T]
	if needs == needContext {
		x := &struct {
			task started[T]
			kin  kinship
			room contextRoom
		}{}
		u, x.task.kin = &x.task, &x.kin
		u.useContextRoom(&x.room)
	} else {
		x := &struct {
			task started[T]
			room room
		}{}
		u = &x.task
		u.useRoom(&x.room)
	}
	u.msg = fn
	u.markEarly(isFunction)
	u.lt.Body = u
	u.fut = new(Future[T])
	u.fut.ownApart(&u.Task)
	return u
}

// Start runs fn as another task of the same worker: at once, in the caller's
// turn, up to its first await, and from there on beside the caller. It is
// cancelled when the caller is, and outlives its return.
//
// While the worker stops, Start still works: it is how work in flight goes on.
//
// The caller must not have locked its thread with [runtime.LockOSThread], nor be
// a callback from C: the child would begin there, and the Go runtime ends the
// process, be it when another task goes on there later.
func Start[T any](t *Task, fn func(t *Task) (T, error), opts ...CallOption) *Future[T] {
	t.checkCurrent("Start")
	if fn == nil {
		panic("actors: Start called with a nil function")
	}
	f, child := newChild[T](t, submitted[T](fn), opts)
	if child != nil && !t.loopTask().Start(&child.lt) {
		child.endUnstarted(t)
	}
	t.mb.enterAgain(t)
	return f
}

// newChild makes the task that runs fn, a submitted[T] or a submittedErr. Start begins it itself: a return after a coroutine
// was switched costs more than others. child is nil if nothing is to begin any more.
func newChild[T any](t *Task, fn any, opts []CallOption) (f *Future[T], child *work) {
	if len(opts) > 0 {
		if g := groupIn(opts); g != nil {
			return startInGroup[T](t, g, fn, opts), nil
		}
		checkOptions(opts)
	}
	if needs := needOf(t, opts); needs != needNothing {
		u := newStarted[T](fn, needs)
		f, child = u.fut, &u.work
	} else {
		u := newSubmission[T](t, fn, needNothing)
		f, child = &u.fut, &u.work
	}
	if !child.bindToCreator(t, opts) {
		return f, nil
	}
	return f, child
}

// bindToCreator is bindCall for a task that from starts.
func (w *work) bindToCreator(from *Task, opts []CallOption) bool {
	w.attached, w.lifetime = from.attached, child
	if len(opts) > 0 || observe.Observed() {
		return w.bindCall(from, opts, 0)
	}
	if !w.becomeChildOf(from) { // as bindCall does it, two frames nearer: 1 % of burst/start
		w.endUnbegun(true)
		return false
	}
	return true
}

// endUnstarted is the end of a task that from, whose turn was taken over, could not start.
func (w *work) endUnstarted(from *Task) {
	w.cancel(from.abandonedError())
	if w.lt.Fresh() { // else whoever took the turn has ended it with the others
		w.noteEnded()
	}
}

// abandonedError is what a task whose turn was taken over gets for an answer, also
// in the moment before it is told.
func (t *Task) abandonedError() error {
	switch err := t.endCause(); {
	case err != nil:
		return err
	case t.mb.gate.Load() == gateOpen:
		return ErrRestarted
	}
	return ErrStopped
}
