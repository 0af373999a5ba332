package actors_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// Who tries again after a setup that failed finds the name free: in real time,
// where the worker ends beside its Spawn.
func TestSpawnAgain(t *testing.T) {
	sys := actortest.NewSystem(t)
	actortest.Spawn(t, sys.Root, "beside", none, actors.Options{})
	errNo := errors.New("no database")
	for _, from := range []string{"root", "task"} {
		spawn := func(s actor.SpawnerContext) {
			for range 1000 {
				_, err := actors.Spawn(t.Context(), s, "w", func(*actors.Worker) error { return errNo }, actors.Options{})
				if !errors.Is(err, errNo) {
					t.Errorf("from the %s: %v", from, err)
					return
				}
			}
		}
		if from == "root" {
			spawn(sys.Root)
			continue
		}
		parent := actortest.Spawn(t, sys.Root, "parent", none, actors.Options{})
		want(t, did(sys.Root, parent, func(t *actors.Task) error { spawn(t); return nil }), struct{}{})
	}
}

// Also if what setup has begun takes a while to end.
func TestSpawnFailsWithChildren(t *testing.T) {
	bubble(t, func(w *world) {
		begin := time.Now()
		_, err := actors.Spawn(w.Context(), w.root, "w", func(wk *actors.Worker) error {
			actors.Start(wk.Task(), func(t *actors.Task) (int, error) {
				err := t.Sleep(time.Hour)
				return 0, errors.Join(err, actors.Cleanup(t, time.Minute, func(t *actors.Task) error { return t.Sleep(3 * time.Second) }))
			})
			return errors.New("no database")
		}, actors.Options{})
		if err == nil || !strings.HasSuffix(err.Error(), `spawn "w": actors: setup: no database`) || time.Since(begin) != 3*time.Second {
			w.Errorf("%v after %v", err, time.Since(begin))
		}
		w.worker("w", actors.Options{}, none)
	})
}

// TestSpawnCancelledAsSetupEnds: its worker does not outlive the error.
func TestSpawnCancelledAsSetupEnds(t *testing.T) {
	bubble(t, func(w *world) {
		parent := w.worker("parent", actors.Options{}, none)
		failed := make(chan error, 1)
		spawning := did(w.root, parent, func(t *actors.Task) error {
			_, err := actors.Spawn(context.Background(), t, "child", func(c *actors.Worker) error {
				return c.Task().Sleep(time.Second)
			}, actors.Options{})
			failed <- err
			return err
		})
		synctest.Wait()
		did(w.root, parent, func(*actors.Task) error {
			time.Sleep(2 * time.Second) // in its turn: the setup ends, and the other task does not hear of it
			spawning.Cancel()
			return nil
		})
		if err := <-failed; !errors.Is(err, actors.ErrCanceled) {
			w.Errorf("Spawn: %v", err)
		}
		synctest.Wait()
		if _, ok := w.sys.ProcessRegistry.GetLocal("parent/child"); ok {
			w.Error("the worker is still there")
		}
	})
}
