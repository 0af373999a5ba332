// SPDX-License-Identifier: Apache-2.0

package ownership

import "time"

// Clock is the time by which a node counts its lease.
type Clock interface {
	// Now is the time since some moment. It counts the time in which the machine sleeps.
	Now() time.Duration
	// AfterFunc is [time.AfterFunc]. A timer may be late by the time in which the machine slept.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is [time.Timer], of AfterFunc.
type Timer interface{ Stop() bool }

// SystemClock is that of the machine. Of what Go's clock says it corrects the sleep only, so that it
// is virtual in a bubble of testing/synctest.
type SystemClock struct {
	begun time.Time
	slept time.Duration // before
}

// NewSystemClock begins at 0.
func NewSystemClock() *SystemClock { return &SystemClock{time.Now(), slept()} }

// Now is [Clock]'s.
func (c *SystemClock) Now() time.Duration { return time.Since(c.begun) + slept() - c.slept }

// AfterFunc is [Clock]'s.
func (c *SystemClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
