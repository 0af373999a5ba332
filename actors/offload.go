// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/protoloop/protoloop/internal/callerctx"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/observe"
)

// Offload runs fn, which may block, on a goroutine outside of the worker and
// returns its future at once (asyncio.to_thread). Of one worker at most
// Options.MaxOffloads run at a time, and the others wait, first come first
// served; workers do not wait for each other's, unless they offload [Through]
// the same Limiter. fn must not use the task or the worker's state; its context
// ends with the task, and has the [Timeout] and the [WithContext] of the call.
//
// An fn that does not return when its context ends goes on after its future
// has failed; a stopping worker waits for it as long as for a task, and then
// abandons and names it.
func Offload[T any](t *Task, fn func(ctx context.Context) (T, error), opts ...CallOption) *Future[T] {
	t.checkCurrent("Offload")
	if fn == nil {
		panic("actors: Offload called with a nil function")
	}
	return offload[T](t, fn, opts)
}

// offload runs fn, a func(context.Context) (T, error) or a func(context.Context) error.
func offload[T any](t *Task, fn any, opts []CallOption) *Future[T] {
	u := &offloaded[T]{fn: fn, fut: new(Future[T])}
	u.lt.Body = u
	u.attached, u.inc = t.attached, t.inc
	u.lifetime = aside
	u.fut.ownApart(&u.Task)
	l := t.inc.offloadLimiter(t.mb)
	for i := range opts {
		if opts[i].set == setLimiter {
			l = opts[i].limiter
		}
	}
	u.makeContextRoom(opts)
	if !u.bindCall(t, opts, 0) {
		return u.fut
	}
	ctx := callerctx.With(u.Context(), (*callingOffload)(t.mb)) // not a task: Wait is welcome there
	mb := t.mb
	mb.offloaded.begin(&u.outside, &u.Task)
	done := func() {
		if mb.offloaded.end(&u.outside) {
			mb.loop.PostControl(pendingMayBeZero{})
		}
	}
	// The others may be long in letting it begin: if it is ended before,
	// nobody waits for it.
	u.ended.f = func() {
		if u.begun.CompareAndSwap(false, true) {
			l.dropQueued(&u.limited)
			done()
		}
	}
	u.limited.run = func() {
		if u.begun.CompareAndSwap(false, true) {
			defer done() // also after a Goexit
			u.run(ctx)
		}
	}
	u.limiter = l
	u.fut.addCallback(&u.ended)
	l.startOrQueue(mb, &u.limited)
	return u.fut
}

// offloadLimiter is for what is offloaded without a Limiter. Each incarnation
// has its own: functions of an earlier one that were abandoned, which may hang
// for good, take no places from it.
func (inc *incarnation) offloadLimiter(mb *mailbox) *Limiter {
	o := inc.outstanding()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.offloads == nil {
		o.offloads = &Limiter{name: "MaxOffloads", size: mb.opts.MaxOffloads}
	}
	return o.offloads
}

// elsewhere tracks the functions that run for a worker outside of it, or wait for
// a place to. Any goroutine. Most workers have none.
type elsewhere struct{ made atomic.Pointer[outsiders] }

// outsiders are those of one worker.
type outsiders struct {
	mu          sync.Mutex
	count       int
	first, last *outside     // linked, in the order of their begin
	placeless   atomic.Int32 // those that a Limiter has no place for yet
}

func (e *elsewhere) all() *outsiders {
	if all := e.made.Load(); all != nil {
		return all
	}
	e.made.CompareAndSwap(nil, new(outsiders))
	return e.made.Load()
}

// noteWaiting counts n more, or fewer, that a Limiter has no place for yet.
func (e *elsewhere) noteWaiting(n int32) { e.all().placeless.Add(n) }

// waiting is how many these are.
func (e *elsewhere) waiting() int {
	if all := e.made.Load(); all != nil {
		return int(all.placeless.Load())
	}
	return 0
}

// outside is a function's place there. Guarded by the outsiders' mu.
type outside struct {
	task       *Task // nil: it is not there, or not any more
	prev, next *outside
}

func (e *elsewhere) n() int {
	all := e.made.Load()
	if all == nil {
		return 0
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.count
}

func (e *elsewhere) begin(o *outside, t *Task) { e.all().begin(o, t) }

// end reports whether it was the last of those that are waited for. One that was
// abandoned is none: it may return in a later incarnation.
func (e *elsewhere) end(o *outside) (last bool) { return e.all().end(o) }

// abandon returns what runs, and waits for it no longer.
func (e *elsewhere) abandon() (left []*Task) {
	if all := e.made.Load(); all != nil {
		return all.abandon()
	}
	return nil
}

func (e *outsiders) begin(o *outside, t *Task) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o.task, o.prev = t, e.last
	if e.last == nil {
		e.first = o
	} else {
		e.last.next = o
	}
	e.last = o
	e.count++
}

func (e *outsiders) end(o *outside) (last bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.task == nil {
		return false
	}
	if o.prev == nil {
		e.first = o.next
	} else {
		o.prev.next = o.next
	}
	if o.next == nil {
		e.last = o.prev
	} else {
		o.next.prev = o.prev
	}
	*o = outside{}
	e.count--
	return e.count == 0
}

func (e *outsiders) abandon() (left []*Task) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for o := e.first; o != nil; {
		next := o.next
		left = append(left, o.task)
		*o = outside{}
		o = next
	}
	e.first, e.last, e.count = nil, nil, 0
	return left
}

// offloaded is the carrier of an Offload.
type offloaded[T any] struct {
	work
	fut   *Future[T]
	fn    any         // see offload
	ended node        // of fut
	begun atomic.Bool // … or it never will

	outside outside
	limiter *Limiter
	limited limited
}

// waitsForPlace reports whether it has not begun, for lack of a place.
func (u *offloaded[T]) waitsForPlace() bool {
	return u.limiter != nil && u.limiter.isQueued(&u.limited)
}

func (u *offloaded[T]) label() string     { return "offload " + funcName(u.fn) }
func (u *offloaded[T]) future() completer { return u.fut }

// Run is never called: the task is not one of the loop.
func (u *offloaded[T]) Run(*loop.Task) {}

func (u *offloaded[T]) run(ctx context.Context) {
	if u.fut.done.Load() { // ended before its turn came
		return
	}
	if observe.On.Load() != 0 {
		ctx = u.beginOffloadWatched(ctx)
	}
	err := ErrGoexit
	var v T
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
		if err != nil {
			u.endIfExpired(err)
		}
		if !u.fut.completeHandled(v, err) && err != nil {
			u.logLate(err)
		}
		u.noteEnded()
	}()
	switch fn := u.fn.(type) {
	case func(ctx context.Context) (T, error):
		v, err = fn(ctx)
	case func(ctx context.Context) error:
		err = fn(ctx)
	}
	if err != nil {
		err = returned(err)
	}
}
