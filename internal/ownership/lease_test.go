// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLeaseEnds: at its time, once, and not before it was extended for the last time.
func TestLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewSystemClock()
		begun := c.Now()
		var ends atomic.Int32
		l := NewLease(c, begun+time.Second, func() { ends.Add(1) })
		time.Sleep(600 * time.Millisecond)
		l.Extend(begun + 1500*time.Millisecond)
		l.Extend(begun + 1200*time.Millisecond) // an answer that was overtaken
		time.Sleep(899 * time.Millisecond)
		synctest.Wait()
		if !l.Holds() || ends.Load() != 0 || !l.While(func() {}) {
			t.Error("it has ended too early")
		}
		time.Sleep(time.Millisecond)
		if l.Holds() {
			t.Error("it holds at its end")
		}
		synctest.Wait()
		if ends.Load() != 1 {
			t.Errorf("it has ended %d times", ends.Load())
		}
		l.Extend(begun + time.Hour)
		l.End()
		l.Look()
		if l.Holds() || ends.Load() != 1 || l.While(func() { t.Error("while it did not hold") }) {
			t.Error("it goes on after its end")
		}
	})
}

// TestLeaseEndsWithoutTimer: a timer stands still while the machine sleeps. Whoever looks first ends the lease,
// and an answer that comes then does not extend it.
func TestLeaseEndsWithoutTimer(t *testing.T) {
	for _, how := range []string{"look", "extend", "while"} {
		synctest.Test(t, func(t *testing.T) {
			var slept atomic.Int64
			c := sleepy{NewSystemClock(), &slept}
			var ends atomic.Int32
			l := NewLease(c, c.Now()+2*time.Second, func() { ends.Add(1) })
			defer l.End()
			slept.Add(int64(10 * time.Second))
			if l.Holds() {
				t.Error("it holds after 10 s")
			}
			switch how {
			case "look":
				l.Look()
			case "extend":
				l.Extend(c.Now() + time.Second)
			case "while":
				if l.While(func() { t.Error("while it did not hold") }) {
					t.Error("it says so")
				}
				l.Look()
			}
			if l.Holds() || ends.Load() != 1 {
				t.Errorf("%s: it holds: %v, has ended %d times", how, l.Holds(), ends.Load())
			}
		})
	}
}

// sleepy is a clock of a machine that sleeps.
type sleepy struct {
	Clock
	slept *atomic.Int64
}

func (c sleepy) Now() time.Duration { return c.Clock.Now() + time.Duration(c.slept.Load()) }
