// SPDX-License-Identifier: Apache-2.0

// Package restartwindow counts restarts in a sliding window of time, as OTP's intensity does.
package restartwindow

import "time"

// Window has the times of the restarts that still count. The zero value has none.
type Window struct {
	restartedAt []time.Time
	past        int // how many of them, from the first on, do not count any more
}

// Count notes a restart now, and reports whether there have been no more than most within that time. One that is
// exactly that old still counts. OTP: "If more than MaxR number of restarts occur in the last MaxT
// seconds, the supervisor terminates all the child processes and then itself."
func (w *Window) Count(now time.Time, most int, within time.Duration) bool {
	for w.past < len(w.restartedAt) && now.Sub(w.restartedAt[w.past]) > within {
		w.past++
	}
	if 2*w.past >= len(w.restartedAt) { // in place: whoever restarts for ever does not allocate for it
		w.restartedAt = w.restartedAt[:copy(w.restartedAt, w.restartedAt[w.past:])]
		w.past = 0
	}
	w.restartedAt = append(w.restartedAt, now)
	return len(w.restartedAt)-w.past <= most
}

// Len is how many of those noted count at that time.
func (w *Window) Len(now time.Time, within time.Duration) int {
	n := 0
	for i := len(w.restartedAt) - 1; i >= w.past && now.Sub(w.restartedAt[i]) <= within; i-- {
		n++
	}
	return n
}
