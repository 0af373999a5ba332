// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// TestSnapshotText is a small incident: a queue that waits for a blocked turn,
// a worker that waits for that, one that is to stop, and idle ones.
func TestSnapshotText(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		bank := actortest.Spawn(t, sys.Root, "bank", inspected, actors.Options{BlockedTurn: time.Second, StopGrace: time.Hour})
		shop := actortest.Spawn(t, sys.Root, "shop", inspected, actors.Options{})
		till := actortest.Spawn(t, sys.Root, "till", inspected, actors.Options{})
		for i := range 3 {
			actortest.Spawn(t, sys.Root, fmt.Sprint("idle-", i), inspected, actors.Options{})
		}
		until := make(chan struct{})
		defer close(until)
		actors.RequestFuture[int](sys.Root, bank, stick{until})
		actors.RequestFuture[int](sys.Root, till, nap(time.Hour))
		for range 2 {
			actors.RequestFuture[int](sys.Root, shop, relay{bank}, actors.Timeout(time.Minute))
		}
		actors.Submit(sys.Root, shop, func(t *actors.Task) (int, error) { return 1, nil })
		synctest.Wait()
		actors.RequestStop(sys.Root, till, time.Minute)
		time.Sleep(10 * time.Second)

		got := actors.Inspect(sys).String()
		if !strings.Contains(got, "\n        goroutine ") || !strings.Contains(got, "actors_test.inspected") {
			t.Errorf("no stack of the blocked turn in\n%s", got)
		}
		// What is in it differs from Go to Go.
		got = regexp.MustCompile(`(?m)^        (goroutine|[^ ]).*\n(            ?.*\n|        \t.*\n)*`).ReplaceAllString(got, "")
		want := `2000-01-01T00:00:10.000Z: 6 workers: 1 blocked, 1 ending, 1 with work, 3 idle

worker  state             incarnation  queued  oldest  in flight  account
bank    running, blocked            1       2    9.5s          1  accepted 3, pending 3, blocked turns 1
    blocked for 9.5s, since 00:00:00.500, by actors_test.stick
    actors_test.stick  running  -
till    stopping                    1       0       -          1  accepted 1, pending 1
    actors_test.nap  awaiting  10s
shop    running                     1       0       -          2  accepted 3, finished 1, pending 2
    actors_test.relay  awaiting  10s  for actors_test.nap of bank, 50s left
    actors_test.relay  awaiting  10s  for actors_test.nap of bank, 50s left
`
		if got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}

// TestSnapshotTextIsBounded: whatever there is, it stays readable.
func TestSnapshotTextIsBounded(t *testing.T) {
	tasks := make([]actors.TaskInfo, 1000)
	for i := range tasks {
		tasks[i] = actors.TaskInfo{Name: strings.Repeat("long\n", 100), State: "awaiting"}
	}
	s := actors.Snapshot{Workers: make([]actors.WorkerInfo, 200)}
	for i := range s.Workers {
		s.Workers[i] = actors.WorkerInfo{PID: actor.NewPID("here:1", fmt.Sprint("w", i)), State: "running", Tasks: tasks,
			Blocked: &actors.BlockedInfo{Task: "t", Stack: []byte(strings.Repeat("frame\n", 1000))}}
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
	s.Workers = []actors.WorkerInfo{{PID: actor.NewPID("nonhost", "made\n\x1b[31mby a client"), State: "stopping"}}
	if text := s.String(); !strings.Contains(text, "\nmade  [31mby a client  stopping") {
		t.Errorf("%q", text)
	}
	if text := (actors.Snapshot{}).String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "0 workers") {
		t.Errorf("the empty one is %q", text)
	}
}
