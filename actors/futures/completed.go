// SPDX-License-Identifier: Apache-2.0

package futures

import (
	"context"
	"iter"
	"sync"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/combine"
	"github.com/protoloop/protoloop/internal/taskwait"
)

// AsCompleted yields the indexes of fs in the order in which these complete, each with
// a nil error; of those that are done already first. It ends after the last one. If ctx
// has ended and it would have to wait, it ends early, with -1 and [context.Cause] of ctx:
//
//	for i, err := range futures.AsCompleted(ctx, fs...) {
//		if err != nil {
//			return err
//		}
//		v, err := fs[i].TryResult()
//		…
//	}
//
// It is for plain goroutines, and starts none; in a task use [AwaitEach]
// (asyncio.as_completed, whose iterator raises TimeoutError when it has to end early).
func AsCompleted[T any](ctx context.Context, fs ...*actors.Future[T]) iter.Seq2[int, error] {
	fs = membersOf("AsCompleted", fs)
	return func(yield func(int, error) bool) {
		yieldEach(fs, yield,
			func() error { return nil },
			func(more *actors.Future[actors.None]) error { _, err := more.Wait(ctx); return err })
	}
}

// AwaitEach is AsCompleted for tasks: between two futures it gives the loop back. As
// [actors.Await] it ends when the task is ended, also while futures are left that are
// done, and when waiting would close a ring: then it yields -1 and why, once.
func AwaitEach[T any](t *actors.Task, fs ...*actors.Future[T]) iter.Seq2[int, error] {
	fs = membersOf("AwaitEach", fs)
	return func(yield func(int, error) bool) {
		yieldEach(fs, yield,
			func() error { return taskwait.TaskOf(t).Enter("AwaitEach").Ended },
			func(more *actors.Future[actors.None]) error { return t.Await(more) })
	}
}

// yieldEach yields what has arrived while mayGoOn says so, and waits for more.
func yieldEach[T any](fs []*actors.Future[T], yield func(int, error) bool, mayGoOn func() error,
	wait func(more *actors.Future[actors.None]) error) {
	if len(fs) == 0 {
		return
	}
	q := newArrivals(fs)
	defer q.watch.Stop()
	for range fs {
		i, err := q.awaitNext(mayGoOn, wait)
		if !yield(i, err) || err != nil {
			return
		}
	}
}

// arrivals is the queue of futures that have completed.
type arrivals[T any] struct {
	watch combine.Watch
	mu    sync.Mutex
	queue []int
	came  int                         // so far
	more  *actors.Future[actors.None] // completes at the next arrival; nil: nobody has waited for it
	first actors.Future[actors.None]  // of these
}

func newArrivals[T any](fs []*actors.Future[T]) *arrivals[T] {
	q := &arrivals[T]{queue: make([]int, 0, len(fs))}
	q.more = &q.first
	q.watch = insideOf(q.more).Watch(combine.MembersOf(fs), q)
	return q
}

// Arrive is package combine's.
func (q *arrivals[T]) Arrive(i int) (completes any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, i)
	q.came++
	if q.more != nil {
		completes, q.more = q.more, nil
	}
	return completes
}

// awaitNext returns the next one, or -1 and why there is none.
func (q *arrivals[T]) awaitNext(mayGoOn func() error, wait func(more *actors.Future[actors.None]) error) (int, error) {
	if err := mayGoOn(); err != nil {
		return -1, err
	}
	for {
		i, more := q.takeNext()
		if more == nil {
			return i, nil
		}
		if err := wait(more); err != nil {
			return -1, err
		}
	}
}

// takeNext takes the next one out, or returns a future that is done when there may be one.
func (q *arrivals[T]) takeNext() (i int, more *actors.Future[actors.None]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) > 0 {
		i = q.queue[0]
		q.queue = q.queue[1:]
		return i, nil
	}
	if q.more == nil {
		q.more = new(actors.Future[actors.None])
		q.watch.CompleteNext(q.more, q.came)
	}
	return 0, q.more
}
