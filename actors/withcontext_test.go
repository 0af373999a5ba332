package actors_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// TestDeadlineOfAContext: the deadline of WithContext's context is a budget.
func TestDeadlineOfAContext(t *testing.T) {
	bubble(t, func(w *world) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), key{}, "value"), time.Second)
		defer cancel()
		at, _ := ctx.Deadline()
		check := func(what string, c context.Context) {
			if got, ok := c.Deadline(); !ok || !got.Equal(at) {
				w.Errorf("%s: the deadline is %v, %v; want %v", what, got, ok, at)
			}
			if c.Value(key{}) != "value" {
				w.Errorf("%s has not the context's values", what)
			}
		}
		other := w.worker("other", actors.Options{}, func(wk *actors.Worker) error {
			actors.Handle(wk, func(t *actors.Task, _ string) (string, error) {
				check("a request of it", t.Context())
				return "", nil
			})
			return nil
		})
		pid := w.worker("worker", actors.Options{}, none)
		ended := make(chan error, 1)
		f := did(w.root, pid, func(t *actors.Task) error {
			check("the task", t.Context())
			if _, err := actors.Ask[string](t, other, ""); err != nil {
				return err
			}
			err := t.Sleep(time.Hour)
			ended <- t.Context().Err()
			_ = actors.Cleanup(t, time.Second, func(t *actors.Task) error {
				if t.Context().Value(key{}) != "value" {
					w.Error("a Cleanup has not the context's values")
				}
				return t.Sleep(time.Millisecond)
			})
			return err
		}, actors.WithContext(ctx), actors.Timeout(time.Minute))
		wantErr(w, f, actors.ErrTimeout)
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("the context's Err is %v", err)
		}
	})
}
