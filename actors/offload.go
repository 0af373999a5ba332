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
		switch opts[i].set {
		case setLimiter:
			l = opts[i].limiter
		case setIdempotent:
			panic(misplacedIdempotent())
		}
	}
	u.makeContextRoom(opts)
	if !u.bindCall(t, opts, 0) {
		return u.fut
	}
	ctx := callerctx.With(u.Context(), (*callingOffload)(t.mb)) // not a task: Wait is welcome there
	mb := t.mb
	mb.offloaded.addFunction(&u.entry, &u.Task)
	done := func() {
		if mb.offloaded.removeFunction(&u.entry) {
			mb.loop.PostControl(pendingMayBeZero{})
		}
	}
	// The others may be long in letting it begin: if it is ended before,
	// nobody waits for it.
	u.ended.to = callback(func() {
		if u.begun.CompareAndSwap(false, true) {
			l.dropQueued(&u.limited)
			done()
		}
	})
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
	o := inc.needOutstanding()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.offloads == nil {
		o.offloads = &Limiter{name: "MaxOffloads", size: mb.opts.MaxOffloads}
	}
	return o.offloads
}

// offloadedFunctions tracks the functions that run for a worker outside of it, or wait for
// a place to. Any goroutine. Most workers have none.
type offloadedFunctions struct{ made atomic.Pointer[offloadList] }

// offloadList has those of one worker.
type offloadList struct {
	mu          sync.Mutex
	count       int
	first, last *offloadEntry // linked, in the order of their begin
	placeless   atomic.Int32  // those that a Limiter has no place for yet
}

// offloadEntry is a function's place in the list. Guarded by its mu.
type offloadEntry struct {
	task       *Task // nil: it is not there, or not any more
	prev, next *offloadEntry
}

// needList is for writing.
func (f *offloadedFunctions) needList() *offloadList {
	if l := f.made.Load(); l != nil {
		return l
	}
	f.made.CompareAndSwap(nil, new(offloadList))
	return f.made.Load()
}

// noteWaiting counts n more, or fewer, that a Limiter has no place for yet.
func (f *offloadedFunctions) noteWaiting(n int32) { f.needList().placeless.Add(n) }

// countWaiting is how many these are.
func (f *offloadedFunctions) countWaiting() int {
	if l := f.made.Load(); l != nil {
		return int(l.placeless.Load())
	}
	return 0
}

// countFunctions is how many run or wait.
func (f *offloadedFunctions) countFunctions() int {
	l := f.made.Load()
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (f *offloadedFunctions) addFunction(e *offloadEntry, t *Task) {
	l := f.needList()
	l.mu.Lock()
	defer l.mu.Unlock()
	e.task, e.prev = t, l.last
	if l.last == nil {
		l.first = e
	} else {
		l.last.next = e
	}
	l.last = e
	l.count++
}

// removeFunction reports whether it was the last of those that are waited for. One that was
// abandoned is none: it may return in a later incarnation.
func (f *offloadedFunctions) removeFunction(e *offloadEntry) (last bool) {
	l := f.needList()
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.task == nil {
		return false
	}
	if e.prev == nil {
		l.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	*e = offloadEntry{}
	l.count--
	return l.count == 0
}

// abandonFunctions returns what runs or waits, and waits for it no longer.
func (f *offloadedFunctions) abandonFunctions() (left []*Task) {
	l := f.made.Load()
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.first; e != nil; {
		next := e.next
		left = append(left, e.task)
		*e = offloadEntry{}
		e = next
	}
	l.first, l.last, l.count = nil, nil, 0
	return left
}

// offloaded is the carrier of an Offload.
type offloaded[T any] struct {
	work
	fut   *Future[T]
	fn    any         // see offload
	ended node        // of fut
	begun atomic.Bool // … or it never will

	entry   offloadEntry
	limiter *Limiter
	limited limited
}

// limiterUse is the limiter that it counts for, and whether that has no place for it.
func (u *offloaded[T]) limiterUse() (l *Limiter, waits bool) { return u.limiter, u.waitsForPlace() }

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
