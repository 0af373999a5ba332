package supervisor

import (
	"cmp"
	"math"
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait before a restart: Initial, and with each further
// failure Factor times as long, up to Max. OTP has none.
type Backoff struct {
	Initial time.Duration // the first wait; 0: none
	Max     time.Duration // the longest; 0: 1 min
	Factor  float64       // at least 1; 0: 2
	// Jitter, from 0 to 1, is the part of the wait that is random: with 1 it is
	// anything up to the full wait, evenly distributed, with 0.2 the last
	// fifth. Children that fail of the same thing do not come back all at once.
	Jitter float64
	// ResetAfter is how long a child has to be up for its next wait to be
	// Initial again; 0: as long as Max.
	ResetAfter time.Duration
}

func (b Backoff) max() time.Duration        { return max(cmp.Or(b.Max, time.Minute), b.Initial) }
func (b Backoff) resetAfter() time.Duration { return cmp.Or(b.ResetAfter, b.max()) }

// wait is the one before restart number n, from 1 on. random is in [0, 1).
func (b Backoff) wait(n int, random float64) time.Duration {
	if b.Initial == 0 {
		return 0
	}
	d := float64(b.Initial) * math.Pow(cmp.Or(b.Factor, 2), float64(n-1))
	d = min(d, float64(b.max())) * (1 - b.Jitter*random)
	if d >= float64(b.max()) { // as a float, the longest Max is one more than it
		return b.max()
	}
	return time.Duration(d)
}

func (b Backoff) mistakes(bad func(field, problem string, args ...any)) {
	if b.Initial < 0 {
		bad("Initial", "%v is negative", b.Initial)
	}
	if b.Max < 0 {
		bad("Max", "%v is negative", b.Max)
	} else if b.Max > 0 && b.Max < b.Initial {
		bad("Max", "%v is less than Initial, %v", b.Max, b.Initial)
	}
	if b.Factor != 0 && !(b.Factor >= 1) {
		bad("Factor", "%v is less than 1", b.Factor)
	}
	if !(b.Jitter >= 0 && b.Jitter <= 1) {
		bad("Jitter", "%v is not between 0 and 1", b.Jitter)
	}
	if b.ResetAfter < 0 {
		bad("ResetAfter", "%v is negative", b.ResetAfter)
	}
	if b.Initial == 0 && b != (Backoff{}) {
		bad("Initial", "missing: without it there is no wait")
	}
}

// retries tracks the failures of one child.
type retries struct {
	n       int
	readyAt time.Time // it came up last; zero: it has not since it failed
}

// next is the wait before the restart that is due now.
func (r *retries) next(b Backoff, now time.Time) time.Duration {
	if !r.readyAt.IsZero() && now.Sub(r.readyAt) >= b.resetAfter() {
		r.n = 0
	}
	r.readyAt = time.Time{}
	r.n++
	return b.wait(r.n, rand.Float64())
}
