// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/seeded"
)

var orderDice = seeded.Flag("order.seed", "TestOrder")

// TestOrder makes random calls, many of them in one turn, and cancels some of
// those that wait: whoever is served is so in the order of the calls, and gets
// the items in the order in which they were put.
func TestOrder(t *testing.T) {
	for name, round := range map[string]func(o *order){"Queue": orderOfQueue, "Semaphore": orderOfSemaphore, "Mutex": orderOfMutex} {
		t.Run(name, func(t *testing.T) {
			for _, dice := range orderDice.Rounds(t, 100) {
				run(t, func(b *bench) {
					pid := actortest.Spawn(t, b.sys.Root, "other", func(w *actors.Worker) error {
						actors.On(w, func(t *actors.Task, d time.Duration) error { return t.Sleep(d) }, actors.Exclusive())
						return nil
					}, quiet)
					b.pid = pid
					round(&order{bench: b, dice: dice})
				})
			}
		})
	}
}

// order is one round: its tasks make calls, of which each has a number.
type order struct {
	*bench
	dice  *rand.Rand
	calls int
	wait  []*actors.Future[actors.None]

	plain  func(ctx context.Context, n int) // what a plain goroutine does, if they take part
	cancel []func()                         // theirs
}

// next is the number of the call that is made now.
func (o *order) next() int { o.calls++; return o.calls }

// turns runs some turns of some of the calls each, and lets those that wait
// end as they do.
func (o *order) turns(calls ...func(t *actors.Task)) {
	o.do(func(*actors.Task) error { return nil }) // the value is at home here
	for range 1 + o.dice.IntN(8) {
		if o.dice.IntN(4) == 0 {
			o.holdBack()
		}
		o.plainCalls()
		n := 1 + o.dice.IntN(12)
		o.task(func(t *actors.Task) error {
			for range n {
				switch k := o.dice.IntN(len(calls) + 2); {
				case k < len(calls):
					calls[k](t)
				case k == len(calls):
					if err := t.Yield(); err != nil {
						return err
					}
				case len(o.wait) > 0:
					o.wait[o.dice.IntN(len(o.wait))].Cancel()
				}
			}
			return nil
		})
	}
}

// plainCalls makes some calls on plain goroutines, and cancels some of those that wait.
func (o *order) plainCalls() {
	if o.plain == nil {
		return
	}
	for range o.dice.IntN(4) {
		if o.dice.IntN(4) == 0 && len(o.cancel) > 0 {
			o.cancel[o.dice.IntN(len(o.cancel))]()
		} else {
			n := o.next()
			ctx, cancel := context.WithCancel(context.Background())
			o.cancel = append(o.cancel, cancel)
			go o.plain(ctx, n)
		}
		synctest.Wait()
	}
}

// holdBack lets tasks become ready while an Exclusive handler awaits, and does
// some calls of its own at a time.
func (o *order) holdBack() {
	for range o.dice.IntN(20) {
		o.task(func(t *actors.Task) error { return t.Sleep(time.Second) })
	}
	o.sys.Root.Send(o.pid, 2*time.Second)
	time.Sleep(3 * time.Second)
	synctest.Wait()
}

// waits makes a call that may wait, in a task that is started at once, or gets
// its turn later.
func (o *order) waits(t *actors.Task, call func(t *actors.Task, n int) error) {
	f := func(t *actors.Task) (struct{}, error) { return struct{}{}, call(t, o.next()) }
	if o.dice.IntN(3) > 0 {
		o.wait = append(o.wait, actors.Start(t, f))
	} else {
		o.wait = append(o.wait, actors.Submit(t, o.pid, f))
	}
}

func orderOfQueue(o *order) {
	q := loopsync.NewQueue[int](o.dice.IntN(4))
	var mu sync.Mutex
	got := map[int]int{} // by the number of the call
	gets := func(n, v int, err error) error {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			got[n] = v
		}
		return err
	}
	o.plain = func(ctx context.Context, n int) {
		if n%2 == 0 {
			_ = q.PutContext(ctx, n)
		} else {
			v, err := q.GetContext(ctx)
			_ = gets(n, v, err)
		}
	}
	o.turns(
		func(t *actors.Task) { o.waits(t, q1(q.Put)) },
		func(t *actors.Task) {
			o.waits(t, func(t *actors.Task, n int) error {
				v, err := q.Get(t)
				return gets(n, v, err)
			})
		},
		func(*actors.Task) { q.TryPut(o.next()) },
		func(*actors.Task) {
			if v, ok := q.TryGet(); ok {
				_ = gets(o.next(), v, nil)
			}
		},
	)
	o.do(func(*actors.Task) error { q.Close(); return nil })
	o.ordered(got)
	for _, cancel := range o.cancel {
		cancel()
	}
}

// q1 is Put with the number of the call as the item.
func q1(put func(*actors.Task, int) error) func(t *actors.Task, n int) error {
	return func(t *actors.Task, n int) error { return put(t, n) }
}

func orderOfSemaphore(o *order) {
	s := loopsync.NewSemaphore(o.dice.IntN(3))
	served := 0
	got := map[int]int{}
	o.turns(
		func(t *actors.Task) {
			o.waits(t, func(t *actors.Task, n int) error {
				err := s.Acquire(t)
				if err == nil {
					served++
					got[n] = served
				}
				return err
			})
		},
		func(t *actors.Task) {
			if s.TryAcquire(t) {
				served++
				got[o.next()] = served
			}
		},
		func(*actors.Task) { s.Release() },
	)
	for range o.calls {
		s.Release()
	}
	o.ordered(got)
}

func orderOfMutex(o *order) {
	var m loopsync.Mutex
	served := 0
	got := map[int]int{}
	o.turns(
		func(t *actors.Task) {
			o.waits(t, func(t *actors.Task, n int) error {
				err := m.Lock(t)
				if err == nil {
					defer m.Unlock()
					served++
					got[n] = served
					_ = t.Yield()
				}
				return err
			})
		},
		func(t *actors.Task) {
			if m.TryLock(t) {
				served++
				got[o.next()] = served
				m.Unlock()
			}
		},
	)
	o.ordered(got)
}

// ordered fails the test unless who called later got more.
func (o *order) ordered(got map[int]int) {
	synctest.Wait()
	last := 0
	for n := range o.calls + 1 {
		v, ok := got[n]
		if ok && v <= last {
			o.Errorf("call %d got %d, a call before it %d: %v", n, v, last, got)
			return
		}
		last = max(last, v)
	}
}
