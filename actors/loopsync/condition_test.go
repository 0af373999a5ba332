// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/testtools"
)

// conditioned waits for c with m, if that is not nil, locked, and says what came of it.
func (b *bench) conditioned(c *loopsync.Condition, m *loopsync.Mutex, name string) *actors.Future[actors.None] {
	return b.task(func(t *actors.Task) error {
		if m != nil {
			if err := m.Lock(t); err != nil {
				return err
			}
			defer m.Unlock()
		}
		err := c.Wait(t)
		if err == nil {
			b.say("%s", name)
		} else {
			b.say("%s ended", name)
		}
		return err
	})
}

// withAndWithoutMutex runs f for a Condition of its own and for one over a Mutex.
func withAndWithoutMutex(t *testing.T, f func(b *bench, c *loopsync.Condition, m *loopsync.Mutex)) {
	t.Run("without a Mutex", func(t *testing.T) {
		run(t, func(b *bench) { f(b, new(loopsync.Condition), nil) })
	})
	t.Run("over a Mutex", func(t *testing.T) {
		run(t, func(b *bench) {
			m := new(loopsync.Mutex)
			f(b, loopsync.NewCondition(m), m)
			synctest.Wait()
			if m.Locked() {
				b.Error("the Mutex is still locked")
			}
			b.do(func(t *actors.Task) error {
				if err := m.Lock(t); err != nil {
					return err
				}
				m.Unlock()
				return nil
			})
		})
	})
}

func TestConditionNotifiesInOrder(t *testing.T) {
	withAndWithoutMutex(t, func(b *bench, c *loopsync.Condition, m *loopsync.Mutex) {
		c.Notify(10) // nobody is there, and nothing is kept
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			b.conditioned(c, m, name)
		}
		b.heard()
		c.Notify(0)
		c.Notify(-1)
		b.heard()
		c.Notify(1)
		b.heard("a")
		c.Notify(2)
		b.heard("b", "c")
		late := b.conditioned(c, m, "late")
		c.NotifyAll()
		b.heard("d", "e", "late")
		b.ended(late, nil)
	})
}

// Whoever was notified and is cancelled before it goes on does not keep it from others.
func TestConditionNotificationIsNotLost(t *testing.T) {
	withAndWithoutMutex(t, func(b *bench, c *loopsync.Condition, m *loopsync.Mutex) {
		first := b.conditioned(c, m, "a")
		b.conditioned(c, m, "b")
		b.do(func(*actors.Task) error { c.Notify(1); first.Cancel(); return nil })
		b.ended(first, actors.ErrCanceled)
		b.heard("a ended", "b")
	})
}

// The same, if it is cancelled when it waits for the Mutex.
func TestConditionNotificationIsNotLostBehindTheMutex(t *testing.T) {
	run(t, func(b *bench) {
		m := new(loopsync.Mutex)
		c := loopsync.NewCondition(m)
		first := b.conditioned(c, m, "a")
		b.conditioned(c, m, "b")
		b.do(m.Lock)
		c.Notify(1)
		b.heard()
		first.Cancel()
		b.heard() // it waits for the Mutex, to have it in its deferred code
		m.Unlock()
		b.heard("a ended", "b")
	})
}

// The Mutex is unlocked while a task waits, and locked when it goes on, also if it was
// ended.
func TestConditionHoldsTheMutex(t *testing.T) {
	run(t, func(b *bench) {
		m := new(loopsync.Mutex)
		c := loopsync.NewCondition(m)
		inside := 0
		waiter := func() *actors.Future[actors.None] {
			return b.task(func(t *actors.Task) error {
				if err := m.Lock(t); err != nil {
					return err
				}
				defer m.Unlock()
				err := c.Wait(t)
				if inside != 0 {
					b.Error("another task holds the Mutex")
				}
				return err
			})
		}
		var fs []*actors.Future[actors.None]
		for range 6 {
			fs = append(fs, waiter())
		}
		if m.Locked() {
			b.Error("it is locked while all wait")
		}
		b.task(func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			defer m.Unlock()
			inside++
			defer func() { inside-- }()
			c.Notify(3)
			for _, f := range fs[2:5] {
				f.Cancel()
			}
			return t.Sleep(time.Second)
		})
		time.Sleep(2 * time.Second)
		for i, want := range []error{nil, nil, actors.ErrCanceled, actors.ErrCanceled, actors.ErrCanceled, nil} {
			b.ended(fs[i], want) // the last one in place of the third
		}
		if m.Locked() {
			b.Error("it is still locked")
		}
	})
}

func TestConditionWaitFor(t *testing.T) {
	withAndWithoutMutex(t, func(b *bench, c *loopsync.Condition, m *loopsync.Mutex) {
		n := 0
		waitFor := func(want int) *actors.Future[actors.None] {
			return b.task(func(t *actors.Task) error {
				if m != nil {
					if err := m.Lock(t); err != nil {
						return err
					}
					defer m.Unlock()
				}
				return c.WaitFor(t, func() bool { return n >= want })
			})
		}
		b.ended(waitFor(0), nil)
		two, one := waitFor(2), waitFor(1)
		c.NotifyAll()
		b.pending(one, two)
		b.do(func(*actors.Task) error { n++; c.NotifyAll(); return nil })
		b.ended(one, nil)
		b.pending(two)
		two.Cancel()
		b.ended(two, actors.ErrCanceled)
	})
}

// A task that has been ended gets that, even if it need not wait.
func TestConditionOfAnEndedTask(t *testing.T) {
	run(t, func(b *bench) {
		var c loopsync.Condition
		f := b.task(func(t *actors.Task) error {
			_ = t.Sleep(time.Hour)
			if err := c.Wait(t); !errors.Is(err, actors.ErrCanceled) {
				b.Errorf("Wait: %v", err)
			}
			return c.WaitFor(t, func() bool { b.Error("it was called"); return true })
		})
		f.Cancel()
		b.ended(f, actors.ErrCanceled)
	})
}

// In UntilStop the wait ends at the stop event.
func TestConditionUntilStop(t *testing.T) {
	run(t, func(b *bench) {
		m := new(loopsync.Mutex)
		c := loopsync.NewCondition(m)
		b.task(func(t *actors.Task) error {
			return t.UntilStop(func(t *actors.Task) error {
				if err := m.Lock(t); err != nil {
					return err
				}
				defer m.Unlock()
				return c.Wait(t)
			})
		})
	}) // the stop would take an hour
}

// A restart ends the wait, and the next incarnation finds the Mutex unlocked.
func TestConditionRestart(t *testing.T) {
	run(t, func(b *bench) {
		m := new(loopsync.Mutex)
		c := loopsync.NewCondition(m)
		b.restarts(time.Minute)
		f := b.conditioned(c, m, "a")
		b.sys.Root.Send(b.pid, "fail")
		b.ended(f, actors.ErrRestarted)
		b.heard("a ended")
		b.conditioned(c, m, "b")
		c.Notify(1)
		b.heard("b")
	})
}

// The holder waits for the return of a task that wants the Mutex back: nobody can go on
// but by giving up.
func TestConditionMutexCannotBeLockedAgain(t *testing.T) {
	run(t, func(b *bench) {
		m := new(loopsync.Mutex)
		c := loopsync.NewCondition(m)
		for _, order := range []string{"the waiter is first", "the holder is first"} {
			start := time.Now()
			holder := b.task(func(t *actors.Task) error {
				g := t.NewGroup()
				member := g.Go(func(t *actors.Task) error {
					if err := m.Lock(t); err != nil {
						return err
					}
					defer m.Unlock()
					err := c.Wait(t)
					b.say("after %v: %v", time.Since(start), errors.Is(err, actors.ErrCanceled))
					return err
				})
				if err := m.Lock(t); err != nil {
					return err
				}
				defer m.Unlock()
				if order == "the waiter is first" {
					member.Cancel()
					if err := t.Sleep(time.Second); err != nil {
						return err
					}
				}
				g.Cancel()
				_ = g.Wait()
				b.say("holder")
				return nil
			})
			time.Sleep(time.Minute)
			b.ended(holder, nil)
			if m.Locked() {
				b.Fatal("it is still locked")
			}
		}
		b.heard("after 10s: true", "holder", "after 0s: true", "holder")
	})
}

// The wait for the Mutex closes a ring: the error says so, and the Unlock of the task
// unlocks nothing.
func TestConditionRing(t *testing.T) {
	run(t, func(b *bench) {
		m := new(loopsync.Mutex)
		c := loopsync.NewCondition(m)
		waiter := b.task(func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			defer m.Unlock()
			return c.Wait(t)
		})
		holder := b.task(func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			defer m.Unlock()
			c.Notify(1)
			_ = t.Await(waiter)
			b.say("locked: %v", m.Locked())
			return nil
		})
		b.ended(holder, nil)
		b.heard("locked: true")
		if _, err := waiter.TryResult(); !errors.As(err, new(*actors.DeadlockError)) || !strings.Contains(err.Error(), "Condition.Wait could not lock the Mutex again") {
			b.Errorf("got %v", err)
		}
		if m.Locked() {
			b.Error("it is still locked")
		}
	})
}

// The holder unlocks the Mutex before the task that did not get it back calls Unlock: each
// Unlock is taken for whose it is.
func TestConditionUnlockOfTheHolder(t *testing.T) {
	run(t, func(b *bench) {
		m := new(loopsync.Mutex)
		c := loopsync.NewCondition(m)
		waiter := b.task(func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			defer m.Unlock()
			err := c.Wait(t)
			_ = t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(10 * time.Second) })
			return err
		})
		holder := b.task(func(t *actors.Task) error {
			if err := m.Lock(t); err != nil {
				return err
			}
			defer m.Unlock()
			c.Notify(1)
			_ = t.Await(waiter)
			return nil
		})
		b.pending(holder)
		waiter.Cancel() // its future is done, and its function goes on
		b.ended(holder, nil)
		if m.Locked() {
			b.Error("it is still locked")
		}
		b.do(m.Lock)
		time.Sleep(time.Minute)
		if !m.Locked() {
			b.Error("another task has unlocked it")
		}
		m.Unlock()
	})
}

func TestConditionMisuse(t *testing.T) {
	run(t, func(b *bench) {
		testtools.WantPanic(b, func() { loopsync.NewCondition(nil) }, "loopsync: NewCondition: m is nil")
		m := new(loopsync.Mutex)
		c := loopsync.NewCondition(m)
		b.do(func(t *actors.Task) error {
			testtools.WantPanic(b, func() { _ = c.Wait(t) }, "loopsync: Condition.Wait called by task", "which does not hold the Mutex")
			testtools.WantPanic(b, func() { _ = c.WaitFor(t, nil) }, "loopsync: Condition.WaitFor called with a nil function")
			return nil
		})
		b.do(m.Lock)
		b.do(func(t *actors.Task) error { // another task
			testtools.WantPanic(b, func() { _ = c.WaitFor(t, func() bool { return true }) }, "loopsync: Condition.WaitFor", "does not hold the Mutex")
			return nil
		})
		m.Unlock()
		testtools.WantPanic(b, m.Unlock, "loopsync: Unlock of a Mutex that is not locked")
	})
}
