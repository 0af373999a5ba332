// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestClockIsVirtual: in a bubble it is the bubble's.
func TestClockIsVirtual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewSystemClock()
		before := c.Now()
		time.Sleep(5 * time.Second)
		if d := c.Now() - before; d != 5*time.Second {
			t.Errorf("5 s were %v", d)
		}
	})
}

// TestClockCountsSleep: the machine sleeps, and its wall clock is set as it goes on.
func TestClockCountsSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asleep time.Duration
		c := newClock(func() time.Duration { return asleep })
		before := c.Now()
		asleep = 10 * time.Second
		// A bubble has no such jump, so it was the other way round: the wall clock was behind before.
		c.last.Store(&reading{-10 * time.Second, 0})
		if d := c.Now() - before; d != 10*time.Second {
			t.Errorf("10 s were %v", d)
		}
		if d := c.Now() - before; d != 10*time.Second {
			t.Errorf("later 10 s were %v", d)
		}
	})
}

// TestSleptIsKnown: it is read from the machine, and does not go back.
func TestSleptIsKnown(t *testing.T) {
	first := slept()
	for range 100 {
		if s := slept(); s < 0 || s < first-time.Second {
			t.Fatalf("the machine has slept for %v, and for %v before", s, first)
		}
	}
}

func BenchmarkNow(b *testing.B) {
	b.Run("clock", func(b *testing.B) {
		c := NewSystemClock()
		for b.Loop() {
			c.Now()
		}
	})
	b.Run("system-calls", func(b *testing.B) {
		for b.Loop() {
			slept()
		}
	})
}
