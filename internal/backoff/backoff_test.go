// SPDX-License-Identifier: Apache-2.0

package backoff

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	for _, test := range []struct {
		b    Backoff
		n    int
		want time.Duration
	}{
		{Backoff{}, 1, 0},
		{Backoff{}, 1000, 0},
		{Backoff{Initial: time.Second}, 0, time.Second}, // there is none before the first
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
		{Backoff{Initial: time.Second, Max: 10 * time.Second}, 1 << 30, 10 * time.Second},
	} {
		if got := test.b.Wait(test.n, 0); got != test.want {
			t.Errorf("%+v, failure %d: %v, want %v", test.b, test.n, got, test.want)
		}
	}
}

// The random part is taken off the end of the wait, evenly.
func TestJitter(t *testing.T) {
	b := Backoff{Initial: time.Second, Max: 10 * time.Second, Jitter: 0.5}
	for n, full := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second} {
		for _, random := range []float64{0, 0.2, 0.5, 0.8} {
			if got, want := b.Wait(n, random), time.Duration(float64(full)*(1-random/2)); got != want {
				t.Errorf("failure %d, random %v: %v, want %v", n, random, got, want)
			}
		}
	}
	if got := (Backoff{Initial: time.Second}).Wait(1, 0.9); got != time.Second {
		t.Errorf("a zero Jitter gives %v", got)
	}
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		b    Backoff
		want []string
	}{
		{Backoff{}, nil},
		{Backoff{Initial: 1}, nil},
		{Backoff{Initial: 1, Max: 1, Factor: 1, Jitter: 1}, nil},
		{Backoff{Initial: -1}, []string{"Initial"}},
		{Backoff{Max: 1}, []string{"Initial"}},
		{Backoff{Jitter: 0.5}, []string{"Initial"}},
		{Backoff{Initial: 1, Max: -1}, []string{"Max"}},
		{Backoff{Initial: 2, Max: 1}, []string{"Max"}},
		{Backoff{Initial: 1, Factor: 0.5}, []string{"Factor"}},
		{Backoff{Initial: 1, Factor: math.NaN()}, []string{"Factor"}},
		{Backoff{Initial: 1, Jitter: 1.1}, []string{"Jitter"}},
		{Backoff{Initial: 1, Jitter: -0.1}, []string{"Jitter"}},
		{Backoff{Initial: 1, Jitter: math.NaN()}, []string{"Jitter"}},
		{Backoff{-1, -1, -1, -1}, []string{"Initial", "Max", "Factor", "Jitter"}},
	} {
		if got := mistakes(test.b); !slices.Equal(got, test.want) {
			t.Errorf("%+v: %q, want %q", test.b, got, test.want)
		}
	}
}

func mistakes(b Backoff) (fields []string) {
	b.EachMistake(func(field string, _ any, _ string) { fields = append(fields, field) })
	return fields
}

// FuzzWait: of a Backoff without mistakes the waits never shrink from one failure to
// the next and never exceed Longest; of one with mistakes they are bounded, too.
func FuzzWait(f *testing.F) {
	f.Add(int64(time.Second), int64(time.Minute), 2.0, 0.5, 3, 0.25)
	f.Add(int64(1), int64(math.MaxInt64), 1e300, 0.0, 3, 0.0)
	f.Add(int64(math.MaxInt64), int64(0), math.Inf(1), 1.0, math.MaxInt, 0.999)
	f.Add(int64(-5), int64(-7), math.NaN(), math.NaN(), math.MinInt, 0.5)
	f.Add(int64(time.Hour), int64(time.Second), -3.0, -100.0, 2, 0.5)
	f.Fuzz(func(t *testing.T, initial, longest int64, factor, jitter float64, n int, random float64) {
		b := Backoff{time.Duration(initial), time.Duration(longest), factor, jitter}
		if random = math.Abs(random - math.Trunc(random)); !(random >= 0 && random < 1) {
			random = 0
		}
		one := b.Wait(n, random)
		if one < 0 || one > max(b.Longest(), 0) {
			t.Errorf("%+v, failure %d, random %v: %v", b, n, random, one)
		}
		if mistakes(b) != nil || n == math.MaxInt {
			return
		}
		if next := b.Wait(n+1, random); next < one {
			t.Errorf("%+v, random %v: %v after failure %d, and then %v", b, random, one, n, next)
		}
		if none := (Backoff{b.Initial, b.Max, b.Factor, 0}).Wait(n, random); none < one || b.Initial > 0 && none < b.Initial {
			t.Errorf("%+v, failure %d: %v without Jitter, %v with it", b, n, none, one)
		}
	})
}
