// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Messages wait for the end of setup, so a setup that waits for one of them is
// in a ring.
func TestRingThroughSetup(t *testing.T) {
	bubble(t, func(w *world) {
		setup := func(to *actor.PID) func(w *actors.Worker) error {
			return func(w *actors.Worker) error {
				actors.Handle(w, func(t *actors.Task, _ string) (string, error) { return "hello", nil })
				_, err := actors.Ask[string](w.Task(), to, "")
				return err
			}
		}
		start := time.Now()
		_, err := actors.Spawn(context.Background(), w.root, "one", setup(w.sys.NewLocalPID("one")), actors.Options{})
		wantRing(w, "a setup that asks its own worker", err, "one")

		two := w.sys.NewLocalPID("two")
		other := w.worker("other", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, _ string) (string, error) {
				if err := t.Sleep(time.Second); err != nil {
					return "", err
				}
				return actors.Ask[string](t, two, "")
			})
			return nil
		})
		_, err = actors.Spawn(context.Background(), w.root, "two", setup(other), actors.Options{})
		wantRing(w, "a setup that asks somebody who asks back", err, "other", "two")

		if _, err = actors.Spawn(context.Background(), w.root, "three", setup(w.worker("echo", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(*actors.Task, string) (string, error) { return "hello", nil })
			return nil
		})), actors.Options{}); err != nil {
			w.Error(err)
		}
		if d := time.Since(start); d != time.Second {
			w.Errorf("it took %v", d)
		}
	})
}

// So is a plain actor whose Started asks itself.
func TestRingThroughStarted(t *testing.T) {
	bubble(t, func(w *world) {
		got := make(chan error, 1)
		pid := w.dropIn(actors.Options{Logger: discard()}, func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				_, err := actors.Ask[string](actors.TaskOf(c), c.Self(), "")
				got <- err
			case string:
				c.Respond("hello")
			}
		})
		wantRing(w, "a Started that asks its own actor", <-got, pid.Id)
	})
}
