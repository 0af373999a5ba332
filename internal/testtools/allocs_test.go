// SPDX-License-Identifier: Apache-2.0

package testtools

import "testing"

var allocated *[100]byte

// TestAllocs: what comes from elsewhere now and then is not f's, and what f makes each time is.
func TestAllocs(t *testing.T) {
	runs := 0
	n := Allocs(20, func() {
		for range 2 {
			allocated = new([100]byte)
		}
		if runs++; runs == 7 { // as if by another goroutine
			for range 100 {
				allocated = new([100]byte)
			}
		}
	})
	if n != 2 || runs < 20 {
		t.Errorf("%v allocations in %d runs, want 2 in each", n, runs)
	}
}
