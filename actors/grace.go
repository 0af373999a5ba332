// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"math"
	"time"
)

// Grace is how long what was accepted may go on after the stop event, before it is cut
// off: contexts end then, and awaits fail. It is a [time.Duration], so that
// 10*time.Second is one. Zero is the default of what is stopped, which its options name.
// What is less than zero is as NoGrace.
type Grace = time.Duration

const (
	// NoGrace cuts off at once (OTP: brutal_kill). Go can kill nothing: what does not
	// return when its context ends is abandoned, after the worker's StopGrace.
	NoGrace Grace = -1
	// Forever sets no limit (OTP: infinity). As the [Timeout] of a request to an actor
	// that is no local worker it lets it wait for ever.
	Forever Grace = math.MaxInt64
)
