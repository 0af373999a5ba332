// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/testtools"
)

// acquirer takes a permit and says so.
func (b *bench) acquirer(s *loopsync.Semaphore, name string) *actors.Future[actors.None] {
	return b.task(func(t *actors.Task) error {
		if err := s.Acquire(t); err != nil {
			return err
		}
		b.say("%s", name)
		return nil
	})
}

func TestSemaphoreLetsAsManyPassAsItHasPermits(t *testing.T) {
	run(t, func(b *bench) {
		s := loopsync.NewSemaphore(2)
		passing, most := 0, 0
		start := time.Now()
		var fs []*actors.Future[actors.None]
		for range 6 {
			fs = append(fs, b.task(func(t *actors.Task) error {
				if err := s.Acquire(t); err != nil {
					return err
				}
				defer s.Release()
				passing++
				most = max(most, passing)
				defer func() { passing-- }()
				return t.Sleep(time.Second)
			}))
		}
		if _, err := result(futures.All(fs...)); err != nil || most != 2 || time.Since(start) != 3*time.Second || s.Free() != 2 {
			b.Errorf("%v; %d at a time, %v, %d free", err, most, time.Since(start), s.Free())
		}
	})
}

func TestSemaphoreZeroValueHasOnePermit(t *testing.T) {
	run(t, func(b *bench) {
		var s loopsync.Semaphore
		b.do(func(t *actors.Task) error {
			if !s.TryAcquire(t) || s.TryAcquire(t) || s.Free() != 0 {
				b.Error("it has not one permit")
			}
			s.Release()
			return s.Acquire(t)
		})
	})
}

func TestSemaphoreIsFair(t *testing.T) {
	run(t, func(b *bench) {
		s := loopsync.NewSemaphore(1)
		for _, name := range []string{"a", "b", "c"} {
			b.task(func(t *actors.Task) error {
				for range 2 {
					if err := s.Acquire(t); err != nil {
						return err
					}
					b.say("%s", name)
					_ = t.Sleep(time.Second)
					s.Release()
				}
				return nil
			})
		}
		time.Sleep(time.Minute)
		b.heard("a", "b", "c", "a", "b", "c")
	})
}

// A task that acquires while one that was served has yet to go on waits behind
// it, although there is a permit for both.
func TestSemaphoreNobodyOvertakesWhoWasServed(t *testing.T) {
	run(t, func(b *bench) {
		s := loopsync.NewSemaphore(0)
		b.acquirer(s, "first")
		b.do(func(t *actors.Task) error {
			for range 3 {
				s.Release()
			}
			if s.TryAcquire(t) {
				b.Error("TryAcquire has overtaken the first")
			}
			if err := s.Acquire(t); err != nil {
				return err
			}
			b.say("second")
			return nil
		})
		b.acquirer(s, "third")
		b.heard("first", "second", "third")
	})
}

func TestSemaphoreCancelledWaiters(t *testing.T) {
	run(t, func(b *bench) {
		s := loopsync.NewSemaphore(0)
		var fs []*actors.Future[actors.None]
		for _, name := range []string{"a", "b", "c", "d"} {
			fs = append(fs, b.acquirer(s, name))
		}
		b.do(func(*actors.Task) error {
			fs[0].Cancel()
			fs[1].Cancel()
			s.Release()
			return nil
		})
		b.heard("c")
		b.pending(fs[3])
		b.do(func(*actors.Task) error {
			s.Release()
			fs[3].Cancel() // after it was served
			return nil
		})
		b.heard()
		b.ended(fs[3], actors.ErrCanceled)
		if s.Free() != 1 {
			b.Errorf("%d free: the permit is lost", s.Free())
		}
	})
}

// The task that releases cancels the next one.
func TestSemaphoreIsNotLostWithAWaiterThatIsServedAndCancelled(t *testing.T) {
	run(t, func(b *bench) {
		var s loopsync.Semaphore
		b.do(s.Acquire)
		second := b.acquirer(&s, "second")
		third := b.acquirer(&s, "third")
		b.do(func(*actors.Task) error { s.Release(); second.Cancel(); return nil })
		b.heard("third")
		b.ended(third, nil)
		s.Release()
		if s.Free() != 1 {
			b.Errorf("%d free", s.Free())
		}
	})
}

func TestSemaphoreOfAnEndedTask(t *testing.T) {
	run(t, func(b *bench) {
		var s loopsync.Semaphore
		f := b.task(func(t *actors.Task) error {
			_ = t.Sleep(time.Hour)
			if s.TryAcquire(t) {
				b.Error("TryAcquire has taken a permit")
			}
			return s.Acquire(t)
		})
		f.Cancel()
		b.ended(f, actors.ErrCanceled)
		if s.Free() != 1 {
			b.Error("it has a permit")
		}
	})
}

func TestSemaphoreReleaseWithoutAcquireAddsAPermit(t *testing.T) {
	run(t, func(b *bench) {
		var s loopsync.Semaphore
		s.Release()
		if s.Free() != 2 {
			b.Errorf("%d free", s.Free())
		}
		testtools.WantPanic(b, func() { loopsync.NewSemaphore(-1) }, "loopsync: NewSemaphore: n is negative: -1")
	})
}

// What takes no task may be called on any goroutine.
func TestSemaphoreReleaseFromOutside(t *testing.T) {
	run(t, func(b *bench) {
		s := loopsync.NewSemaphore(0)
		f := b.acquirer(s, "a")
		go s.Release()
		synctest.Wait()
		b.heard("a")
		b.ended(f, nil)
	})
}

func TestSemaphoreWaitersEndWithTheirWorker(t *testing.T) {
	run(t, func(b *bench) {
		s := loopsync.NewSemaphore(0)
		b.restarts(time.Second)
		fs := []*actors.Future[actors.None]{b.acquirer(s, "a"), b.acquirer(s, "b")}
		b.sys.Root.Send(b.pid, "fail")
		synctest.Wait()
		s.Release()
		for _, f := range fs {
			if _, err := result(f); !errors.Is(err, actors.ErrRestarted) {
				b.Errorf("ended with %v", err)
			}
		}
		b.do(s.Acquire) // in the new incarnation
	})
}

// Who is served as it comes, because those before it have all been, goes on
// behind them, and before those after it.
func TestSemaphoreGoesOnInOrder(t *testing.T) {
	run(t, func(b *bench) {
		s := loopsync.NewSemaphore(0)
		acquire := func(t *actors.Task, name string) {
			actors.Start(t, func(t *actors.Task) (int, error) {
				err := s.Acquire(t)
				b.say("%s", name)
				return 0, err
			})
		}
		b.do(func(t *actors.Task) error {
			acquire(t, "a")
			s.Release()
			s.Release()
			acquire(t, "b") // a permit is there
			acquire(t, "c")
			s.Release()
			return nil
		})
		b.heard("a", "b", "c")
	})
}
