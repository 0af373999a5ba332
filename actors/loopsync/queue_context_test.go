// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/testtools"
)

// plain runs f on a plain goroutine and lets everything come to rest.
func plain(f func()) {
	go f()
	synctest.Wait()
}

func (b *bench) plainGetter(ctx context.Context, q *loopsync.Queue[int], name string) {
	plain(func() {
		if v, err := q.GetContext(ctx); err == nil {
			b.say("%s got %d", name, v)
		} else {
			b.say("%s: %v", name, err)
		}
	})
}

func (b *bench) plainPutter(ctx context.Context, q *loopsync.Queue[int], v int) {
	plain(func() {
		if err := q.PutContext(ctx, v); err == nil {
			b.say("put %d", v)
		} else {
			b.say("%d: %v", v, err)
		}
	})
}

// Tasks and plain goroutines stand in one line.
func TestQueueContextIsFair(t *testing.T) {
	run(t, func(b *bench) {
		ctx := context.Background()
		q := loopsync.NewQueue[int](1)
		b.getter(q, "a")
		b.plainGetter(ctx, q, "b")
		b.getter(q, "c")
		b.plainGetter(ctx, q, "d")
		for i, name := range []string{"a", "b", "c", "d"} {
			b.plainPutter(ctx, q, i)
			b.heardInAnyOrder(fmt.Sprintf("put %d", i), fmt.Sprintf("%s got %d", name, i))
		}
		b.putter(q, 0)
		b.plainPutter(ctx, q, 1)
		b.putter(q, 2)
		b.plainPutter(ctx, q, 3)
		b.heard("put 0")
		for i := range 3 {
			b.plainGetter(ctx, q, "x")
			b.heardInAnyOrder(fmt.Sprintf("x got %d", i), fmt.Sprintf("put %d", i+1))
		}
		b.plainGetter(ctx, q, "x")
		b.heard("x got 3")
	})
}

// A plain goroutine behind a task that has been served gets what comes after it.
func TestQueueContextBehindATaskThatWasServed(t *testing.T) {
	run(t, func(b *bench) {
		ctx := context.Background()
		var q loopsync.Queue[int]
		b.getter(&q, "a")
		b.plainGetter(ctx, &q, "b")
		b.getter(&q, "c")
		b.do(func(*actors.Task) error { // a cannot go on meanwhile
			for i := range 3 {
				q.TryPut(i)
			}
			for range 100 {
				runtime.Gosched()
			}
			return nil
		})
		b.heardInAnyOrder("a got 0", "b got 1", "c got 2")

		bounded := loopsync.NewQueue[int](2)
		b.putter(bounded, 0)
		b.putter(bounded, 1)
		b.putter(bounded, 2)
		b.plainPutter(ctx, bounded, 3)
		b.putter(bounded, 4)
		b.do(func(*actors.Task) error {
			bounded.TryGet()
			bounded.TryGet()
			for range 100 {
				runtime.Gosched()
			}
			return nil
		})
		b.getter(bounded, "x")
		b.getter(bounded, "y")
		b.getter(bounded, "z")
		b.heardInAnyOrder("put 0", "put 1", "put 2", "put 3", "put 4", "x got 2", "y got 3", "z got 4")
	})
}

// heardInAnyOrder is heard where the order does not matter.
func (b *bench) heardInAnyOrder(want ...string) {
	b.Helper()
	synctest.Wait()
	b.said.Sort()
	slices.Sort(want)
	b.heard(want...)
}

// The end of the context ends the wait, and loses nothing.
func TestQueueContextEnds(t *testing.T) {
	run(t, func(b *bench) {
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(context.Background())
		q := loopsync.NewQueue[int](1)
		b.plainGetter(ctx, q, "a")
		b.plainGetter(context.Background(), q, "b")
		cancel(why)
		b.heard("a: why")
		b.putter(q, 1)
		b.heardInAnyOrder("put 1", "b got 1")
		b.plainPutter(ctx, q, 2) // ready wins over cancelled
		b.plainPutter(ctx, q, 3)
		b.plainGetter(ctx, q, "c")
		b.plainGetter(ctx, q, "d")
		b.heard("put 2", "3: why", "c got 2", "d: why")
		deadline, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		start := time.Now()
		if _, err := q.GetContext(deadline); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			b.Errorf("%v after %v", err, time.Since(start))
		}
		if q.Len() != 0 || !q.TryPut(4) {
			b.Error("a place is lost")
		}
	})
}

func TestQueueContextClose(t *testing.T) {
	run(t, func(b *bench) {
		ctx := context.Background()
		q := loopsync.NewQueue[int](1)
		b.plainGetter(ctx, q, "a")
		q.Close()
		b.heard("a: " + loopsync.ErrClosed.Error())

		q = loopsync.NewQueue[int](1)
		q.TryPut(1)
		b.plainPutter(ctx, q, 2)
		q.Close()
		synctest.Wait()
		b.plainPutter(ctx, q, 3)
		b.plainGetter(ctx, q, "b")
		b.plainGetter(ctx, q, "c")
		b.heard("2: "+loopsync.ErrClosed.Error(), "3: "+loopsync.ErrClosed.Error(), "b got 1", "c: "+loopsync.ErrClosed.Error())
	})
}

// Whoever was served when the queue is closed, and cannot go on yet.
func TestQueueContextCloseBehindATaskThatWasServed(t *testing.T) {
	for name, end := range map[string]func(q *loopsync.Queue[int]){
		"Close":    (*loopsync.Queue[int]).Close,
		"CloseNow": func(q *loopsync.Queue[int]) { q.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				ctx := context.Background()
				var q loopsync.Queue[int]
				a := b.getter(&q, "a")
				b.plainGetter(ctx, &q, "b")
				b.do(func(*actors.Task) error { q.TryPut(1); q.TryPut(2); end(&q); return nil })
				synctest.Wait()
				if name == "Close" {
					b.ended(a, nil)
					b.heardInAnyOrder("a got 1", "b got 2")
				} else {
					b.ended(a, loopsync.ErrClosed)
					b.heard("b: " + loopsync.ErrClosed.Error())
				}
				bounded := loopsync.NewQueue[int](2)
				bounded.TryPut(1)
				bounded.TryPut(2)
				c := b.putter(bounded, 3)
				b.plainPutter(ctx, bounded, 4)
				b.do(func(*actors.Task) error { bounded.TryGet(); bounded.TryGet(); end(bounded); return nil })
				b.ended(c, loopsync.ErrClosed)
				b.heard("4: " + loopsync.ErrClosed.Error())
			})
		})
	}
}

// less panics for a plain goroutine that is served by a task: the goroutine panics.
func TestQueueContextLessPanics(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewPriorityQueue(2, func(x, y int) bool {
			if x == 13 || y == 13 {
				panic("less")
			}
			return x < y
		})
		q.TryPut(1)
		q.TryPut(2)
		plain(func() {
			b.say("%v", testtools.PanicOf(func() { _ = q.PutContext(context.Background(), 13) }))
		})
		b.plainPutter(context.Background(), q, 3)
		b.getter(q, "a")
		synctest.Wait()
		b.heardInAnyOrder("a got 1", "less", "put 3")
		if all := drain(q); !slices.Equal(all, []int{2, 3}) {
			b.Errorf("left: %v", all)
		}
	})
}

func TestQueueContextMisuse(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		b.do(func(t *actors.Task) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			testtools.WantPanic(b, func() { _, _ = q.GetContext(ctx) }, "loopsync: Queue.GetContext called with the context of a task of worker worker", "use Get")
			testtools.WantPanic(b, func() { _ = q.PutContext(ctx, 1) }, "loopsync: Queue.PutContext called with the context of a task of worker worker", "use Put")
			return nil
		})
		var noContext context.Context
		testtools.WantPanic(b, func() { _, _ = q.GetContext(noContext) }, "loopsync: Queue.GetContext called with a nil context")
		// In an Offload it is welcome.
		b.do(func(t *actors.Task) error {
			q.TryPut(7)
			v, err := actors.AwaitOffload(t, q.GetContext)
			if v != 7 {
				b.Errorf("got %d", v)
			}
			return err
		})
	})
}
