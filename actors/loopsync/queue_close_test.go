// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"slices"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestQueueCloseOfAnEmptyOne(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		getters := []*actors.Future[actors.None]{b.getter(&q, "a"), b.getter(&q, "b")}
		q.Close()
		q.Close()
		for _, f := range append(getters, b.getter(&q, "late"), b.putter(&q, 1)) {
			b.ended(f, loopsync.ErrClosed)
		}
		if _, ok := q.TryGet(); ok || q.TryPut(1) {
			b.Error("it is open")
		}
		b.do(q.Join)
	})
}

func TestQueueCloseLetsWhatIsInItOut(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewQueue[int](1)
		q.TryPut(1)
		join := b.task(q.Join)
		putter := b.putter(q, 2)
		q.Close()
		b.ended(putter, loopsync.ErrClosed)
		b.getter(q, "a")
		b.heard("a got 1")
		b.ended(b.getter(q, "b"), loopsync.ErrClosed)
		b.pending(join)
		q.TaskDone()
		b.ended(join, nil)
		testtools.WantPanic(b, q.TaskDone, "loopsync: Queue.TaskDone called more often than items were put")
	})
}

// A putter has been promised a place when the queue is closed: it is too late.
func TestQueueCloseBeforeAPutterGoesOn(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewQueue[int](1)
		q.TryPut(1)
		putter := b.putter(q, 2)
		b.do(func(*actors.Task) error { q.TryGet(); q.Close(); return nil })
		b.ended(putter, loopsync.ErrClosed)
		if q.Len() != 0 {
			b.Error("it has put it")
		}
	})
}

// A getter that is sure of an item gets it, although the queue is closed.
func TestQueueCloseBeforeAGetterGoesOn(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		b.getter(&q, "a")
		second := b.getter(&q, "b")
		b.do(func(*actors.Task) error { q.TryPut(1); q.Close(); return nil })
		b.heard("a got 1")
		b.ended(second, loopsync.ErrClosed)
	})
}

func TestQueueCloseNow(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		b.do(func(t *actors.Task) error {
			for i := range 3 {
				q.TryPut(i)
			}
			_, err := q.Get(t)
			return err
		})
		join := b.task(q.Join)
		if left := q.CloseNow(); !slices.Equal(left, []int{1, 2}) {
			b.Errorf("left: %v", left)
		}
		b.ended(b.getter(&q, "a"), loopsync.ErrClosed)
		b.pending(join) // one item is still worked on
		q.TaskDone()
		b.ended(join, nil)
		if left := q.CloseNow(); len(left) != 0 {
			b.Errorf("left: %v", left)
		}
	})
}

func TestQueueCloseNowBeforeAGetterGoesOn(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		getter := b.getter(&q, "a")
		b.do(func(*actors.Task) error { q.TryPut(1); q.CloseNow(); return nil })
		b.ended(getter, loopsync.ErrClosed)
		b.do(q.Join)
	})
}
