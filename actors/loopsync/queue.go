// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"errors"
	"sync"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/messages"
)

// ErrClosed is the failure of a Put into a Queue that is closed, and of a Get
// from one that is closed and empty.
var ErrClosed = errors.New("loopsync: the queue is closed")

func init() { messages.RegisterError("loopsync.queue_closed", ErrClosed) }

// Queue passes items from task to task, first in, first out (asyncio.Queue).
// The zero value has no bound; [NewQueue] makes others. It must not be copied
// after its first use.
type Queue[T any] struct {
	home       home
	mu         sync.Mutex
	size       int // most items; 0: no bound
	items      fifo[T]
	getters    line // who was served is sure of an item, which is still in items
	putters    line // who was served is sure of a place
	closed     bool
	unfinished int
	joiners    line
}

// NewQueue returns a Queue that holds at most size items; with a size of zero
// or less it has no bound.
func NewQueue[T any](size int) *Queue[T] { return &Queue[T]{size: max(size, 0)} }

// Put adds v, and waits for a place first if the Queue is full. On an error it
// has not added it: the reason why the task was ended, or [ErrClosed].
func (q *Queue[T]) Put(t *actors.Task, v T) error {
	const what = "Queue.Put"
	me := q.home.enter(t, what)
	if me.Ended != nil {
		return me.Ended
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case q.putters.empty() && q.room():
		q.push(v)
		return nil
	}
	w := q.putters.join(me, me.Task.NewSpot(nil))
	q.hand()
	q.mu.Unlock()
	err := me.Caller.Wait(what, w.spot)
	q.mu.Lock()
	q.putters.leave(w)
	switch {
	case err != nil:
	case q.closed:
		err = ErrClosed
	default:
		q.push(v)
	}
	q.hand() // its place, if it has not taken it
	return err
}

// Get takes the first item, and waits for one if the Queue is empty. On an
// error it has taken none: the reason why the task was ended, or [ErrClosed].
func (q *Queue[T]) Get(t *actors.Task) (v T, err error) {
	const what = "Queue.Get"
	me := q.home.enter(t, what)
	if me.Ended != nil {
		return v, me.Ended
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.getters.empty() && q.items.n > 0:
		return q.pop(), nil
	case q.closed && q.items.n == q.getters.served:
		return v, ErrClosed
	}
	w := q.getters.join(me, me.Task.NewSpot(nil))
	q.hand()
	q.mu.Unlock()
	err = me.Caller.Wait(what, w.spot)
	q.mu.Lock()
	served := q.getters.leave(w)
	if err == nil && served && q.items.n > 0 {
		return q.pop(), nil
	}
	q.hand() // its item, if it was sure of one
	if err == nil {
		err = ErrClosed
	}
	return v, err
}

// TryPut adds v if there is a place and nobody is in line for one, and reports
// whether it did; it does not if the Queue is closed.
func (q *Queue[T]) TryPut(v T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || !q.putters.empty() || !q.room() {
		return false
	}
	q.push(v)
	return true
}

// TryGet takes the first item if there is one and nobody is in line for it, and
// reports whether it did.
func (q *Queue[T]) TryGet() (v T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.getters.empty() || q.items.n == 0 {
		return v, false
	}
	return q.pop(), true
}

// Len is the number of items in the Queue.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items.n
}

// Close lets nothing more in: each Put fails with [ErrClosed], also one that
// waits. Get goes on until the Queue is empty, and then fails with it, also
// one that waits (asyncio.Queue.shutdown).
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.hand()
}

// CloseNow is Close, and returns what was still in the Queue: a Get fails at
// once. The items count as done (asyncio.Queue.shutdown with immediate).
func (q *Queue[T]) CloseNow() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	var left []T
	for q.items.n > 0 {
		left = append(left, q.items.pop())
	}
	q.closed = true
	q.hand()
	q.finish(len(left))
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
	q.finish(1)
}

// Join waits until TaskDone has been called for each item that was put. The
// error is the reason why the task was ended.
func (q *Queue[T]) Join(t *actors.Task) error {
	const what = "Queue.Join"
	me := q.home.enter(t, what)
	if me.Ended != nil {
		return me.Ended
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.unfinished == 0 {
		return nil
	}
	w := q.joiners.join(me, me.Task.NewSpot(nil))
	q.mu.Unlock()
	err := me.Caller.Wait(what, w.spot)
	q.mu.Lock()
	q.joiners.leave(w)
	return err
}

func (q *Queue[T]) room() bool { return q.size == 0 || q.items.n+q.putters.served < q.size }

func (q *Queue[T]) push(v T) {
	q.items.push(v)
	q.unfinished++
	q.hand()
}

func (q *Queue[T]) pop() T {
	v := q.items.pop()
	q.hand()
	return v
}

// hand serves those in line with what there is, and sends those away who wait
// for nothing.
func (q *Queue[T]) hand() {
	for q.items.n > q.getters.served && q.getters.serve() != nil {
	}
	if q.closed {
		q.getters.dismiss()
		q.putters.dismiss()
		return
	}
	for q.room() && q.putters.serve() != nil {
	}
}

func (q *Queue[T]) finish(n int) {
	if q.unfinished -= n; q.unfinished == 0 {
		q.joiners.dismiss()
	}
}
