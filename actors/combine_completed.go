// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"iter"
	"sync"
)

// AsCompleted yields the fs, each with its index, in the order in which they
// complete; those that are done already first. It ends after the last one, or
// when ctx has ended and it would have to wait. It is for plain goroutines,
// and starts none; in a task use [AwaitEach] (asyncio.as_completed).
func AsCompleted[T any](ctx context.Context, fs ...*Future[T]) iter.Seq2[int, *Future[T]] {
	d, fs := membersOf("AsCompleted", fs)
	return func(yield func(int, *Future[T]) bool) {
		each(d.cores, fs, yield, func(more *Future[None]) error { return more.block(ctx) })
	}
}

// AwaitEach is AsCompleted for tasks: between two futures it gives the loop
// back. It ends early when the task is ended, and when waiting would close a
// ring; the next await, or one of a future that is left, says why.
func AwaitEach[T any](t *Task, fs ...*Future[T]) iter.Seq2[int, *Future[T]] {
	d, fs := membersOf("AwaitEach", fs)
	return func(yield func(int, *Future[T]) bool) {
		each(d.cores, fs, yield, func(more *Future[None]) error { return t.awaitCore(&more.core, "AwaitEach") })
	}
}

// each yields what has arrived, and waits for more.
func each[T any](cores []*core, fs []*Future[T], yield func(int, *Future[T]) bool, wait func(*Future[None]) error) {
	q := newArrivals(cores)
	defer q.close()
	for range cores {
		i, ok := q.take()
		for !ok {
			if wait(q.next()) != nil {
				return
			}
			i, ok = q.take()
		}
		if !yield(i, fs[i]) {
			return
		}
	}
}

// arrivals is the queue of futures that have completed.
type arrivals struct {
	deps  deps
	nodes []node
	mu    sync.Mutex
	queue []int
	came  int32         // so far
	more  *Future[None] // completes at the next arrival
}

func newArrivals(cores []*core) *arrivals {
	q := &arrivals{nodes: make([]node, len(cores))}
	q.deps.cores, q.deps.by, q.deps.each = cores, nextEnd, q.arrive
	for i := range cores {
		q.deps.follow(&q.nodes[i], i)
	}
	return q
}

func (q *arrivals) close() {
	for i, c := range q.deps.cores {
		c.leave(&q.nodes[i], false)
	}
}

func (q *arrivals) arrive(_ *core, i int) callbacks {
	q.mu.Lock()
	q.queue = append(q.queue, i)
	q.came++
	more := q.more
	q.more = nil
	q.mu.Unlock()
	if more == nil {
		return callbacks{}
	}
	return more.resolveMember(struct{}{}, nil)
}

func (q *arrivals) take() (int, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		return 0, false
	}
	i := q.queue[0]
	q.queue = q.queue[1:]
	return i, true
}

// next is a future that is complete when take may have something.
func (q *arrivals) next() *Future[None] {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := &Future[None]{}
	f.more().deps = &q.deps
	if len(q.queue) > 0 {
		f.resolve(struct{}{}, nil)
	} else {
		q.more = f
		q.deps.past.Store(q.came)
		q.deps.out.Store(&f.core)
	}
	return f
}
