// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// TestOpenRequestEndsWithItsCreator: one whose handler has returned, and that
// somebody else was to answer, has its creator's cancel and budget as before.
func TestOpenRequestEndsWithItsCreator(t *testing.T) {
	for name, handler := range map[string]func(silent *actor.PID) func(t *actors.Task, _ string) error{
		"kept": func(*actor.PID) func(*actors.Task, string) error {
			return func(t *actors.Task, _ string) error { t.Sender(); return nil }
		},
		"passed on": func(p *actor.PID) func(*actors.Task, string) error {
			return func(t *actors.Task, _ string) error { t.Forward(p); return nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				silent := w.worker("silent", actors.Options{}, func(wk *actors.Worker) error {
					actors.On(wk, func(t *actors.Task, _ string) error { return t.Sleep(time.Hour) })
					return nil
				})
				pid := w.worker("worker", actors.Options{}, func(wk *actors.Worker) error {
					actors.On(wk, handler(silent))
					return nil
				})
				asker := w.worker("asker", actors.Options{}, none)
				var asked *actors.Future[string]
				kids := -1
				ask := func(t *actors.Task) error {
					asked = actors.RequestFuture[string](t, pid, "x")
					return t.Sleep(time.Hour)
				}
				wantErr(w, did(w.root, asker, ask, actors.Timeout(time.Second)), actors.ErrTimeout)
				wantErr(w, asked, actors.ErrTimeout)
				f := did(w.root, asker, ask)
				synctest.Wait()
				f.Cancel()
				synctest.Wait()
				if _, err := asked.TryResult(); err != actors.ErrCanceled {
					w.Error("its creator was cancelled:", err)
				}
				did(w.root, asker, func(t *actors.Task) error {
					f := actors.RequestFuture[string](t, pid, "x")
					_ = t.Sleep(time.Second)
					f.Cancel()
					_ = t.Sleep(time.Second)
					kids = actors.Kids(t)
					return nil
				})
				time.Sleep(time.Minute)
				synctest.Wait()
				if kids != 0 {
					w.Errorf("%d are kept by their creator when they have ended", kids)
				}
			})
		})
	}
}

// TestPassedOnIsNoRing: a handler that has passed a request on may ask who
// waits for its answer.
func TestPassedOnIsNoRing(t *testing.T) {
	bubble(t, func(w *world) {
		c := w.worker("c", actors.Options{}, func(wk *actors.Worker) error {
			actors.Handle(wk, func(t *actors.Task, _ string) (string, error) { return "c", t.Sleep(time.Second) })
			return nil
		})
		var b *actor.PID
		a := w.worker("a", actors.Options{}, func(wk *actors.Worker) error {
			actors.Handle(wk, func(t *actors.Task, m string) (string, error) {
				return actors.Ask[string](t, b, m)
			}, actors.Exclusive())
			actors.Handle(wk, func(_ *actors.Task, m int) (int, error) { return m, nil })
			return nil
		})
		inB := make(chan error, 1)
		b = w.worker("b", actors.Options{}, func(wk *actors.Worker) error {
			actors.On(wk, func(t *actors.Task, _ string) error {
				t.Forward(c)
				_, err := actors.Ask[int](t, a, 7)
				inB <- err
				return nil
			})
			return nil
		})
		want(w, actors.RequestFuture[string](w.root, a, "x"), "c")
		if err := <-inB; err != nil {
			w.Errorf("c answers a, which then answers b, but: %v", err)
		}
	})
}
