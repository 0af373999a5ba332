// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"context"
	"errors"
	"sync"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/messages"
)

// ErrClosed is the failure of a Put into a Queue that is closed, and of a Get
// from one that is closed and empty.
var ErrClosed = errors.New("loopsync: the queue is closed")

func init() { messages.RegisterError("loopsync.queue_closed", ErrClosed) }

// Queue passes items from task to task, first in, first out (asyncio.Queue), or in the
// order of a priority. The zero value has no bound; [NewQueue] and [NewPriorityQueue]
// make others. It must not be copied after its first use.
//
// Plain goroutines put and get by [Queue.PutContext] and [Queue.GetContext], and stand
// in the same lines.
type Queue[T any] struct {
	owner      ownerLoop
	mu         sync.Mutex
	size       int // most items; 0: no bound
	items      storage[T]
	getters    line // who was served is sure of an item, which is still in items
	putters    line // who was served is sure of a place
	closed     bool
	unfinished int
	joiners    line
}

// NewQueue returns a Queue that holds at most size items; with a size of zero
// or less it has no bound.
func NewQueue[T any](size int) *Queue[T] { return &Queue[T]{size: max(size, 0)} }

// NewPriorityQueue is NewQueue, but a Get takes the least item, by less, of those that
// are in the Queue when its turn has come (asyncio.PriorityQueue). Of equal ones it takes
// the one that was put first. less must not use the Queue.
func NewPriorityQueue[T any](size int, less func(a, b T) bool) *Queue[T] {
	if less == nil {
		panic(&actors.OptionError{Of: "loopsync: NewPriorityQueue", Field: "less", Why: "is nil"})
	}
	q := NewQueue[T](size)
	q.items.heap = &heap[T]{less: less}
	return q
}

// Put adds v, and waits for a place first if the Queue is full. On an error it
// has not added it: the reason why the task was ended, or [ErrClosed].
func (q *Queue[T]) Put(t *actors.Task, v T) error {
	const what = "Queue.Put"
	me := q.owner.checkCaller(t, what)
	if me.Ended != nil {
		return me.Ended
	}
	return q.putOrWait(caller{what: what, visit: me}, v)
}

// PutContext is Put for plain goroutines. It waits until ctx ends, and returns the reason
// then, [context.Cause] of ctx; but if there is a place at once, it takes that even if ctx
// has ended. In a task it would block the worker: called with a task's context, it panics.
func (q *Queue[T]) PutContext(ctx context.Context, v T) error {
	return q.putOrWait(plainCaller(ctx, "Queue.PutContext", "Put"), v)
}

func (q *Queue[T]) putOrWait(who caller, v T) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case q.putters.isEmpty() && q.hasRoom():
		q.addAndServe(v)
		return nil
	}
	return q.putInLine(who, v)
}

// putInLine is apart, because only here v outlives the call. With mu held.
func (q *Queue[T]) putInLine(who caller, v T) error {
	w := q.putters.joinLine(who.visit, who.newSpot())
	if who.isPlain() {
		w.take = func() { q.addItem(v) }
	}
	q.serveLines()
	q.mu.Unlock()
	err := who.waitAt(w.spot)
	q.mu.Lock()
	if w.isTaken() {
		return nil
	}
	defer q.serveLines() // its place, if it has not taken it
	q.putters.leaveLine(w)
	switch {
	case err != nil:
		return err
	case q.closed:
		return ErrClosed
	}
	q.addItem(v)
	return nil
}

// Get takes the next item, and waits for one if the Queue is empty. On an
// error it has taken none: the reason why the task was ended, or [ErrClosed].
func (q *Queue[T]) Get(t *actors.Task) (v T, err error) {
	const what = "Queue.Get"
	me := q.owner.checkCaller(t, what)
	if me.Ended != nil {
		return v, me.Ended
	}
	return q.getOrWait(caller{what: what, visit: me})
}

// GetContext is Get for plain goroutines. It waits until ctx ends, and returns the reason
// then, [context.Cause] of ctx; but if there is an item at once, it takes that even if ctx
// has ended. In a task it would block the worker: called with a task's context, it panics.
func (q *Queue[T]) GetContext(ctx context.Context) (T, error) {
	return q.getOrWait(plainCaller(ctx, "Queue.GetContext", "Get"))
}

func (q *Queue[T]) getOrWait(who caller) (v T, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.getters.isEmpty() && q.items.n() > 0:
		return q.takeAndServe(), nil
	case q.closed && q.items.n() == q.getters.served:
		return v, ErrClosed
	}
	return q.getInLine(who)
}

// getInLine is apart as putInLine is.
func (q *Queue[T]) getInLine(who caller) (v T, err error) {
	w := q.getters.joinLine(who.visit, who.newSpot())
	if who.isPlain() {
		w.take = func() { v = q.items.pop() }
	}
	q.serveLines()
	q.mu.Unlock()
	err = who.waitAt(w.spot)
	q.mu.Lock()
	if w.isTaken() {
		return v, nil
	}
	defer q.serveLines() // its item, if it was sure of one
	served := q.getters.leaveLine(w)
	switch {
	case err != nil:
		return v, err
	case !served || q.items.n() == 0:
		return v, ErrClosed
	}
	return q.items.pop(), nil
}

// TryPut adds v if there is a place and nobody is in line for one, and reports
// whether it did; it does not if the Queue is closed.
func (q *Queue[T]) TryPut(v T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || !q.putters.isEmpty() || !q.hasRoom() {
		return false
	}
	q.addAndServe(v)
	return true
}

// TryGet takes the next item if there is one and nobody is in line for it, and
// reports whether it did.
func (q *Queue[T]) TryGet() (v T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.getters.isEmpty() || q.items.n() == 0 {
		return v, false
	}
	return q.takeAndServe(), true
}

// Len is the number of items in the Queue.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items.n()
}

// Close lets nothing more in: each Put fails with [ErrClosed], also one that
// waits. Get goes on until the Queue is empty, and then fails with it, also
// one that waits (asyncio.Queue.shutdown).
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.serveLines()
}

// CloseNow is Close, and returns what was still in the Queue: a Get fails at
// once. The items count as done (asyncio.Queue.shutdown with immediate).
func (q *Queue[T]) CloseNow() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	var left []T
	for q.items.n() > 0 {
		left = append(left, q.items.pop())
	}
	q.closed = true
	q.serveLines()
	q.noteItemsDone(len(left))
	return left
}

// TaskDone says that the work on an item that was got is done; see
// [Queue.Join]. It panics if it is called more often than items were put.
func (q *Queue[T]) TaskDone() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.unfinished == 0 {
		panic("loopsync: Queue.TaskDone called more often than items were put")
	}
	q.noteItemsDone(1)
}

// Join waits until TaskDone has been called for each item that was put. The
// error is the reason why the task was ended.
func (q *Queue[T]) Join(t *actors.Task) error {
	const what = "Queue.Join"
	me := q.owner.checkCaller(t, what)
	if me.Ended != nil {
		return me.Ended
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.unfinished == 0 {
		return nil
	}
	w := q.joiners.joinLine(me, me.Task.NewSpot(nil))
	q.mu.Unlock()
	err := me.Caller.Wait(what, w.spot)
	q.mu.Lock()
	q.joiners.leaveLine(w)
	return err
}

func (q *Queue[T]) hasRoom() bool { return q.size == 0 || q.items.n()+q.putters.served < q.size }

func (q *Queue[T]) addAndServe(v T) {
	q.addItem(v)
	q.serveLines()
}

func (q *Queue[T]) addItem(v T) {
	q.items.push(v)
	q.unfinished++
}

func (q *Queue[T]) takeAndServe() T {
	defer q.serveLines() // also if the user's less panics: then somebody else may get the item
	return q.items.pop()
}

// serveLines serves those in line with what there is, and sends those away who wait
// for nothing.
func (q *Queue[T]) serveLines() {
	for more := true; more; {
		for q.items.n() > q.getters.served && q.getters.serveNext() != nil {
		}
		more = q.items.n() > 0 && q.getters.takeFirst()
		if !q.closed {
			for q.hasRoom() && q.putters.serveNext() != nil {
			}
			more = q.putters.takeFirst() || more
		}
	}
	if !q.closed {
		return
	}
	q.putters.dismissAll()
	if q.items.n() == 0 {
		q.getters.dismissAll()
	} else {
		q.getters.dismissUnserved()
	}
}

func (q *Queue[T]) noteItemsDone(n int) {
	if q.unfinished -= n; q.unfinished == 0 {
		q.joiners.dismissUnserved()
	}
}
