// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"math"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// The jitter is what it says: evenly distributed over its part of the wait.
func TestBackoffJitter(t *testing.T) {
	const n, bins = 20_000, 10
	for _, jitter := range []float64{0.2, 0.5, 1} {
		b := actors.Backoff{Initial: time.Minute, Max: time.Minute, Jitter: jitter}
		var counts [bins]int
		sum := 0.0
		for i := range n {
			d := b.Wait(i + 1)
			part := float64(time.Minute-d) / (jitter * float64(time.Minute)) // 0 to 1
			if part < 0 || part > 1 {
				t.Fatalf("jitter %v: a wait of %v", jitter, d)
			}
			counts[min(int(part*bins), bins-1)]++
			sum += part
		}
		// Each bin has 2,000 of them, with a deviation of 42; ten of those are
		// exceeded in one of 10^22 runs. The mean's deviation is 0.002.
		for i, c := range counts {
			if math.Abs(float64(c)-n/bins) > 420 {
				t.Errorf("jitter %v: %d of %d in bin %d", jitter, c, n, i)
			}
		}
		if mean := sum / n; math.Abs(mean-0.5) > 0.02 {
			t.Errorf("jitter %v: the mean is %v", jitter, mean)
		}
	}
	for n, want := range []time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second} {
		if got := (actors.Backoff{Initial: time.Second}).Wait(n); n > 0 && got != want {
			t.Errorf("without jitter, after failure %d: %v, want %v", n, got, want)
		}
	}
}
