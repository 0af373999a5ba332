// SPDX-License-Identifier: Apache-2.0

package actors

// WaitingForStop is how many wait for the stop event of t's worker.
func WaitingForStop(t *Task) (n int) {
	c := t.mb.stopEvent()
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := c.waits; w != nil; w = w.Next {
		n++
	}
	return n
}
