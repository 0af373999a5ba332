// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// checkTimeline checks that text begins with the story, its times off by no
// more than slack seconds, and returns what comes after it.
func checkTimeline(t *testing.T, text string, slack float64) (rest string) {
	t.Helper()
	rest = text
	for i, want := range story {
		line, after, _ := strings.Cut(rest, "\n")
		rest = after
		seconds, words, _ := strings.Cut(line, " ")
		var at float64
		if _, err := fmt.Sscanf(seconds, "%f", &at); err != nil || seconds != fmt.Sprintf("%.1f", at) {
			t.Errorf("line %d does not begin with seconds to one decimal: %q", i+1, line)
		}
		if words != want.words || math.Abs(at-want.at) > slack+1e-9 {
			t.Errorf("line %d: %q, want %.1f %s", i+1, line, want.at, want.words)
		}
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
			if rest := checkTimeline(t, out.String(), 0); rest != "" {
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
