// SPDX-License-Identifier: Apache-2.0

// Package restartwindow counts restarts in a sliding window of time, as OTP's intensity does.
package restartwindow

import "time"

// Window has the times of the restarts that still count. The zero value has none.
type Window struct{ restartedAt []time.Time }

// Count notes a restart now, and reports whether there have been no more than most within that time. One that is
// exactly that old still counts. OTP: "If more than MaxR number of restarts occur in the last MaxT
// seconds, the supervisor terminates all the child processes and then itself."
func (w *Window) Count(now time.Time, most int, within time.Duration) bool {
	first := 0
	for first < len(w.restartedAt) && now.Sub(w.restartedAt[first]) > within {
		first++
	}
	// In place: whoever restarts for ever does not allocate for it.
	n := copy(w.restartedAt, w.restartedAt[first:])
	w.restartedAt = append(w.restartedAt[:n], now)
	return len(w.restartedAt) <= most
}
