package actors

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
)

// All completes with the values of all fs, in their order, when the last one
// is done, or with the first error as soon as one fails; of none, at once.
// Cancelling it cancels all fs; a failure cancels none of them
// (asyncio.gather).
func All[T any](fs ...*Future[T]) *Future[[]T] {
	all := &Future[[]T]{}
	if len(fs) == 0 {
		all.resolve([]T{}, nil)
		return all
	}
	deps := make([]*core, len(fs))
	all.deps = &deps
	nodes := make([]node, len(fs)) // one allocation for all
	var left atomic.Int64
	left.Store(int64(len(fs)))
	member := func(f *Future[T]) func() {
		return func() {
			if f.look() != nil {
				all.fail(f.err)
			} else if left.Add(-1) == 0 {
				vals := make([]T, len(fs))
				for i, f := range fs {
					vals[i] = f.val
				}
				all.resolve(vals, nil)
			}
		}
	}
	for i, f := range fs {
		deps[i] = &f.core
		nodes[i].f = member(f)
	}
	for i, f := range fs {
		f.call(&nodes[i])
	}
	return all
}

// AsCompleted yields the fs, each with its index, in the order in which they
// complete; those that are done already first. It ends after the last one, or
// when ctx has ended and it would have to wait. It is for plain goroutines,
// and starts none; in a task use [AwaitEach].
func AsCompleted[T any](ctx context.Context, fs ...*Future[T]) iter.Seq2[int, *Future[T]] {
	return func(yield func(int, *Future[T]) bool) {
		q := newArrivals(fs)
		defer forgetAll(q, fs)
		for range fs {
			i, ok := q.take()
			for !ok {
				if err := q.next().block(ctx); err != nil {
					return
				}
				i, ok = q.take()
			}
			if !yield(i, fs[i]) {
				return
			}
		}
	}
}

// AwaitEach is AsCompleted for tasks: between two futures it gives the loop
// back. It ends early when the task is ended; the next await says why.
func AwaitEach[T any](t *Task, fs ...*Future[T]) iter.Seq2[int, *Future[T]] {
	return func(yield func(int, *Future[T]) bool) {
		q := newArrivals(fs)
		defer forgetAll(q, fs)
		for range fs {
			i, ok := q.take()
			for !ok {
				if _, err := Await(t, q.next()); err != nil {
					return
				}
				i, ok = q.take()
			}
			if !yield(i, fs[i]) {
				return
			}
		}
	}
}

// arrivals is the queue of futures that have completed.
type arrivals struct {
	nodes []node
	mu    sync.Mutex
	queue []int
	more  *Future[struct{}] // completes at the next arrival
}

func newArrivals[T any](fs []*Future[T]) *arrivals {
	q := &arrivals{nodes: make([]node, len(fs))}
	for i, f := range fs {
		q.nodes[i].f = func() { q.arrive(i) }
		f.call(&q.nodes[i])
	}
	return q
}

func forgetAll[T any](q *arrivals, fs []*Future[T]) {
	for i, f := range fs {
		f.forget(&q.nodes[i])
	}
}

func (q *arrivals) arrive(i int) {
	q.mu.Lock()
	q.queue = append(q.queue, i)
	more := q.more
	q.more = nil
	q.mu.Unlock()
	if more != nil {
		more.resolve(struct{}{}, nil)
	}
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
func (q *arrivals) next() *Future[struct{}] {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := &Future[struct{}]{}
	if len(q.queue) > 0 {
		f.resolve(struct{}{}, nil)
	} else {
		q.more = f
	}
	return f
}
