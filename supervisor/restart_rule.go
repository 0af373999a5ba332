// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"math"
	"time"

	"github.com/protoloop/protoloop/internal/restartwindow"
	"github.com/protoloop/protoloop/internal/safeerr"
	"github.com/protoloop/protoloop/internal/supervision"
)

// exitReason is how a child ended by itself.
type exitReason struct {
	failed  bool
	err     error
	retried bool // the message that it failed of will be handled anew
}

// exitReasonOf is the exit reason of a child whose mailbox has reported f.
func exitReasonOf(f *supervision.Failure) exitReason {
	return exitReason{f.Err != nil, f.Err, f.Retried}
}

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
	case safeerr.Is(e.err, ErrEscalate):
		return decideEscalate
	case safeerr.Is(e.err, ErrDoNotRestart):
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

// intensity tracks the restarts of one supervisor.
type intensity struct {
	maxRestarts int
	within      time.Duration
	window      restartwindow.Window
}

// unlimited, as the most restarts there may be, is no limit.
const unlimited = math.MaxInt

func newIntensity(most int, within time.Duration) intensity {
	return intensity{maxRestarts: max(cmp.Or(most, 1), 0), within: cmp.Or(within, 5*time.Second)}
}

// countRestart notes a restart; false: it is one too many.
func (i *intensity) countRestart(now time.Time) bool {
	return i.maxRestarts == unlimited || i.window.Count(now, i.maxRestarts, i.within)
}

// usedAt is what may be shown of it. With the node's mu held.
func (i *intensity) usedAt(now time.Time) (maxRestarts int, within time.Duration, used int) {
	if i.maxRestarts == unlimited {
		return -1, i.within, 0
	}
	return i.maxRestarts, i.within, i.window.Len(now, i.within)
}

// restartDelay tracks the failures of one child.
type restartDelay struct {
	attempts int       // restarts in the row of failures that lasts
	counted  bool      // one of them has been counted
	upSince  time.Time // it came up last; zero: it has not since it failed
}

// noteFailure adds one, which a restart is to follow. A child that has been up for long
// enough begins a new row.
func (r *restartDelay) noteFailure(spec *Child, now time.Time) {
	if !r.upSince.IsZero() && now.Sub(r.upSince) >= spec.resetAfter() {
		r.attempts, r.counted = 0, false
	}
	r.upSince = time.Time{}
	r.attempts++
}

// takesRestart reports whether the restart counts against the intensity: without a
// Backoff each does, with one the first of a row.
func (r *restartDelay) takesRestart(spec *Child) bool {
	takes := !spec.hasBackoff() || !r.counted
	r.counted = true
	return takes
}
