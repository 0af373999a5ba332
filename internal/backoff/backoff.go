// SPDX-License-Identifier: Apache-2.0

// Package backoff computes waits that grow from one failure to the next. It is the
// arithmetic of actors.Backoff, with the chance handed in, and imports nothing of the
// project.
package backoff

import (
	"cmp"
	"fmt"
	"math"
	"time"
)

// Backoff is an actors.Backoff: see there. One converts to the other.
type Backoff struct {
	Initial time.Duration
	Max     time.Duration
	Factor  float64
	Jitter  float64
}

// What a zero of a field stands for.
const (
	defaultMax    = time.Minute
	defaultFactor = 2
)

// Longest is the longest wait: Max with its default.
func (b Backoff) Longest() time.Duration { return max(cmp.Or(b.Max, defaultMax), b.Initial) }

// Wait is the wait after failure number n, from 1 on. random is in [0, 1). It is never
// negative and never more than Longest, whatever the fields are.
func (b Backoff) Wait(n int, random float64) time.Duration {
	if b.Initial <= 0 {
		return 0
	}
	longest := b.Longest()
	d := float64(b.Initial) * math.Pow(cmp.Or(b.Factor, defaultFactor), float64(max(n, 1)-1))
	d = min(d, float64(longest)) * (1 - b.Jitter*random)
	switch {
	case d >= float64(longest): // as a float, the longest Max is one more than it
		return longest
	case d > 0:
		return time.Duration(d)
	}
	return 0 // also if it is no number
}

// EachMistake calls bad for each field that cannot be meant, with its value and why. A
// value of nil is one that is missing.
func (b Backoff) EachMistake(bad func(field string, value any, why string)) {
	switch {
	case b.Initial < 0:
		bad("Initial", b.Initial, "is negative")
	case b.Initial == 0 && b != (Backoff{}):
		bad("Initial", nil, "is missing: without it there is no wait")
	}
	switch {
	case b.Max < 0:
		bad("Max", b.Max, "is negative")
	case b.Max > 0 && b.Max < b.Initial:
		bad("Max", b.Max, fmt.Sprintf("is less than Initial, %v", b.Initial))
	}
	if b.Factor != 0 && !(b.Factor >= 1) {
		bad("Factor", b.Factor, "is less than 1")
	}
	if !(b.Jitter >= 0 && b.Jitter <= 1) {
		bad("Jitter", b.Jitter, "is not between 0 and 1")
	}
}
