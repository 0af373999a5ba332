// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"math"
	"math/rand/v2"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
)

// exitReason is how a child ended by itself.
type exitReason struct {
	failed  bool
	err     error
	retried bool // the message that it failed of will be handled anew
}

// exitReasonOf is the exit reason of a child whose mailbox has reported f.
func exitReasonOf(f *link.Failure) exitReason { return exitReason{f.Err != nil, f.Err, f.Retried} }

// decision is what a supervisor does about it.
type decision int

const (
	decideRestart  decision = iota
	decideLetGo             // it stays down: a Temporary one is forgotten
	decideEscalate          // the supervisor ends, too
)

// decideOnExit is OTP's table of restart types and reasons. A child overrides it by
// its error: ErrEscalate, ErrDoNotRestart.
func decideOnExit(r Restart, e exitReason) decision {
	switch {
	case errorIs(e.err, actors.ErrEscalate):
		return decideEscalate
	case errorIs(e.err, actors.ErrDoNotRestart):
		return decideLetGo
	case r == Permanent, r == Transient && e.failed:
		return decideRestart
	}
	return decideLetGo
}

// affectedRange are the indexes, from and to, of the n children that restart when
// child i has failed.
func (s Strategy) affectedRange(i, n int) (from, to int) {
	switch s {
	case OneForAll:
		return 0, n
	case RestForOne:
		return i, n
	}
	return i, i + 1
}

// endsSupervisor reports whether the supervisor ends because a significant child
// has ended by itself; left is how many of them have not.
func (a AutoShutdown) endsSupervisor(left int) bool {
	return a == AnySignificant || a == AllSignificant && left == 0
}

// intensity tracks the restarts of one supervisor in a sliding window.
//
// OTP: "If more than MaxR number of restarts occur in the last MaxT seconds,
// the supervisor terminates all the child processes and then itself." A restart
// that is exactly that old still counts there, and here.
type intensity struct {
	maxRestarts int
	within      time.Duration
	restartedAt []time.Time
}

// unlimited, as the most restarts there may be, is no limit.
const unlimited = math.MaxInt

func newIntensity(most int, within time.Duration) intensity {
	return intensity{maxRestarts: max(cmp.Or(most, 1), 0), within: cmp.Or(within, 5*time.Second)}
}

// countRestart notes a restart; false: it is one too many.
func (i *intensity) countRestart(now time.Time) bool {
	if i.maxRestarts == unlimited {
		return true
	}
	first := 0
	for first < len(i.restartedAt) && now.Sub(i.restartedAt[first]) > i.within {
		first++
	}
	i.restartedAt = append(i.restartedAt[first:], now)
	return len(i.restartedAt) <= i.maxRestarts
}

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

func (b Backoff) maxWait() time.Duration    { return max(cmp.Or(b.Max, time.Minute), b.Initial) }
func (b Backoff) resetAfter() time.Duration { return cmp.Or(b.ResetAfter, b.maxWait()) }

// waitBefore is the one before restart number n, from 1 on. random is in [0, 1).
func (b Backoff) waitBefore(n int, random float64) time.Duration {
	if b.Initial == 0 {
		return 0
	}
	d := float64(b.Initial) * math.Pow(cmp.Or(b.Factor, 2), float64(n-1))
	d = min(d, float64(b.maxWait())) * (1 - b.Jitter*random)
	if d >= float64(b.maxWait()) { // as a float, the longest Max is one more than it
		return b.maxWait()
	}
	return time.Duration(d)
}

func (b Backoff) listMistakes(bad func(field, problem string, args ...any)) {
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

// restartDelay tracks the failures of one child.
type restartDelay struct {
	attempts int
	upSince  time.Time // it came up last; zero: it has not since it failed
}

// nextDelay is the wait before the restart that is due now.
func (r *restartDelay) nextDelay(b Backoff, now time.Time) time.Duration {
	if !r.upSince.IsZero() && now.Sub(r.upSince) >= b.resetAfter() {
		r.attempts = 0
	}
	r.upSince = time.Time{}
	r.attempts++
	return b.waitBefore(r.attempts, rand.Float64())
}
