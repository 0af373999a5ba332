// SPDX-License-Identifier: Apache-2.0

package testtools

import "time"

// Poll calls cond, in growing intervals, until it holds or limit is over, and
// reports which of the two.
func Poll(limit time.Duration, cond func() bool) bool {
	start := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, max(limit/100, time.Millisecond)) {
		if cond() {
			return true
		}
		if time.Since(start) >= limit {
			return false
		}
		time.Sleep(pause)
	}
}
