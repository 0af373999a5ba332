// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"iter"
	"sync"
)

// AsCompleted yields the indexes of fs in the order in which these complete, each with
// a nil error; of those that are done already first. It ends after the last one. If ctx
// has ended and it would have to wait, it ends early, with -1 and [context.Cause] of ctx:
//
//	for i, err := range actors.AsCompleted(ctx, fs...) {
//		if err != nil {
//			return err
//		}
//		v, err := fs[i].TryResult()
//		…
//	}
//
// It is for plain goroutines, and starts none; in a task use [AwaitEach]
// (asyncio.as_completed, whose iterator raises TimeoutError when it has to end early).
func AsCompleted[T any](ctx context.Context, fs ...*Future[T]) iter.Seq2[int, error] {
	cores := coresOf("AsCompleted", fs)
	return func(yield func(int, error) bool) {
		each(cores, yield, func() error { return nil }, func(more *core) error { return more.waitBlocking(ctx) })
	}
}

// AwaitEach is AsCompleted for tasks: between two futures it gives the loop back. As
// [Await] it ends when the task is ended, also while futures are left that are done, and
// when waiting would close a ring: then it yields -1 and why, once.
func AwaitEach[T any](t *Task, fs ...*Future[T]) iter.Seq2[int, error] {
	cores := coresOf("AwaitEach", fs)
	return func(yield func(int, error) bool) {
		each(cores, yield,
			func() error { t.checkCurrent("AwaitEach"); return t.endCause() },
			func(more *core) error { return t.awaitCore(more, "AwaitEach") })
	}
}

// each yields what has arrived while mayGoOn says so, and waits for more.
func each(cores []*core, yield func(int, error) bool, mayGoOn func() error, wait func(more *core) error) {
	q := newArrivals(cores)
	defer q.close()
	for range cores {
		i, err := q.await(mayGoOn, wait)
		if !yield(i, err) || err != nil {
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
		c.stopFollowing(&q.nodes[i], false)
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

// await returns the next one, or -1 and why there is none.
func (q *arrivals) await(mayGoOn func() error, wait func(more *core) error) (int, error) {
	if err := mayGoOn(); err != nil {
		return -1, err
	}
	for {
		if i, ok := q.take(); ok {
			return i, nil
		}
		if err := wait(&q.next().core); err != nil {
			return -1, err
		}
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
