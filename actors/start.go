// SPDX-License-Identifier: Apache-2.0

package actors

import "github.com/protoloop/protoloop/internal/loop"

// started is a task that Start has made of a function for a task with a budget or a
// context, which it inherits. Its future has memory of its own: whoever keeps that, as a
// receipt, does not keep the task and what it has inherited. It is an allocation beside
// several; a child that inherits nothing is a submission, which saves it: a seventh of
// a Start.
type started[T any] struct {
	work
	fut *Future[T]
}

func (u *started[T]) label() string     { return labelOfFunction(&u.fut.mu, &u.msg) }
func (u *started[T]) labelHeld() string { return labelOfFunctionHeld(&u.msg) }
func (u *started[T]) future() completer { return u.fut }

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
			started[T]
			kin  kinship
			room contextRoom
		}{}
		u, x.started.kin = &x.started, &x.kin
		u.useContextRoom(&x.room)
	} else {
		x := &struct {
			started[T]
			room room
		}{}
		u = &x.started
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
	return start[T](t, submitted[T](fn), opts)
}

// start runs fn, a submitted[T] or a submittedErr.
func start[T any](t *Task, fn any, opts []CallOption) *Future[T] {
	if g := groupIn(opts); g != nil {
		return startInGroup[T](t, g, fn, opts)
	}
	checkOptions(opts)
	if needs := needOf(t, opts); needs != needNothing {
		u := newStarted[T](fn, needs)
		u.start(t, opts)
		return u.fut
	}
	u := newSubmission[T](t, fn, needNothing)
	u.start(t, nil)
	return &u.fut
}

// start is Start of a task that nobody else knows.
func (w *work) start(from *Task, opts []CallOption) {
	t := &w.Task
	t.attached, t.lifetime = from.attached, child
	if t.bindCall(from, opts, 0) && !from.loopTask().Start(&t.lt) {
		t.cancel(from.abandonedError())
		if t.lt.Fresh() { // else whoever took the turn has ended it with the others
			t.noteEnded()
		}
	}
	from.mb.enterAgain(from)
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
