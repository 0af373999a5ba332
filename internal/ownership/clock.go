// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"sync/atomic"
	"time"
)

// Clock is the time by which a node counts its lease.
type Clock interface {
	// Now is the time since some moment. It counts the time in which the machine sleeps.
	Now() time.Duration
	// AfterFunc is [time.AfterFunc]. A timer may be late by the time in which the machine slept.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is [time.Timer], of AfterFunc.
type Timer interface{ Stop() bool }

// SystemClock is that of the machine: Go's own, and the time for which the machine has slept. In a bubble of
// testing/synctest it is virtual.
type SystemClock struct {
	begun time.Time
	slept func() time.Duration
	last  atomic.Pointer[reading]
}

// reading is what was known of the sleep when the wall clock was that much ahead of Go's.
type reading struct{ ahead, slept time.Duration }

// NewSystemClock begins at 0.
func NewSystemClock() *SystemClock { return newClock(slept) }

func newClock(slept func() time.Duration) *SystemClock {
	c := &SystemClock{begun: time.Now(), slept: slept}
	c.last.Store(&reading{0, slept()})
	return c
}

// maxAhead is by how much the wall clock may have moved against Go's before the sleep is read again.
const maxAhead = time.Millisecond

// Now is [Clock]'s. To read the sleep takes system calls. But as the machine goes on, its wall clock is set by as
// much, so that is looked at first, which takes none (BenchmarkNow).
func (c *SystemClock) Now() time.Duration {
	now := time.Now()
	since := now.Sub(c.begun)
	ahead := time.Duration(now.UnixNano()-c.begun.UnixNano()) - since
	last := c.last.Load()
	if moved := ahead - last.ahead; moved > maxAhead || moved < -maxAhead {
		last = &reading{ahead, c.slept()}
		c.last.Store(last)
	}
	return since + last.slept
}

// AfterFunc is [Clock]'s. A timer that is due at once crashes Go 1.26.8 in a bubble under -race.
func (c *SystemClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(max(d, 1), f) }
