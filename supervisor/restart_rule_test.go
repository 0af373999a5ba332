// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"errors"
	"math"
	"slices"
	"testing"
	"testing/quick"
	"time"

	"github.com/protoloop/protoloop/actors"
)

func TestBackoffWaits(t *testing.T) {
	for _, test := range []struct {
		b    Backoff
		n    int
		want time.Duration
	}{
		{Backoff{}, 1, 0},
		{Backoff{}, 1000, 0},
		{Backoff{Initial: time.Second}, 1, time.Second},
		{Backoff{Initial: time.Second}, 2, 2 * time.Second}, // the default factor
		{Backoff{Initial: time.Second}, 6, 32 * time.Second},
		{Backoff{Initial: time.Second}, 7, time.Minute}, // the default cap
		{Backoff{Initial: time.Second}, math.MaxInt, time.Minute},
		{Backoff{Initial: 2 * time.Minute}, 5, 2 * time.Minute}, // which is no less than Initial
		{Backoff{Initial: time.Second, Factor: 1}, 50, time.Second},
		{Backoff{Initial: time.Second, Factor: 1.5}, 3, 2250 * time.Millisecond},
		{Backoff{Initial: time.Second, Factor: 10, Max: time.Hour}, 4, 1000 * time.Second},
		{Backoff{Initial: time.Second, Factor: 10, Max: time.Hour}, 5, time.Hour},
		{Backoff{Initial: time.Second, Factor: math.Inf(1), Max: time.Hour}, 2, time.Hour},
		{Backoff{Initial: 1, Max: math.MaxInt64, Factor: 1e300}, 3, math.MaxInt64},
	} {
		if got := test.b.waitBefore(test.n, 0); got != test.want {
			t.Errorf("%+v, restart %d: %v, want %v", test.b, test.n, got, test.want)
		}
	}
}

// The jitter is what it says: evenly distributed over its part of the wait.
// The engine's was less than 500 ns.
func TestBackoffJitter(t *testing.T) {
	const n, bins = 20_000, 10
	for _, jitter := range []float64{0.2, 0.5, 1} {
		b := Backoff{Initial: time.Minute, Max: time.Minute, Jitter: jitter}
		var r restartDelay
		var counts [bins]int
		sum := 0.0
		for range n {
			d := r.nextDelay(b, time.Time{})
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
}

// Waits never shrink with the number, never exceed the cap, never are
// negative.
func TestBackoffBounds(t *testing.T) {
	check := func(initial, longest uint32, factor, jitter, random float64, n uint8) bool {
		unit := func(f float64) float64 { return math.Abs(math.Mod(f, 1)) }
		b := Backoff{Initial: time.Duration(initial), Max: time.Duration(max(longest, initial)), Factor: 1 + 10*unit(factor), Jitter: unit(jitter)}
		one, next := b.waitBefore(int(n)+1, unit(random)), b.waitBefore(int(n)+2, unit(random))
		return 0 <= one && one <= next && next <= b.maxWait()
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
}

func TestBackoffReset(t *testing.T) {
	b := Backoff{Initial: time.Second, Max: 10 * time.Second, ResetAfter: time.Minute}
	now := time.Now()
	var r restartDelay
	upFor := func(d time.Duration) time.Duration {
		r.upSince = now
		now = now.Add(d)
		return r.nextDelay(b, now)
	}
	got := []time.Duration{r.nextDelay(b, now), r.nextDelay(b, now), upFor(time.Second), upFor(time.Minute - 1), upFor(time.Minute), upFor(0)}
	want := []time.Duration{1e9, 2e9, 4e9, 8e9, 1e9, 2e9}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	// It was not up since it failed last: a long wait is no healthy period.
	now = now.Add(time.Hour)
	if d := r.nextDelay(b, now); d != 4*time.Second {
		t.Errorf("%v", d)
	}
	// By default as long as Max, whose default is a minute.
	if d := (Backoff{Initial: 1}).resetAfter(); d != time.Minute {
		t.Errorf("%v", d)
	}
	if d := (Backoff{Initial: 1, Max: time.Hour}).resetAfter(); d != time.Hour {
		t.Errorf("%v", d)
	}
}

func TestIntensity(t *testing.T) {
	start := time.Now()
	for name, test := range map[string]struct {
		most   int
		within time.Duration
		at     []time.Duration
		ok     int // so many of them
	}{
		"one":           {1, time.Second, []time.Duration{0}, 1},
		"two at once":   {1, time.Second, []time.Duration{0, 0}, 1},
		"at the edge":   {1, time.Second, []time.Duration{0, 1e9}, 1},
		"past the edge": {1, time.Second, []time.Duration{0, 1e9 + 1}, 2},
		"none":          {-1, time.Second, []time.Duration{0}, 0},
		"default":       {0, 0, []time.Duration{0, 5e9 + 1, 10e9 + 1}, 2},
		"sliding":       {2, 10 * time.Second, []time.Duration{0, 4e9, 10e9 + 1, 14e9 + 1, 20e9 + 2, 24e9 + 2}, 6},
		"burst":         {3, 10 * time.Second, []time.Duration{0, 9e9, 9e9, 11e9, 11e9}, 4},
	} {
		i := newIntensity(test.most, test.within)
		ok := 0
		for _, at := range test.at {
			if !i.countRestart(start.Add(at)) {
				break
			}
			ok++
		}
		if ok != test.ok {
			t.Errorf("%s: %d of %d, want %d", name, ok, len(test.at), test.ok)
		}
	}
}

// The failures of a long life are not kept. The engine keeps all of them.
func TestIntensityForgets(t *testing.T) {
	i := newIntensity(10, time.Second)
	now := time.Now()
	for range 100_000 {
		now = now.Add(200 * time.Millisecond)
		if !i.countRestart(now) {
			t.Fatal("too many")
		}
	}
	if len(i.restartedAt) > 10 || cap(i.restartedAt) > 100 {
		t.Errorf("%d are kept, with room for %d", len(i.restartedAt), cap(i.restartedAt))
	}
}

// OTP's table: permanent, transient and temporary by normal and abnormal end.
func TestDecide(t *testing.T) {
	bad := errors.New("bad")
	for _, test := range []struct {
		r    Restart
		e    exitReason
		want decision
	}{
		{Permanent, exitReason{}, decideRestart},
		{Permanent, exitReason{failed: true, err: bad}, decideRestart},
		{Transient, exitReason{}, decideLetGo},
		{Transient, exitReason{failed: true, err: bad}, decideRestart},
		{Temporary, exitReason{}, decideLetGo},
		{Temporary, exitReason{failed: true, err: bad}, decideLetGo},
		{Permanent, exitReason{failed: true, err: errors.Join(bad, actors.ErrDoNotRestart)}, decideLetGo},
		{Transient, exitReason{failed: true, err: actors.ErrDoNotRestart}, decideLetGo},
		{Permanent, exitReason{failed: true, err: actors.ErrEscalate}, decideEscalate},
		{Temporary, exitReason{failed: true, err: errors.Join(bad, actors.ErrEscalate)}, decideEscalate},
		{Permanent, exitReason{failed: true, err: panics{}}, decideRestart},
	} {
		if got := decideOnExit(test.r, test.e); got != test.want {
			t.Errorf("%v, %+v: %d, want %d", test.r, test.e, got, test.want)
		}
	}
}

// panics is an error whose methods do.
type panics struct{}

func (panics) Error() string   { return "panics" }
func (panics) Is(error) bool   { panic("in Is") }
func (panics) As(any) bool     { panic("in As") }
func (panics) Unwrap() []error { panic("in Unwrap") }

func TestAffected(t *testing.T) {
	for _, test := range []struct {
		s        Strategy
		i, n     int
		from, to int
	}{
		{OneForOne, 1, 3, 1, 2}, {OneForAll, 1, 3, 0, 3}, {RestForOne, 1, 3, 1, 3}, {RestForOne, 0, 3, 0, 3}, {RestForOne, 2, 3, 2, 3},
	} {
		if from, to := test.s.affectedRange(test.i, test.n); from != test.from || to != test.to {
			t.Errorf("%v, %d of %d: %d to %d", test.s, test.i, test.n, from, to)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		OneForOne.String(): "one_for_one", RestForOne.String(): "rest_for_one", Strategy(9).String(): "9",
		Permanent.String(): "permanent", Temporary.String(): "temporary", Restart(-1).String(): "-1",
		Never.String(): "never", AllSignificant.String(): "all_significant",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
