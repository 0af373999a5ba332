// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// locker locks m, says so, and keeps it for a second.
func (b *bench) locker(m *loopsync.Mutex, name string) *actors.Future[actors.None] {
	return b.task(func(t *actors.Task) error {
		if err := m.Lock(t); err != nil {
			return err
		}
		defer m.Unlock()
		b.say("%s", name)
		return t.Sleep(time.Second)
	})
}

func TestMutexLetsOneTaskPassAtATime(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		start := time.Now()
		for _, name := range []string{"a", "b", "c"} {
			b.locker(&m, name)
		}
		b.heard("a")
		time.Sleep(time.Second)
		b.heard("b")
		time.Sleep(time.Second)
		b.heard("c")
		time.Sleep(time.Second)
		synctest.Wait()
		if m.Locked() || time.Since(start) != 3*time.Second {
			b.Error("it is still locked")
		}
	})
}

// Who unlocks it and locks it again at once waits behind the others.
func TestMutexIsFair(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		for _, name := range []string{"a", "b", "c"} {
			b.task(func(t *actors.Task) error {
				for range 2 {
					if err := m.Lock(t); err != nil {
						return err
					}
					b.say("%s", name)
					_ = t.Sleep(time.Second)
					m.Unlock()
				}
				return nil
			})
		}
		time.Sleep(time.Minute)
		b.heard("a", "b", "c", "a", "b", "c")
	})
}

func TestMutexThatIsFreeIsLockedWithoutAnAwait(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		b.do(func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (int, error) { _ = t.Yield(); b.say("other"); return 0, nil })
			for range 3 {
				if err := m.Lock(t); err != nil {
					return err
				}
				m.Unlock()
			}
			b.say("done")
			return nil
		})
		b.heard("done", "other")
	})
}

func TestMutexCancelledWaiterLeavesTheLine(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		b.locker(&m, "a")
		second := b.locker(&m, "b")
		b.locker(&m, "c")
		second.Cancel()
		b.ended(second, actors.ErrCanceled)
		time.Sleep(time.Second)
		b.heard("a", "c")
	})
}

// The lock is passed on to a waiter in the moment in which that is cancelled,
// before or after.
func TestMutexIsNotLostWithAWaiterThatIsCancelledWhenItsTurnComes(t *testing.T) {
	for _, order := range []string{"cancel first", "unlock first"} {
		t.Run(order, func(t *testing.T) {
			run(t, func(b *bench) {
				var m loopsync.Mutex
				b.do(m.Lock)
				second := b.locker(&m, "b")
				third := b.locker(&m, "c")
				b.do(func(*actors.Task) error {
					if order == "cancel first" {
						second.Cancel()
						m.Unlock()
					} else {
						m.Unlock()
						second.Cancel()
					}
					return nil
				})
				b.heard("c")
				b.ended(second, actors.ErrCanceled)
				b.pending(third)
				time.Sleep(time.Second)
				b.ended(third, nil)
				if m.Locked() {
					b.Error("it is still locked")
				}
			})
		})
	}
}

func TestMutexOfAnEndedTask(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		f := b.task(func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			_ = t.Sleep(time.Hour)
			m.Unlock() // works while unwinding
			if err := m.Lock(t); !errors.Is(err, actors.ErrCanceled) {
				b.Errorf("Lock: %v", err)
			}
			if m.TryLock(t) {
				b.Error("TryLock has locked it")
			}
			return t.Cleanup(time.Minute, func(t *actors.Task) error {
				if err := m.Lock(t); err != nil {
					b.Errorf("Lock in a Cleanup: %v", err)
				}
				m.Unlock()
				b.say("cleaned up")
				return nil
			})
		})
		f.Cancel()
		b.heard("cleaned up")
	})
}

func TestMutexTimeout(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		b.do(m.Lock)
		f := actors.Submit(b.sys.Root, b.pid, func(t *actors.Task) (int, error) { return 0, m.Lock(t) }, actors.Timeout(time.Second))
		if _, err := result(f); !errors.Is(err, actors.ErrTimeout) {
			b.Errorf("got %v", err)
		}
		m.Unlock() // to a task that has been ended, and passes it on
		synctest.Wait()
		if m.Locked() {
			b.Error("it is still locked")
		}
	})
}

func TestMutexTryLock(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		b.do(func(t *actors.Task) error {
			if !m.TryLock(t) || m.TryLock(t) {
				b.Error("TryLock")
			}
			return nil
		})
		waiter := b.locker(&m, "waiter")
		b.do(func(t *actors.Task) error {
			m.Unlock()
			if m.TryLock(t) {
				b.Error("TryLock has overtaken who was in line")
			}
			return nil
		})
		b.heard("waiter")
		b.pending(waiter)
	})
}

func TestMutexUnlockOfAnUnlockedOne(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		testtools.WantPanic(b, m.Unlock, "loopsync: Unlock of a Mutex that is not locked")
	})
}

func TestPrimitivesBelongToOneLoop(t *testing.T) {
	run(t, func(b *bench) {
		var (
			m loopsync.Mutex
			s loopsync.Semaphore
			e loopsync.Event
			q loopsync.Queue[int]
		)
		uses := map[string]func(t *actors.Task) error{
			"Mutex.Lock":           m.Lock,
			"Mutex.TryLock":        func(t *actors.Task) error { m.TryLock(t); return nil },
			"Semaphore.Acquire":    s.Acquire,
			"Semaphore.TryAcquire": func(t *actors.Task) error { s.TryAcquire(t); return nil },
			"Event.Wait":           e.Wait,
			"Queue.Put":            func(t *actors.Task) error { return q.Put(t, 1) },
			"Queue.Get":            func(t *actors.Task) error { _, err := q.Get(t); return err },
			"Queue.Join":           q.Join,
		}
		e.Set()
		for _, name := range []string{"Mutex.Lock", "Semaphore.Acquire", "Event.Wait", "Queue.Put"} {
			b.do(uses[name])
		}
		other := actortest.Spawn(b, b.sys.Root, "other", none, quiet)
		for name, use := range uses {
			v, err := result(actors.Submit(b.sys.Root, other, func(t *actors.Task) (any, error) {
				return testtools.PanicOf(func() { _ = use(t) }), nil
			}))
			want := "loopsync: " + name + " called by a task of worker other: it belongs to the loop of worker worker, which has used it first"
			if v != want || err != nil {
				b.Errorf("%s: panic %q, %v", name, v, err)
			}
		}
	})
}

func TestPrimitivesWantTheTaskThatRuns(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		testtools.WantPanic(b, func() { _ = m.Lock(nil) }, "actors: Mutex.Lock called with a Task that is not one of a worker")
		b.do(func(t *actors.Task) error {
			f := actors.Start(t, func(*actors.Task) (int, error) {
				testtools.WantPanic(b, func() { _ = m.Lock(t) }, "actors: Mutex.Lock called with the Task of", "by a function that it has started")
				return 0, nil
			})
			_, err := actors.Await(t, f)
			return err
		})
	})
}
