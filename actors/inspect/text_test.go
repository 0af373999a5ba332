// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors/inspect"
)

// TestSnapshotTextIsBounded: whatever there is, it stays readable.
func TestSnapshotTextIsBounded(t *testing.T) {
	tasks := make([]inspect.Task, 1000)
	for i := range tasks {
		tasks[i] = inspect.Task{Name: strings.Repeat("long\n", 100), State: "awaiting"}
	}
	s := inspect.Snapshot{Workers: make([]inspect.Worker, 200)}
	for i := range s.Workers {
		s.Workers[i] = inspect.Worker{PID: actor.NewPID("here:1", fmt.Sprint("w", i)), State: "running", Tasks: tasks,
			Blocked: &inspect.Turn{Task: "t", Stack: []byte(strings.Repeat("frame\n", 1000))}}
	}
	text := s.String()
	if n := strings.Count(text, "\n"); n > 50*(20+40+5) {
		t.Errorf("%d lines", n)
	}
	for _, want := range []string{"\nand 150 more\n", "\n    and 980 more tasks\n", "\n        and 960 more lines\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%.2000s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > 200 {
			t.Fatalf("a line of %d bytes: %s", len(line), line)
		}
	}
	s.Workers = []inspect.Worker{{PID: actor.NewPID("nonhost", "made\n\x1b[31mby a client"), State: "stopping"}}
	if text := s.String(); !strings.Contains(text, "\nmade  [31mby a client  stopping") {
		t.Errorf("%q", text)
	}
	s.Workers = []inspect.Worker{{PID: actor.NewPID("nonhost", "w"), State: "stopping", Delayed: 2, NextDelayed: time.Unix(60, 0).UTC()}}
	if text := s.String(); !strings.Contains(text, "\n    2 delayed by After, the next until 1970-01-01T00:01:00.000\n") {
		t.Errorf("%q", text)
	}
	if text := (inspect.Snapshot{}).String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "0 workers") {
		t.Errorf("the empty one is %q", text)
	}
}
