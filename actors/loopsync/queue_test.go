// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
)

// getter gets an item and says which; putter puts one.
func (b *bench) getter(q *loopsync.Queue[int], name string) *actors.Future[actors.None] {
	return b.task(func(t *actors.Task) error {
		v, err := q.Get(t)
		if err == nil {
			b.say("%s got %d", name, v)
		}
		return err
	})
}

func (b *bench) putter(q *loopsync.Queue[int], v int) *actors.Future[actors.None] {
	return b.task(func(t *actors.Task) error {
		err := q.Put(t, v)
		if err == nil {
			b.say("put %d", v)
		}
		return err
	})
}

// drain takes all there is.
func drain(q *loopsync.Queue[int]) (all []int) {
	for v, ok := q.TryGet(); ok; v, ok = q.TryGet() {
		all = append(all, v)
	}
	return all
}

func TestQueueKeepsTheOrder(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		b.do(func(t *actors.Task) error {
			for i := range 100 {
				if err := q.Put(t, i); err != nil {
					return err
				}
			}
			if q.Len() != 100 {
				b.Errorf("%d items", q.Len())
			}
			for i := range 100 {
				if v, err := q.Get(t); v != i || err != nil {
					b.Errorf("item %d is %d, %v", i, v, err)
				}
			}
			return nil
		})
	})
}

func TestQueueGetWaitsForAnItem(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		b.getter(&q, "a")
		b.getter(&q, "b")
		b.heard()
		b.putter(&q, 1)
		b.putter(&q, 2)
		b.heard("put 1", "a got 1", "put 2", "b got 2")
	})
}

func TestQueuePutWaitsForAPlace(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewQueue[int](2)
		for i := range 4 {
			b.putter(q, i)
		}
		b.heard("put 0", "put 1")
		b.getter(q, "a")
		b.heard("a got 0", "put 2")
		b.getter(q, "b")
		b.heard("b got 1", "put 3")
		if all := drain(q); !slices.Equal(all, []int{2, 3}) {
			b.Errorf("left: %v", all)
		}
	})
}

// A producer and a consumer through a queue of one.
func TestQueueOfOne(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewQueue[int](1)
		producer := b.task(func(t *actors.Task) error {
			for i := range 10 {
				if err := q.Put(t, i); err != nil {
					return err
				}
			}
			q.Close()
			return nil
		})
		b.pending(producer)
		var got []int
		consumer := b.task(func(t *actors.Task) error {
			for {
				v, err := q.Get(t)
				if err != nil {
					return err
				}
				got = append(got, v)
			}
		})
		b.ended(producer, nil)
		b.ended(consumer, loopsync.ErrClosed)
		if len(got) != 10 || !slices.IsSorted(got) {
			b.Errorf("got %v", got)
		}
	})
}

func TestQueueTryPutAndTryGet(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewQueue[int](1)
		if _, ok := q.TryGet(); ok || !q.TryPut(1) || q.TryPut(2) || q.Len() != 1 {
			b.Error("a queue of one")
		}
		if v, ok := q.TryGet(); v != 1 || !ok {
			b.Errorf("got %d, %v", v, ok)
		}
		unbounded := loopsync.NewQueue[int](-1)
		for i := range 1000 {
			if !unbounded.TryPut(i) {
				b.Error("there is a bound")
			}
		}
	})
}

// An item or a place that somebody in line is sure of is not taken away.
func TestQueueTryPutAndTryGetOvertakeNobody(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewQueue[int](1)
		b.getter(q, "a")
		b.do(func(*actors.Task) error {
			q.TryPut(1)
			if v, ok := q.TryGet(); ok {
				b.Errorf("got %d", v)
			}
			return nil
		})
		b.heard("a got 1")
		q.TryPut(2)
		b.putter(q, 3)
		b.do(func(*actors.Task) error {
			if v, ok := q.TryGet(); v != 2 || !ok {
				b.Errorf("got %d, %v", v, ok)
			}
			if q.TryPut(4) {
				b.Error("TryPut has overtaken who was in line")
			}
			return nil
		})
		b.heard("put 3")
	})
}

// Nor from somebody who was served, and has yet to go on.
func TestQueueTryPutAndTryGetOvertakeNobodyWhoWasServed(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewQueue[int](2)
		b.putter(q, 1)
		b.putter(q, 2)
		b.putter(q, 3)
		b.heard("put 1", "put 2")
		b.do(func(*actors.Task) error {
			for _, want := range []int{1, 2} {
				if v, ok := q.TryGet(); v != want || !ok {
					b.Errorf("got %d, %v", v, ok)
				}
			}
			if q.TryPut(4) {
				b.Error("4 is in before 3")
			}
			return nil
		})
		b.heard("put 3")
		if all := drain(q); !slices.Equal(all, []int{3}) {
			b.Errorf("left: %v", all)
		}
		b.getter(q, "a")
		b.do(func(*actors.Task) error {
			if !q.TryPut(5) || !q.TryPut(6) {
				b.Error("there is no room")
			}
			if v, ok := q.TryGet(); ok {
				b.Errorf("got %d before a did", v)
			}
			return nil
		})
		b.heard("a got 5")
		if all := drain(q); !slices.Equal(all, []int{6}) {
			b.Errorf("left: %v", all)
		}
	})
}

// A Get waits behind those in line, also if there is an item already.
func TestQueueIsFair(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		b.getter(&q, "a")
		b.do(func(t *actors.Task) error {
			q.TryPut(1)
			q.TryPut(2)
			v, err := q.Get(t)
			b.say("b got %d", v)
			return err
		})
		b.heard("a got 1", "b got 2")
	})
}

// A getter is cancelled when its item is there: the item is the next one's,
// and stays the first.
func TestQueueItemIsNotLostWithAGetter(t *testing.T) {
	for _, order := range []string{"cancel first", "put first"} {
		t.Run(order, func(t *testing.T) {
			run(t, func(b *bench) {
				var q loopsync.Queue[int]
				first := b.getter(&q, "a")
				b.getter(&q, "b")
				b.do(func(*actors.Task) error {
					if order == "cancel first" {
						first.Cancel()
					}
					q.TryPut(1)
					q.TryPut(2)
					first.Cancel()
					return nil
				})
				b.ended(first, actors.ErrCanceled)
				b.heard("b got 1")
				b.getter(&q, "c")
				b.heard("c got 2")
			})
		})
	}
}

func TestQueueItemIsNotLostWithTheOnlyGetter(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		f := b.getter(&q, "a")
		b.do(func(*actors.Task) error { q.TryPut(1); q.TryPut(2); f.Cancel(); return nil })
		b.getter(&q, "b")
		b.getter(&q, "c")
		b.heard("b got 1", "c got 2")
	})
}

// A putter is cancelled when there is a place: the place is the next one's,
// and the item is not in the queue.
func TestQueuePlaceIsNotLostWithAPutter(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewQueue[int](1)
		b.putter(q, 1)
		second, third := b.putter(q, 2), b.putter(q, 3)
		b.do(func(*actors.Task) error { q.TryGet(); second.Cancel(); return nil })
		b.ended(second, actors.ErrCanceled)
		b.ended(third, nil)
		b.heard("put 1", "put 3")
		fourth := b.putter(q, 4)
		b.do(func(*actors.Task) error { fourth.Cancel(); q.TryGet(); return nil })
		if q.Len() != 0 || !q.TryPut(5) {
			b.Error("the place is lost")
		}
	})
}

func TestQueueOfAnEndedTask(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		q.TryPut(1)
		f := b.task(func(t *actors.Task) error {
			_ = t.Sleep(time.Hour)
			if v, err := q.Get(t); !errors.Is(err, actors.ErrCanceled) {
				b.Errorf("Get: %d, %v", v, err)
			}
			return q.Put(t, 2)
		})
		f.Cancel()
		b.ended(f, actors.ErrCanceled)
		if all := drain(&q); !slices.Equal(all, []int{1}) {
			b.Errorf("left: %v", all)
		}
	})
}

func TestQueueJoin(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		b.do(q.Join) // nothing was put
		for i := range 5 {
			q.TryPut(i)
		}
		sum := 0
		for range 2 {
			b.task(func(t *actors.Task) error {
				for {
					v, err := q.Get(t)
					if err != nil {
						return err
					}
					_ = t.Sleep(time.Second)
					sum += v
					q.TaskDone()
				}
			})
		}
		start := time.Now()
		if _, err := result(b.task(q.Join)); err != nil || sum != 10 || time.Since(start) != 3*time.Second {
			b.Errorf("%v; sum %d after %v", err, sum, time.Since(start))
		}
		q.Close()
	})
}

func TestQueueJoinCancelled(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		q.TryPut(1)
		f, other := b.task(q.Join), b.task(q.Join)
		f.Cancel()
		b.ended(f, actors.ErrCanceled)
		b.pending(other)
		q.TaskDone()
		b.ended(other, nil)
	})
}

// It can be fed from anywhere: TryPut takes no task.
func TestQueueFedFromOutside(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[int]
		b.getter(&q, "a")
		go q.TryPut(1)
		synctest.Wait()
		b.heard("a got 1")
	})
}

func TestQueueLetsGoOfItsItems(t *testing.T) {
	run(t, func(b *bench) {
		var q loopsync.Queue[*int]
		for i := range 50 {
			q.TryPut(&i)
			if i%3 == 0 {
				q.TryGet()
			}
		}
		for v, ok := q.TryGet(); ok; v, ok = q.TryGet() {
			if v == nil {
				b.Error("an item is lost")
			}
		}
		if held := q.Held(); held != 0 {
			b.Errorf("%d items are held", held)
		}
	})
}
