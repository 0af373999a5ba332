// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// TestStatusCountsWhatWasAnswered: whoever has an answer and asks for the status then
// finds the work in its bucket, although an answer comes before its task has ended.
func TestStatusCountsWhatWasAnswered(t *testing.T) {
	calls := 20_000
	if testing.Short() {
		calls = 2_000
	}
	sys := actortest.NewSystem(t)
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.Handle(w, func(*actors.Task, string) (int, error) { return 1, nil })
		return nil
	}, actors.Options{})
	for name, ask := range map[string]func() error{
		"a request": func() error {
			_, err := actors.RequestFuture[int](sys.Root, pid, "m").Wait(t.Context())
			return err
		},
		"a submission": func() error {
			_, err := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 1, nil }).Wait(t.Context())
			return err
		},
		"the engine's request": func() error {
			_, err := sys.Root.RequestFuture(pid, "m", -1).Result()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range calls {
				if err := ask(); err != nil {
					t.Fatal(err)
				}
				if st := actortest.Status(t, sys.Root, pid); st.Counts.Pending != 0 || st.InFlight != 0 {
					t.Fatalf("after %d answers: %v", i+1, st)
				}
			}
		})
	}
}
