// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// story is what timeline prints, and when.
var story = []struct {
	at    float64
	words string
}{
	{0, "START"},
	{0, "False"},
	{0, "False"},
	{0, "before first sleep"},
	{0, "SETUP"},
	{2, "MIDDLE"},
	{3, "after first sleep"},
	{3, "False"},
	{3, "False"},
	{3, "before second sleep"},
	{4, "END"},
	{6, "after second sleep"},
	{6, "True"},
	{6, "True"},
	{6, "Result"},
}

// nextLine takes a line of the story from text: when it was, and what it says.
func nextLine(t *testing.T, text string) (at float64, words, rest string) {
	t.Helper()
	line, rest, _ := strings.Cut(text, "\n")
	seconds, words, _ := strings.Cut(line, " ")
	if _, err := fmt.Sscanf(seconds, "%f", &at); err != nil || seconds != fmt.Sprintf("%.1f", at) {
		t.Errorf("a line does not begin with seconds to one decimal: %q", line)
	}
	return at, words, rest
}

// checkTimeline checks that text begins with the story, and returns what comes after it.
func checkTimeline(t *testing.T, text string) (rest string) {
	t.Helper()
	rest = text
	for i, want := range story {
		var at float64
		var words string
		if at, words, rest = nextLine(t, rest); words != want.words || math.Abs(at-want.at) > 1e-9 {
			t.Errorf("line %d: %.1f %q, want %.1f %s", i+1, at, words, want.at, want.words)
		}
	}
	return rest
}

// checkInRealTime is checkTimeline for real time, where all may be late, one side more than the other: what each of the two
// says comes in its order, and nothing comes early.
func checkInRealTime(t *testing.T, text string) (rest string) {
	t.Helper()
	rest = text
	last := 0.0
	said := map[bool][]string{} // by whether it is the task
	wanted := map[bool][]string{}
	split := func(all map[bool][]string, words string) {
		task := words == "SETUP" || words == "MIDDLE" || words == "END"
		if words == "True" || words == "False" { // main was too late to see it
			words = "True or False"
		}
		all[task] = append(all[task], words)
	}
	for i, want := range story {
		var at float64
		var words string
		at, words, rest = nextLine(t, rest)
		if at < last || at < want.at && words == want.words {
			t.Errorf("line %d, %q, is of %.1f, after one of %.1f", i+1, words, at, last)
		}
		last = at
		split(said, words)
		split(wanted, want.words)
	}
	if !maps.EqualFunc(said, wanted, slices.Equal) {
		t.Errorf("main and the task say %v, want %v", said, wanted)
	}
	return rest
}

func TestTimeline(t *testing.T) {
	// Many rounds: the order of the first lines must not be luck.
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			c := newTestCrew(t)
			var out strings.Builder
			if err := timeline(t.Context(), c, &out); err != nil {
				t.Fatal(err)
			}
			if rest := checkTimeline(t, out.String()); rest != "" {
				t.Errorf("more than the story: %q", rest)
			}
		})
	}
}

// newTestCrew returns a crew that is stopped when the test ends, and whose log
// must stay empty.
func newTestCrew(t *testing.T) *crew {
	var log output
	c := newCrew(&log)
	t.Cleanup(func() {
		if _, err := c.stop(-1); err != nil {
			t.Error(err)
		}
		if s := log.String(); s != "" {
			t.Errorf("logged: %s", s)
		}
	})
	return c
}

func TestTimelineInterrupted(t *testing.T) {
	for ms := range 60 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			want := &interrupted{syscall.SIGINT}
			time.AfterFunc(time.Duration(ms)*100*time.Millisecond, func() { cancel(want) })
			c := newTestCrew(t)
			var out output
			if err := timeline(ctx, c, &out); !errors.Is(err, want) {
				t.Errorf("interrupted after %d00 ms: %v", ms, err)
			}
			if strings.Contains(out.String(), "Result") {
				t.Errorf("interrupted after %d00 ms, but it went on to the end", ms)
			}
		})
	}
}
