// SPDX-License-Identifier: Apache-2.0

package restartwindow

import (
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	const most, within = 3, 10 * time.Second
	start := time.Unix(0, 0)
	var w Window
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true}, {time.Second, true}, {2 * time.Second, true},
		{10 * time.Second, false},                // the first one is exactly that old
		{13*time.Second + time.Nanosecond, true}, // 10 s and 13 s are left
		{13*time.Second + time.Nanosecond, true},
		{14 * time.Second, false},
		{time.Minute, true}, // all are old
	} {
		if got := w.Count(start.Add(step.after), most, within); got != step.want {
			t.Errorf("at %v: %v, want %v", step.after, got, step.want)
		}
	}
	for i := range 1000 {
		w.Count(start.Add(time.Hour+time.Duration(i)*time.Minute), most, within)
	}
	if n := cap(w.restartedAt); n > 8 {
		t.Errorf("it has room for %d times, and one counts", n)
	}
	if (&Window{}).Count(start, 0, within) {
		t.Error("a restart where there may be none")
	}
}
