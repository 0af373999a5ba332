// SPDX-License-Identifier: Apache-2.0

package view

import (
	"os/exec"
	"strings"
	"testing"
)

// TestOpenCapture: the command can be pasted into a shell, whatever the file is called.
func TestOpenCapture(t *testing.T) {
	for file, want := range map[string]string{
		"cpu-1-20260102T150405Z.pb.gz": "go tool pprof -http=: cpu-1-20260102T150405Z.pb.gz",
		"/tmp/a_b.pb.gz":               "go tool pprof -http=: /tmp/a_b.pb.gz",
		"my profile":                   "go tool pprof -http=: 'my profile'",
		"-o":                           "go tool pprof -http=: ./-o",
		"it's; rm *":                   `go tool pprof -http=: 'it'\''s; rm *'`,
	} {
		got := OpenCapture(CPUProfile, file)
		if got != want {
			t.Errorf("%q: %s, want %s", file, got, want)
		}
		words, err := exec.Command("sh", "-c", `printf '%s\n' `+got).Output()
		last := strings.TrimPrefix(strings.Split(strings.TrimSpace(string(words)), "\n")[4], "./")
		if err != nil || last != file {
			t.Errorf("%q: a shell reads %q of %s: %v", file, last, got, err)
		}
	}
	if got := OpenCapture(FlightRecording, "x.trace"); got != "go tool trace x.trace" {
		t.Error(got)
	}
}
