// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"math/rand/v2"
	"time"

	"github.com/protoloop/protoloop/internal/backoff"
)

// Backoff is a wait that grows from one failure to the next: Initial, and then each
// time Factor times as long, up to Max. Supervisors wait so before a restart, and
// consumers before a retry. The zero value is no wait, or the default of the option
// that it is given to.
type Backoff struct {
	Initial time.Duration // the first wait; 0 in a Backoff that is not zero: a mistake
	Max     time.Duration // the longest; 0: 1 min, or Initial if that is longer
	Factor  float64       // at least 1; 0: 2
	// Jitter, from 0 to 1, is the part of the wait that is random, so that those who
	// fail of the same thing do not come back all at once: with 1 the wait is anything
	// up to the full one, evenly distributed, with 0.2 the last fifth is random. 0:
	// none is.
	Jitter float64
}

// Wait returns how long to wait after failure number n, from 1 on. It is for tries of
// your own:
//
//	for n := 1; ; n++ {
//		v, err := actors.Ask[int](t, pid, msg)
//		if !actors.RetrySafe(err) {
//			return v, err
//		}
//		if err := t.Sleep(backoff.Wait(n)); err != nil {
//			return 0, err
//		}
//	}
func (b Backoff) Wait(n int) time.Duration { return backoff.Backoff(b).Wait(n, rand.Float64()) }
