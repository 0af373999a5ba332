// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"errors"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/protoloop/protoloop/actors"
)

// A row of failures ends when the child has been up for ResetAfter, and not before.
func TestRestartDelay(t *testing.T) {
	spec := Child{Backoff: actors.Backoff{Initial: time.Second, Max: 10 * time.Second}, ResetAfter: time.Minute}
	now := time.Now()
	var r restartDelay
	fails := func() time.Duration {
		r.noteFailure(&spec, now)
		return spec.Backoff.Wait(r.attempts)
	}
	upFor := func(d time.Duration) time.Duration {
		r.upSince = now
		now = now.Add(d)
		return fails()
	}
	got := []time.Duration{fails(), fails(), upFor(time.Second), upFor(time.Minute - 1), upFor(time.Minute), upFor(0)}
	want := []time.Duration{1e9, 2e9, 4e9, 8e9, 1e9, 2e9}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	// It was not up since it failed last: a long wait is no healthy period.
	now = now.Add(time.Hour)
	if d := fails(); d != 4*time.Second {
		t.Errorf("%v", d)
	}
	// By default as long as Max, whose default is a minute.
	if d := (&Child{Backoff: actors.Backoff{Initial: 1}}).resetAfter(); d != time.Minute {
		t.Errorf("%v", d)
	}
	if d := (&Child{Backoff: actors.Backoff{Initial: 1, Max: time.Hour}}).resetAfter(); d != time.Hour {
		t.Errorf("%v", d)
	}
}

// With a Backoff the first of a row counts that is no try of a message that will be
// handled anew; without one all do.
func TestRestartsThatCount(t *testing.T) {
	for _, spec := range []Child{{}, {Backoff: actors.Backoff{Initial: time.Second}, ResetAfter: time.Minute}} {
		now := time.Now()
		var r restartDelay
		fails := func(up time.Duration, retried bool) bool {
			r.upSince = now
			now = now.Add(up)
			r.noteFailure(&spec, now)
			return !retried && r.takesRestart(&spec)
		}
		got := []bool{fails(0, true), fails(0, false), fails(0, false), fails(time.Minute-1, false), fails(time.Minute, false), fails(0, true), fails(0, false)}
		want := []bool{false, true, true, true, true, false, true}
		if spec.hasBackoff() {
			want = []bool{false, true, false, false, true, false, false}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %v, want %v", spec.Backoff, got, want)
		}
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
		{Permanent, exitReason{failed: true, err: errors.Join(bad, ErrDoNotRestart)}, decideLetGo},
		{Transient, exitReason{failed: true, err: ErrDoNotRestart}, decideLetGo},
		{Permanent, exitReason{failed: true, err: ErrEscalate}, decideEscalate},
		{Temporary, exitReason{failed: true, err: errors.Join(bad, ErrEscalate)}, decideEscalate},
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

// A Dynamic may have a million children, and each is as large as its size class.
func TestChildSize(t *testing.T) {
	if size := unsafe.Sizeof(child{}); size > 224 {
		t.Errorf("a child has %d bytes, want at most 224", size)
	}
}
