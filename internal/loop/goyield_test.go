// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// TestGoyield: who is ready on this processor goes first.
func TestGoyield(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for i := range 1000 {
		var ran atomic.Bool
		go ran.Store(true)
		goyield()
		if !ran.Load() {
			t.Fatalf("after a yield, the %dth, a goroutine that was begun before has not run", i+1)
		}
	}
}

// TestGoHasGoyield fails with a Go that nobody has looked at.
func TestGoHasGoyield(t *testing.T) {
	if !hasGoyield {
		t.Errorf("with %s a loop takes a tenth longer to serve who asks one at a time: see whether runtime.goyield is still kept for others, as a comment there says, and "+
			"move the build constraints of goyield.go and goyield_other.go", runtime.Version())
	}
}
