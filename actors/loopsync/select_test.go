// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/goroutines"
	"github.com/protoloop/protoloop/internal/testtools"
)

// selected runs a Select in a task and says which case has happened, and when.
func (b *bench) selected(cases func() []loopsync.Case) *actors.Future[actors.None] {
	start := time.Now()
	return b.task(func(t *actors.Task) error {
		i, err := loopsync.Select(t, cases()...)
		if err == nil {
			b.say("%d after %v", i, time.Since(start))
		} else if i != -1 {
			b.Errorf("index %d with %v", i, err)
		}
		return err
	})
}

// Each kind of case happens, at once and after a wait.
func TestSelectOfEach(t *testing.T) {
	run(t, func(b *bench) {
		in, out := make(chan int, 1), make(chan int, 1)
		p := new(actors.Promise[string])
		v, ok := -1, false
		cases := func() []loopsync.Case {
			return []loopsync.Case{
				loopsync.OnFuture(p.Future()), loopsync.OnReceive(in, &v, &ok), loopsync.OnSend(out, 7), loopsync.OnTimer(time.Minute),
			}
		}
		out <- 1 // it is full
		wait := func(end func()) {
			f := b.selected(cases)
			time.Sleep(time.Second)
			b.pending(f)
			end()
			b.ended(f, nil)
		}
		wait(func() { in <- 5 })
		b.heard("1 after 1s")
		if v != 5 || !ok {
			b.Errorf("received %d, %v", v, ok)
		}
		wait(func() { <-out })
		b.heard("2 after 1s")
		if got := <-out; got != 7 {
			b.Errorf("sent %d", got)
		}
		out <- 1
		wait(func() { time.Sleep(time.Minute) })
		b.heard("3 after 1m0s")
		v, ok = -1, true
		wait(func() { close(in) })
		b.heard("1 after 1s")
		if v != 0 || ok {
			b.Errorf("received %d, %v of a closed channel", v, ok)
		}
		in = make(chan int)
		wait(func() { p.Reject(errors.New("no")) })
		b.heard("0 after 1s")
		if _, err := p.Future().TryResult(); err == nil {
			b.Error("no error")
		}
		b.selected(cases) // it is done
		b.heard("0 after 0s")
	})
}

// Of several that are ready, one happens, each as often as the others.
func TestSelectIsFair(t *testing.T) {
	run(t, func(b *bench) {
		p := new(actors.Promise[int])
		p.Resolve(1)
		in, out := make(chan int, 1), make(chan int, 1)
		in <- 1
		var n [4]int
		b.do(func(t *actors.Task) error {
			for range 4000 {
				i, err := loopsync.Select(t, loopsync.OnFuture(p.Future()), loopsync.OnReceive(in, nil, nil), loopsync.OnSend(out, 1), loopsync.OnTimer(-1))
				if err != nil {
					return err
				}
				n[i]++
				switch i {
				case 1:
					in <- 1
				case 2:
					<-out
				}
				if len(in) != 1 || len(out) != 0 {
					b.Fatalf("case %d has happened, and others: %d, %d", i, len(in), len(out))
				}
			}
			return nil
		})
		for i := range n {
			if n[i] < 800 || n[i] > 1200 {
				b.Errorf("each case should happen about 1000 times: %v", n)
			}
		}
	})
}

// waitingGoroutines is how many wait for channels in place of tasks.
func waitingGoroutines() int {
	return goroutines.Count("created by github.com/protoloop/protoloop/actors/loopsync.beginAttempt")
}

// One goroutine waits for all channels, none for futures and timers, and none is left.
func TestSelectGoroutines(t *testing.T) {
	run(t, func(b *bench) {
		p := new(actors.Promise[int])
		var cases []loopsync.Case
		b.selected(func() []loopsync.Case {
			return []loopsync.Case{loopsync.OnFuture(p.Future()), loopsync.OnTimer(time.Hour)}
		})
		if n := waitingGoroutines(); n != 0 {
			b.Errorf("%d for a future and a timer", n)
		}
		for range 20 {
			ch := make(chan int)
			cases = append(cases, loopsync.OnReceive(ch, nil, nil), loopsync.OnSend(ch, 1))
		}
		f := b.selected(func() []loopsync.Case { return append(cases, loopsync.OnFuture(p.Future())) })
		if n := waitingGoroutines(); n != 1 {
			b.Errorf("%d for 40 channels", n)
		}
		p.Resolve(1)
		b.ended(f, nil)
		b.heard("0 after 0s", "40 after 0s")
		if n := waitingGoroutines(); n != 0 {
			b.Errorf("%d are left", n)
		}
	})
}

// A Select that is cancelled takes nothing and sends nothing, also later.
func TestSelectThatIsCancelled(t *testing.T) {
	run(t, func(b *bench) {
		in, out := make(chan int), make(chan int)
		v := -1
		f := b.selected(func() []loopsync.Case {
			return []loopsync.Case{loopsync.OnReceive(in, &v, nil), loopsync.OnSend(out, 1), loopsync.OnTimer(time.Hour)}
		})
		f.Cancel()
		b.ended(f, actors.ErrCanceled)
		select {
		case in <- 1:
			b.Error("it has received")
		case <-out:
			b.Error("it has sent")
		default:
		}
		b.heard()
		if v != -1 {
			b.Error("it has written", v)
		}
	})
}

// What was received or sent in the moment of the cancel, or when another case was ready
// too, is what has happened.
func TestSelectTooLate(t *testing.T) {
	run(t, func(b *bench) {
		for _, end := range []string{"cancel", "future"} {
			for range 20 {
				in, out := make(chan int), make(chan int)
				p := new(actors.Promise[int])
				var v, i int
				var err error
				f := b.task(func(t *actors.Task) error {
					i, err = loopsync.Select(t, loopsync.OnFuture(p.Future()), loopsync.OnReceive(in, &v, nil), loopsync.OnSend(out, 1))
					return nil
				})
				b.do(func(*actors.Task) error { // the task cannot go on meanwhile
					in <- 7
					if end == "cancel" {
						f.Cancel()
					} else {
						p.Resolve(1)
					}
					return nil
				})
				synctest.Wait()
				if i != 1 || v != 7 || err != nil {
					b.Fatalf("%s: index %d, received %d, %v", end, i, v, err)
				}
			}
		}
	})
}

// A Select that has ended is in no future's list: one that stays pending does not keep
// the others.
func TestSelectLeavesNothingAtFutures(t *testing.T) {
	for name, cases := range map[string]func(p, q *actors.Promise[int]) []loopsync.Case{
		"ended by a timer": func(p, q *actors.Promise[int]) []loopsync.Case {
			return []loopsync.Case{loopsync.OnFuture(p.Future()), loopsync.OnFuture(q.Future()), loopsync.OnTimer(time.Second)}
		},
		"ended by a future": func(p, q *actors.Promise[int]) []loopsync.Case {
			time.AfterFunc(time.Second, func() { q.Resolve(1) })
			return []loopsync.Case{loopsync.OnFuture(p.Future()), loopsync.OnFuture(q.Future())}
		},
		"ended by a channel": func(p, q *actors.Promise[int]) []loopsync.Case {
			return []loopsync.Case{loopsync.OnFuture(p.Future()), loopsync.OnFuture(q.Future()), loopsync.OnReceive(time.After(time.Second), nil, nil)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				p := new(actors.Promise[int])
				var collected atomic.Bool
				func() {
					q := new(actors.Promise[int])
					runtime.AddCleanup(q, func(*atomic.Bool) { collected.Store(true) }, &collected)
					f := b.selected(func() []loopsync.Case { return cases(p, q) })
					time.Sleep(2 * time.Second)
					b.ended(f, nil)
				}()
				for i := 0; i < 100 && !collected.Load(); i++ {
					runtime.GC()
					time.Sleep(time.Millisecond)
				}
				if !collected.Load() {
					b.Error("the other future is still in memory")
				}
				p.Resolve(1)
			})
		})
	}
}

// Of futures alone, a Select can close a ring.
func TestSelectInARing(t *testing.T) {
	for name, members := range map[string]func(f, other *actors.Future[actors.None]) []loopsync.Case{
		"one": func(f, _ *actors.Future[actors.None]) []loopsync.Case { return []loopsync.Case{loopsync.OnFuture(f)} },
		"twice": func(f, _ *actors.Future[actors.None]) []loopsync.Case {
			return []loopsync.Case{loopsync.OnFuture(f), loopsync.OnFuture(f)}
		},
		"Any, and a member that fails": func(f, other *actors.Future[actors.None]) []loopsync.Case {
			return []loopsync.Case{loopsync.OnFuture(futures.Any(f, other))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				var m loopsync.Mutex
				p := new(actors.Promise[actors.None])
				holder := b.task(func(t *actors.Task) error {
					if err := m.Lock(t); err != nil {
						return err
					}
					defer m.Unlock()
					waiter := actors.Start(t, func(t *actors.Task) (struct{}, error) {
						if err := m.Lock(t); err != nil {
							return struct{}{}, err
						}
						m.Unlock()
						return struct{}{}, nil
					})
					_, err := loopsync.Select(t, members(waiter, p.Future())...)
					return err
				})
				p.Reject(errors.New("no"))
				synctest.Wait()
				if _, err := holder.TryResult(); !errors.As(err, new(*actors.DeadlockError)) {
					b.Errorf("got %v", err)
				}
			})
		})
	}
}

// With a timer, a channel, or a future that anybody can complete, it is none.
func TestSelectInNoRing(t *testing.T) {
	p := new(actors.Promise[actors.None])
	for name, other := range map[string]func() loopsync.Case{
		"timer":   func() loopsync.Case { return loopsync.OnTimer(time.Minute) },
		"channel": func() loopsync.Case { return loopsync.OnReceive(time.After(time.Minute), nil, nil) },
		"promise": func() loopsync.Case {
			p = new(actors.Promise[actors.None])
			time.AfterFunc(time.Minute, func() { p.Resolve(struct{}{}) })
			return loopsync.OnFuture(p.Future())
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				pid := actortest.Spawn(b, b.sys.Root, "exclusive", func(w *actors.Worker) error {
					actors.Handle(w, func(t *actors.Task, _ string) (int, error) {
						back := actors.Submit(t, t.Self(), func(*actors.Task) (int, error) { return 0, nil }) // held back by this task
						return loopsync.Select(t, loopsync.OnFuture(back), other())
					}, actors.Exclusive())
					return nil
				}, quiet)
				if i, err := result(actors.RequestFuture[int](b.sys.Root, pid, "")); i != 1 || err != nil {
					b.Errorf("got %d, %v", i, err)
				}
			})
		})
	}
}

func TestSelectMisuse(t *testing.T) {
	run(t, func(b *bench) {
		testtools.WantPanic(b, func() { loopsync.OnFuture(nil) }, "loopsync: OnFuture called with a nil future")
		b.do(func(t *actors.Task) error {
			testtools.WantPanic(b, func() { _, _ = loopsync.Select(t, loopsync.OnTimer(0), loopsync.Case{}) }, "loopsync: Select", "a Case that is zero, at index 1")
			return nil
		})
		self := make(chan *actors.Future[actors.None], 1)
		f := b.task(func(t *actors.Task) error {
			own, _, err := loopsync.Receive(t, self)
			if err != nil {
				return err
			}
			testtools.WantPanic(b, func() { _, _ = loopsync.Select(t, loopsync.OnFuture(own)) }, "actors: Select: task", "awaits its own future")
			return nil
		})
		self <- f
		b.ended(f, nil)
	})
}

// A Select that is over keeps none of its futures: the task that goes on for long in the same turn
// does not hold what it has selected among.
func TestSelectKeepsNoFuture(t *testing.T) {
	for name, more := range map[string][]loopsync.Case{
		"futures alone": nil,
		"a timer, too":  {loopsync.OnTimer(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				b.ended(b.task(func(t *actors.Task) error {
					kept, err := selectAmongOwn(t, more)
					runtime.GC()
					for i, p := range kept {
						if p.Value() != nil {
							b.Errorf("future %d is held", i)
						}
					}
					return err
				}), nil)
			})
		})
	}
}

// selectAmongOwn selects among two futures that nobody else has, one of which completes meanwhile.
func selectAmongOwn(t *actors.Task, more []loopsync.Case) (kept []weak.Pointer[actors.Promise[int]], err error) {
	var cases []loopsync.Case
	for i := range 2 {
		p := new(actors.Promise[int])
		kept = append(kept, weak.Make(p))
		cases = append(cases, loopsync.OnFuture(p.Future()))
		if i == 0 {
			t.Go(func(t *actors.Task) error {
				err := t.Yield()
				p.Resolve(1)
				return err
			})
		}
	}
	_, err = loopsync.Select(t, append(cases, more...)...)
	return kept, err
}
