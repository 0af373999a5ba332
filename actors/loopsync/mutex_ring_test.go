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
	"github.com/protoloop/protoloop/actortest"
)

// A Lock by the task that holds the Mutex is a ring of one.
func TestMutexLockedTwice(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		b.do(func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			var ring *actors.DeadlockError
			if err := m.Lock(t); !errors.As(err, &ring) || len(ring.Path) != 1 || ring.Path[0].Id != "worker" {
				b.Errorf("the second Lock: %v", err)
			}
			m.Unlock()
			return m.Lock(t)
		})
	})
}

// Two tasks that take two locks in opposite order.
func TestMutexesInOppositeOrder(t *testing.T) {
	run(t, func(b *bench) {
		var m, n loopsync.Mutex
		both := func(x, y *loopsync.Mutex) *actors.Future[actors.None] {
			return b.task(func(t *actors.Task) error {
				if err := x.Lock(t); err != nil {
					return err
				}
				defer x.Unlock()
				if err := t.Sleep(time.Second); err != nil {
					return err
				}
				if err := y.Lock(t); err != nil {
					return err
				}
				defer y.Unlock()
				return nil
			})
		}
		one, two := both(&m, &n), both(&n, &m)
		_, err1 := result(one)
		_, err2 := result(two)
		var ring *actors.DeadlockError
		if err1 != nil || !errors.As(err2, &ring) {
			b.Errorf("got %v and %v", err1, err2)
		}
	})
}

// A task waits for a Mutex whose holder awaits it: whoever comes last closes
// the ring, also over other workers.
func TestMutexHolderAwaitsAWaiter(t *testing.T) {
	var ring *actors.DeadlockError
	t.Run("the holder closes it", func(t *testing.T) {
		run(t, func(b *bench) {
			var m loopsync.Mutex
			b.do(func(t *actors.Task) error {
				if err := m.Lock(t); err != nil {
					return err
				}
				defer m.Unlock()
				waiter := actors.Start(t, func(t *actors.Task) (int, error) { return 0, m.Lock(t) })
				if _, err := actors.Await(t, futures.All(waiter, waiter)); !errors.As(err, &ring) {
					b.Errorf("got %v", err)
				}
				waiter.Cancel()
				return nil
			})
		})
	})
	t.Run("a waiter of another task's closes it", func(t *testing.T) {
		run(t, func(b *bench) {
			var m loopsync.Mutex
			other := actortest.Spawn(b, b.sys.Root, "other", none, quiet)
			holder := b.task(func(t *actors.Task) error {
				if err := m.Lock(t); err != nil {
					return err
				}
				defer m.Unlock()
				// The other worker runs a function that waits for one of ours.
				f := actors.Submit(t, other, func(t *actors.Task) (int, error) {
					inner := actors.Submit(t, b.pid, func(t *actors.Task) (int, error) {
						if err := m.Lock(t); err != nil {
							return 0, err
						}
						m.Unlock()
						return 0, nil
					})
					return actors.Await(t, inner)
				})
				_, err := actors.Await(t, f)
				return err
			})
			synctest.Wait()
			_, err := holder.TryResult()
			if !errors.As(err, &ring) || len(ring.Path) != 2 {
				b.Errorf("got %v", err)
			}
			if m.Locked() {
				b.Error("it is still locked")
			}
		})
	})
}

// A wait for a Mutex that will be unlocked is no ring, however long it is.
func TestMutexLongWaitIsNoRing(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		b.do(func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			actors.Start(t, func(t *actors.Task) (int, error) {
				err := m.Lock(t)
				b.say("locked: %v", err)
				if err == nil {
					m.Unlock()
				}
				return 0, err
			})
			return nil
		})
		b.task(func(t *actors.Task) error { _ = t.Sleep(time.Hour); m.Unlock(); return nil })
		b.heard()
		time.Sleep(time.Hour)
		b.heard("locked: <nil>")
	})
}

// The ring is closed by whom the Mutex goes to, who cannot go on because an
// exclusive handler holds the loop; it is found in those in line.
func TestMutexBehindATaskThatCannotGoOn(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		pid := actortest.Spawn(b, b.sys.Root, "exclusive", func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, _ string) (string, error) {
				child := actors.Start(t, func(t *actors.Task) (int, error) { return 0, m.Lock(t) })
				_, err := actors.Await(t, child)
				return "", err
			}, actors.Exclusive())
			return nil
		}, quiet)
		b.pid = pid
		b.do(m.Lock)
		b.locker(&m, "ordinary")
		f := actors.RequestFuture[string](b.sys.Root, pid, "")
		synctest.Wait()
		var ring *actors.DeadlockError
		if _, err := f.TryResult(); !errors.As(err, &ring) {
			b.Errorf("got %v", err)
		}
		m.Unlock()
		b.heard("ordinary")
		time.Sleep(time.Second)
	})
}

// An exclusive handler gets a permit although one before it was served and
// cannot go on.
func TestSemaphoreInAnExclusiveHandler(t *testing.T) {
	run(t, func(b *bench) {
		s := loopsync.NewSemaphore(0)
		b.pid = actortest.Spawn(b, b.sys.Root, "exclusive", func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, _ string) (string, error) {
				s.Release()
				s.Release()
				err := s.Acquire(t)
				b.say("exclusive")
				return "", err
			}, actors.Exclusive())
			return nil
		}, quiet)
		b.acquirer(s, "ordinary")
		if _, err := result(actors.RequestFuture[string](b.sys.Root, b.pid, "")); err != nil {
			b.Error(err)
		}
		b.heard("exclusive", "ordinary")
	})
}

// The Mutex goes on to a task that then waits for one that is behind it in
// line: that wait closes the ring.
func TestMutexHandedOnToWhoAwaitsTheNextInLine(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		b.do(m.Lock)
		next := make(chan *actors.Future[actors.None], 1)
		second := b.task(func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			defer m.Unlock()
			_, err := actors.Await(t, <-next)
			return err
		})
		third := b.locker(&m, "third")
		next <- third
		b.pending(second, third)
		m.Unlock()
		var ring *actors.DeadlockError
		synctest.Wait()
		if _, err := second.TryResult(); !errors.As(err, &ring) {
			b.Errorf("got %v", err)
		}
		time.Sleep(time.Second)
		b.ended(third, nil)
	})
}

// The failure of a member of an Any closes a ring through a Mutex, without
// anything that is exclusive.
func TestMutexRingClosedByAMemberOfAny(t *testing.T) {
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
			_, err := actors.Await(t, futures.Any(waiter, p.Future()))
			return err
		})
		b.pending(holder)
		p.Reject(errors.New("no"))
		synctest.Wait()
		if _, err := holder.TryResult(); !errors.As(err, new(*actors.DeadlockError)) {
			b.Errorf("got %v", err)
		}
		if m.Locked() {
			b.Error("it is still locked")
		}
	})
}
